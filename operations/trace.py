"""``pipenv run trace``: follow one payment through an environment, from accepted to announced."""

import argparse
import sys
from itertools import pairwise

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from operations import clients
from operations.audit import AuditTrail
from operations.failures import tell
from operations.options import add_environment
from operations.timeline import Moment, Timeline, Witnesses
from payments.core.payment import PaymentStatus

_COLOURS = {
    **{status.value: status.colour for status in PaymentStatus},
    "announcement": "magenta",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 1 if there is no such payment or its trail is broken, 2 if unread."""
    parser = argparse.ArgumentParser(prog="trace", description=__doc__)
    parser.add_argument("payment_id", help="such as pay_123456")
    add_environment(parser)
    options = parser.parse_args(arguments)
    errors = Console(stderr=True)
    try:
        timeline = _witnesses(options.env).timeline(options.payment_id)
    except clients.AWS_FAILURES as error:
        return tell(f"{options.env!r} cannot be read", error)
    if timeline is None:
        errors.print(
            f"No payment {options.payment_id!r} in {options.env!r}. A row of a batch becomes a"
            " payment only when its message is handled: look at the queue and its dead letters.",
            style="red",
            markup=False,
        )
        return 1
    _show(Console(), timeline)
    return 1 if timeline.faults else 0


def _witnesses(suffix: str) -> Witnesses:
    workflows = clients.stepfunctions()
    # Whoever asks is asked for, because the ARN of a workflow names the account.
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
        f"[bold]{escape(payment_id)}[/bold]  {escape(timeline.amount)}  "
        f"[{_COLOURS.get(status, 'bold')}]{escape(status)}[/]"
    )
    console.print(f"from {source}, correlation id {correlation_id}", markup=False)
    if timeline.moments:
        console.print(_table(timeline.moments))
    for fault in timeline.faults:
        console.print(fault, style="red", markup=False)
    if not timeline.faults:
        console.print(f"The audit chain of {timeline.records} records holds.", style="green")


def _table(moments: list[Moment]) -> Table:
    table = Table("time (UTC)", "after", "what", "", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    table.columns[3].overflow = "fold"
    for before, moment in pairwise([moments[0], *moments]):
        gap = (moment.at - before.at).total_seconds()
        table.add_row(
            moment.at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            f"{gap:,.3f} s",
            f"[{_COLOURS.get(moment.what, 'dim')}]{escape(moment.what)}[/]",
            escape(moment.detail),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
