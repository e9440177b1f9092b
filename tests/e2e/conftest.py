"""One deployed environment for all end-to-end tests: an emulator and a deployment of their own.

It lives beside whatever `make up` runs: another port, another suffix, another directory.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import emulator
from local.clients import Clients
from local.deployment import Deployment
from local.workspace import REPOSITORY, Workspace
from tests.e2e.environment import Environment, Notifications

HERE = Path(__file__).parent
ALARM_EMAIL = "on-call@example.com"
UPDATES_QUEUE = "updates-seen-by-tests"
WORKSPACE = Workspace(state=REPOSITORY / ".local/e2e", suffix="e2e")


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


@pytest.fixture(scope="session")
def environment() -> Iterator[Environment]:
    """The deployed stack; destroyed through cdktf in the end, and its emulator stopped.

    E2E_KEEP=1 leaves both as they are, to look around with
    `python -m local --state .local/e2e --suffix e2e status`.
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
        try:
            with pytest.MonkeyPatch.context() as configured:
                queue_arn = _create_queue(deployment.clients, UPDATES_QUEUE)[1]
                configured.setenv("ALARM_EMAIL", ALARM_EMAIL)
                configured.setenv("PAYMENT_UPDATES_ENDPOINT", queue_arn)
                deployment.deploy()
            yield Environment(deployment)
            if deployment.is_deployed() and not os.environ.get("E2E_KEEP"):
                deployment.destroy()
        finally:
            if not os.environ.get("E2E_KEEP"):
                emulator.stop(WORKSPACE)


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
    queue_url, queue_arn = _create_queue(
        clients, "alarms-seen-by-tests", key=f"alias/payments-{environment.suffix}"
    )
    clients.sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=queue_arn,
        Attributes={name: attributes[name] for name in ("FilterPolicy", "FilterPolicyScope")},
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
