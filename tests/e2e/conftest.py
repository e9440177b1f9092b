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
from local.deployment import Deployment
from local.workspace import REPOSITORY, Workspace
from tests.e2e.environment import Environment, Notifications

HERE = Path(__file__).parent
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
            # A workflow's pauses between retries pass ten times as fast.
            settings={"SFN_WAIT_SCALE": "0.1"},
        )
        deployment = Deployment(WORKSPACE, started)
        try:
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
    """A queue that is subscribed to everything about payments."""
    return _subscribe(environment, "payments-seen-by-tests")


@pytest.fixture(scope="session")
def alarms(environment: Environment) -> Notifications:
    """A queue of its own for alarms, which go to the same topic."""
    return _subscribe(environment, "alarms-seen-by-tests")


def _subscribe(environment: Environment, name: str) -> Notifications:
    clients, topic = environment.clients, environment.outputs["payment_notifications_topic_arn"]
    queue_url = clients.sqs.create_queue(QueueName=name)["QueueUrl"]
    described = clients.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    queue = described["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
    clients.sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy)})
    clients.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    return Notifications(clients, queue_url)
