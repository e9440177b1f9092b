"""``payments trace``: follow one payment through an environment, from accepted to announced."""

import argparse
from dataclasses import asdict
from itertools import pairwise

from rich.console import Console
from rich.table import Table
from rich.text import Text

from operations import clients, screen
from operations.audit import AuditTrail
from operations.failures import tell
from operations.options import DONE, NO, Commands, add_command
from operations.timeline import Moment, Timeline, Witnesses


def add_to(commands: Commands) -> None:
    """Add the command."""
    trace = add_command(
        commands, "trace", run, "tell the story of one payment, from accepted to announced"
    )
    trace.add_argument("payment_id", help="such as pay_123456")


def run(options: argparse.Namespace) -> int:
    """Tell it; return ``NO`` if there is no such payment or its trail is broken."""
    try:
        timeline = witnesses(options.env).timeline(options.payment_id)
    except clients.AWS_FAILURES as error:
        return tell(f"{options.env!r} cannot be read", error)
    if timeline is None:
        screen.complain(
            f"No payment {options.payment_id!r} in {options.env!r}. A row of a batch becomes a"
            " payment only when its message is handled: look at the queue and its dead letters."
        )
        return NO
    if options.json:
        screen.document(asdict(timeline))
    else:
        _show(screen.out(), timeline)
    return NO if timeline.faults else DONE


def witnesses(suffix: str) -> Witnesses:
    """Return who tells of the payments of an environment."""
    workflows = clients.stepfunctions()
    # The ARN of a workflow names the account, which is that of the caller.
    identity = clients.sts().get_caller_identity()
    partition = identity["Arn"].split(":")[1]
    workflow = (
        f"arn:{partition}:states:{workflows.meta.region_name}:{identity['Account']}"
        f":stateMachine:payment-workflow-{suffix}"
    )
    return Witnesses(AuditTrail(clients.dynamodb(), suffix), workflows, workflow)


def _show(console: Console, timeline: Timeline) -> None:
    # What was tampered with may lack any attribute, or hold a value of any type.
    payment_id, status, source, correlation_id = (
        str(timeline.payment.get(name))
        for name in ("payment_id", "status", "source", "correlation_id")
    )
    console.print(
        Text.assemble(
            screen.text(payment_id, "bold"),
            f"  {screen.visible(timeline.amount)}  ",
            screen.status(status),
        )
    )
    console.print(screen.text(f"from {source}, correlation id {correlation_id}"))
    if timeline.amounts:
        console.print(screen.text(timeline.amounts))
    if timeline.moments:
        console.print(_table(timeline.moments))
    for fault in timeline.faults:
        console.print(screen.text(fault, "red"))
    if not timeline.faults:
        console.print(f"The audit chain of {timeline.records} records holds.", style="green")


def _table(moments: list[Moment]) -> Table:
    rows = [
        (
            moment.at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            f"{(moment.at - before.at).total_seconds():,.3f} s",
            screen.text(moment.what, screen.STYLES.get(moment.what.rpartition(" ")[2], "dim")),
            moment.detail,
        )
        for before, moment in pairwise([moments[0], *moments])
    ]
    table = screen.table(("time (UTC)", "after", "what", ""), rows, right=("after",))
    table.columns[3].overflow = "fold"
    return table
