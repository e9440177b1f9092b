"""Two deployed environments for all end-to-end tests, in an emulator of their own.

A disposable one and a protected one share the emulator as they would an account. They live beside
whatever `make up` runs: another port, other suffixes, other directories.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import emulator
from local.clients import Clients
from local.deployment import Deployment
from local.workspace import REPOSITORY, Workspace
from tests.e2e.environment import Environment, Notifications
from tests.e2e.operators import Operator, placeholders
from tests.policies import rendered

HERE = Path(__file__).parent
ALARM_EMAIL = "on-call@example.com"
UPDATES_QUEUE = "updates-seen-by-tests"
REVIEW_ABOVE = "USD=50000.00"
"""Above all that is paid by tests of anything else than reviews."""
WORKSPACE = Workspace(state=REPOSITORY / ".local/e2e", suffix="test-e2e")
PROTECTED = Workspace(state=REPOSITORY / ".local/e2e/protected", suffix="staging")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker, and put those that end the environment last."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("e2e"))
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def _require_tools() -> None:
    missing = [
        tool
        for tool, found in {
            "terraform": shutil.which("terraform"),
            "the cdktf command line (npm ci)": (REPOSITORY / "node_modules/.bin/cdktf").exists(),
        }.items()
        if not found
    ]
    if not missing:
        return
    message = f"end-to-end tests need {' and '.join(missing)}; make test installs what it can"
    if os.environ.get("E2E_REQUIRED"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@dataclass(frozen=True, kw_only=True)
class Deployments:
    """Both environments on their way: deploying is mostly waiting, so they wait side by side."""

    disposable: Future[Environment]
    protected: Future[Environment] | None


def _deployed(deployment: Deployment) -> Environment:
    deployment.deploy()
    return Environment(deployment)


@pytest.fixture(scope="session")
def deployments(request: pytest.FixtureRequest) -> Iterator[Deployments]:
    """The emulator with both environments, the protected one only if a test wants it.

    The disposable one is destroyed through cdktf in the end; the other one refuses that, and ends
    with the emulator. E2E_KEEP=1 leaves everything as it is, to look around with
    `python -m local --state .local/e2e --suffix test-e2e status`.
    """
    _require_tools()
    with emulator.exclusive(WORKSPACE):
        # One that an earlier, killed run left behind.
        emulator.stop(WORKSPACE)
        started = emulator.start(
            WORKSPACE,
            port=emulator.free_port(),
            # A workflow's pauses between retries pass ten times as fast, alarms' periods 25 times.
            settings={"SFN_WAIT_SCALE": "0.1", "ALARM_PERIOD_SCALE": "0.04"},
        )
        deployment = Deployment(WORKSPACE, started)
        is_wanted = any("protected" in item.fixturenames for item in request.session.items)  # type: ignore[attr-defined]  # every test function has them
        try:
            queue_arn = _create_queue(deployment.clients, UPDATES_QUEUE)[1]
            deployment.environment.update(
                ALARM_EMAIL=ALARM_EMAIL, PAYMENT_UPDATES_ENDPOINT=queue_arn
            )
            with ThreadPoolExecutor() as pool:
                yield Deployments(
                    disposable=pool.submit(_deployed, deployment),
                    protected=(pool.submit(_deployed, _protected(started)) if is_wanted else None),
                )
            if deployment.is_deployed() and not os.environ.get("E2E_KEEP"):
                deployment.destroy()
        finally:
            if not os.environ.get("E2E_KEEP"):
                emulator.stop(WORKSPACE)


def _protected(started: emulator.Emulator) -> Deployment:
    """Return an empty place for the protected environment in the emulator of the other one."""
    emulator.forget(PROTECTED)
    PROTECTED.state.mkdir(parents=True, exist_ok=True)
    shutil.copy(WORKSPACE.authority, PROTECTED.authority)
    deployment = Deployment(PROTECTED, started)
    deployment.environment["REVIEW_ABOVE"] = REVIEW_ABOVE
    return deployment


@pytest.fixture(scope="session")
def environment(deployments: Deployments) -> Environment:
    """The deployed disposable environment."""
    return deployments.disposable.result()


@pytest.fixture(scope="session")
def protected(deployments: Deployments) -> Environment:
    """The deployed protected environment."""
    assert deployments.protected is not None
    return deployments.protected.result()


@pytest.fixture(scope="module")
def operator(protected: Environment) -> Iterator[Callable[..., Operator]]:
    """Make an IAM user who has these of the documented policies; gone after the tests."""
    iam, made = protected.client("iam"), []
    values = placeholders(protected)

    def make(*policies: str) -> Operator:
        name = f"test-{'-'.join(policies)}"
        iam.create_user(UserName=name)
        arns = [
            iam.create_policy(
                PolicyName=f"{name}-{policy}",
                PolicyDocument=json.dumps(rendered(policy, **values)),
            )["Policy"]["Arn"]
            for policy in policies
        ]
        for arn in arns:
            iam.attach_user_policy(UserName=name, PolicyArn=arn)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append((name, arns, key["AccessKeyId"]))
        return Operator(
            environment=protected,
            access_key=key["AccessKeyId"],
            secret_key=key["SecretAccessKey"],
        )

    yield make
    for name, arns, access_key in made:
        iam.delete_access_key(UserName=name, AccessKeyId=access_key)
        for arn in arns:
            iam.detach_user_policy(UserName=name, PolicyArn=arn)
            iam.delete_policy(PolicyArn=arn)
        iam.delete_user(UserName=name)


@pytest.fixture
def payment_id() -> Callable[[], str]:
    """Make payment ids that no other test uses."""
    return lambda: f"pay_{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def notifications(environment: Environment) -> Notifications:
    """The queue that the configuration names as endpoint for updates of payments."""
    clients = environment.clients
    return Notifications(clients, clients.sqs.get_queue_url(QueueName=UPDATES_QUEUE)["QueueUrl"])


@pytest.fixture(scope="session")
def alarms(environment: Environment) -> Notifications:
    """An encrypted queue that is subscribed with the very filter of the address for alarms.

    It is subscribed by hand, because an email cannot be read here.
    """
    clients, topic = environment.clients, environment.outputs["payment_notifications_topic_arn"]
    [by_email] = (
        subscription["SubscriptionArn"]
        for subscription in clients.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        if subscription["Endpoint"] == ALARM_EMAIL
    )
    attributes = clients.sns.get_subscription_attributes(SubscriptionArn=by_email)["Attributes"]
    filter_ = {name: attributes[name] for name in ("FilterPolicy", "FilterPolicyScope")}
    return _subscribe(environment, "alarms-seen-by-tests", filter_)


@pytest.fixture(scope="session")
def subscribe() -> Callable[[Environment, str], Notifications]:
    """Subscribe a new, encrypted queue to all of an environment's notifications."""
    return _subscribe


def _subscribe(
    environment: Environment, name: str, attributes: Mapping[str, str] | None = None
) -> Notifications:
    clients = environment.clients
    queue_url, queue_arn = _create_queue(clients, name, key=f"alias/payments-{environment.suffix}")
    clients.sns.subscribe(
        TopicArn=environment.outputs["payment_notifications_topic_arn"],
        Protocol="sqs",
        Endpoint=queue_arn,
        Attributes=attributes or {},
    )
    return Notifications(clients, queue_url)


def _create_queue(clients: Clients, name: str, *, key: str = "") -> tuple[str, str]:
    """Create a queue that SNS may send to; return its URL and its ARN."""
    queue_url = clients.sqs.create_queue(QueueName=name)["QueueUrl"]
    described = clients.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    queue_arn = described["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
            }
        ],
    }
    clients.sqs.set_queue_attributes(
        QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy), "KmsMasterKeyId": key}
    )
    return queue_url, queue_arn
