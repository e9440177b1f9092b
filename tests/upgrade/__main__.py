"""Upgrade a deployed environment, and take it back: ``python -m tests.upgrade [--from VERSION]``.

In an emulator of its own it deploys the release before, leaves payments, operations, a review and a
file in the middle, upgrades in place, and sees all of them end right. Then the same the other way:
what this version has begun ends right after ``python -m release.rollback``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local import batches, emulator, surroundings
from local.console import console, step
from local.deployment import Deployment
from local.workspace import REPOSITORY, Workspace
from release.earlier import checked_out
from tests.e2e.environment import Environment, eventually

WORKSPACE: Final = Workspace(state=REPOSITORY / ".local/upgrade", suffix="test-upgrade")
REVIEW_ABOVE: Final = "USD=10000.00"
PATIENCE: Final = 400.0
"""Seconds for what is left: a workflow that settles has tried for two minutes before."""

ROWS: Final = 30


@dataclass(frozen=True, slots=True)
class InTheMiddle:
    """What a version has begun and not finished; ``name`` begins every id."""

    environment: Environment
    name: str
    batch: str

    def id(self, what: str) -> str:
        """Return the id of a payment."""
        return f"{self.name}-{what}"


def begin(environment: Environment, name: str, folder: Path) -> InTheMiddle:
    """Begin one of everything, and leave it in the middle.

    In the middle of a workflow: a payment whose processor does not answer, a refund that is decided
    later. Waiting for a person: a review, an authorisation. Waiting in a queue: payments, a refund,
    a capture, the rows of a file, whose workflow follows them.
    """
    api = environment.api

    def pay(what: str, amount: str, **more: str) -> None:
        payment = {"payment_id": f"{name}-{what}", "amount": amount, "currency": "USD", **more}
        assert api.submit(payment).status == 202

    def operate(what: str, kind: str, body: dict[str, Any]) -> None:
        answer = api.request("POST", f"/payments/{name}-{what}/{kind}", body=body)
        assert answer.status == 202, answer.body

    pay("paid", "5000.00")
    pay("authorized", "100.00", capture="manual")
    pay("large", "20000.00")
    pay("down", "500.03")
    api.final(f"{name}-paid")
    api.ended(f"/payments/{name}-authorized", {"AUTHORIZED"})
    api.ended(f"/payments/{name}-large", {"IN_REVIEW"})
    operate("paid", "refunds", {"refund_id": "decided-later", "amount": "600.04"})

    def at_work() -> bool | None:
        # That of the payment, and that of the refund, which has a name of its own.
        running = environment.clients.stepfunctions.list_executions(
            stateMachineArn=environment.outputs["payment_workflow_arn"], statusFilter="RUNNING"
        )["executions"]
        return len(running) >= 2 or None

    eventually(at_work, patience=60)
    set_reading(environment, is_on=False)
    for number in range(3):
        pay(f"queued-{number}", "10.00")
    operate("paid", "refunds", {"refund_id": "queued", "amount": "1.00"})
    operate("authorized", "captures", {"capture_id": "queued", "amount": "40.00", "final": True})
    file = folder / f"{name}.csv"
    rows = "".join(f"{name}-row-{number},1.00,USD\n" for number in range(ROWS))
    file.write_text(f"payment_id,amount,currency\n{rows}")
    batch = batches.upload(environment.deployment, file)
    rows_queue = environment.clients.sqs.get_queue_url(
        QueueName=f"payment-rows-{environment.suffix}"
    )["QueueUrl"]

    def queued() -> bool | None:
        found = environment.clients.sqs.get_queue_attributes(
            QueueUrl=rows_queue, AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) >= ROWS or None

    eventually(queued, patience=120)
    left = InTheMiddle(environment, name, batch)
    for what in ("down", "queued-0", "large"):
        assert api.payment(left.id(what)).json()["status"] in {"PENDING", "PROCESSING", "IN_REVIEW"}
    return left


def set_reading(environment: Environment, *, is_on: bool) -> None:
    """Let the queues be read, or not, and wait until it is so."""
    functions: Any = environment.client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        if (
            ":payment-events-" in mapping["EventSourceArn"]
            or ":payment-rows-" in mapping["EventSourceArn"]
        ):
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=is_on)
    # Whoever reads at this moment ends.
    time.sleep(5)


def end(left: InTheMiddle) -> None:
    """See that everything that was in the middle ends right."""
    environment, api = left.environment, left.environment.api
    set_reading(environment, is_on=True)
    payments(environment, "review", "approve", left.id("large"), "--note", "upgraded", "--yes")
    expected = {
        "paid": "COMPLETED",
        "authorized": "COMPLETED",
        "large": "COMPLETED",
        "down": "FAILED",
        **{f"queued-{number}": "COMPLETED" for number in range(3)},
        **{f"row-{number}": "COMPLETED" for number in range(ROWS)},
    }
    for what, status in expected.items():
        found = api.final(left.id(what), patience=PATIENCE)
        assert found["status"] == status, found
    for what, ids in (("paid", {"decided-later", "queued"}), ("authorized", {"queued"})):

        def ended(payment_id: str = left.id(what), ids: set[str] = ids) -> dict[str, str] | None:
            operations = api.payment(payment_id).json()["operations"]
            found = {each["operation_id"]: each["status"] for each in operations}
            return found if found.keys() == ids and "PENDING" not in found.values() else None

        found = eventually(ended, patience=PATIENCE)
        assert set(found.values()) == {"COMPLETED"}, found
    report = batches.follow(environment.deployment, left.batch, patience=PATIENCE)
    assert (report.summary["status"], report.summary["completed"]) == ("COMPLETED", ROWS)
    payments(environment, "audit", "verify")
    payments(environment, "books", "prove")
    dead = environment.clients.sqs.receive_message(
        QueueUrl=environment.outputs["payment_events_dlq_url"]
    ).get("Messages", [])
    assert not dead, dead


def payments(environment: Environment, *command: str) -> None:
    """Run a command of ``payments`` against the environment."""
    ran = subprocess.run(
        [sys.executable, "-m", "operations", "--env", environment.suffix, *command],
        capture_output=True,
        check=False,
        cwd=REPOSITORY,
        env=surroundings.for_operations(os.environ) | environment.aws_access,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@contextmanager
def deployed(sources: Path) -> Iterator[Deployment]:
    """Deploy a version to an emulator of its own."""
    with emulator.exclusive(WORKSPACE):
        emulator.stop(WORKSPACE)
        started = emulator.start(WORKSPACE, port=emulator.free_port())
        try:
            deployment = Deployment(WORKSPACE, started, sources=sources)
            deployment.environment["REVIEW_ABOVE"] = REVIEW_ABOVE
            deployment.deploy()
            yield deployment
        finally:
            emulator.stop(WORKSPACE)


def newest_release() -> str | None:
    """Return the tag of the newest release before this commit; None as long as there is none."""
    found = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0", "HEAD^"],
        capture_output=True,
        check=False,
        cwd=REPOSITORY,
        text=True,
    )
    return found.stdout.strip() or None


def main(arguments: Sequence[str] | None = None) -> int:
    """Upgrade and roll back."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument(
        "--from",
        dest="before",
        default=newest_release() or "HEAD",
        help="a tag or commit (default: the newest tag before this commit, else this commit)",
    )
    before: str = parser.parse_args(arguments).before
    console.print(f"From {before} to what is checked out, and back")
    with (
        tempfile.TemporaryDirectory() as scratch,
        checked_out(before) as sources,
        deployed(sources) as deployment,
    ):
        with step(f"Leaving everything in the middle, under {before}"):
            left = begin(Environment(deployment), "before", Path(scratch))
        upgraded = Deployment(WORKSPACE, deployment.emulator)
        upgraded.environment["REVIEW_ABOVE"] = REVIEW_ABOVE
        upgraded.deploy()
        with step("Ending what was in the middle, after the upgrade"):
            end(InTheMiddle(Environment(upgraded), left.name, left.batch))
        with step("Leaving everything in the middle once more"):
            left = begin(Environment(upgraded), "after", Path(scratch))
        with step(f"Going back to {before} (python -m release.rollback)"):
            back = subprocess.run(
                [sys.executable, "-m", "release.rollback", before, "--auto-approve"],
                capture_output=True,
                check=False,
                cwd=REPOSITORY,
                env=upgraded.environment,
                text=True,
            )
            assert back.returncode == 0, (back.stdout + back.stderr)[-3000:]
        with step("Ending what was in the middle, after the rollback"):
            end(left)
    console.print("Everything ended right, both ways.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
