"""``make capacity``: what binds first on the way to a million payments a minute.

Each component has a limit of AWS and, for some, a lower one that the stack sets. Both are turned
into payments a second by what one payment takes, as ``recorded.json`` has it. Durations are the
assumptions of ``prices.json``.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.cost import PRICES, synthesised, transitions
from benchmarks.measurement import REPOSITORY
from benchmarks.page import markdown_table, replace_table
from benchmarks.recording import RECORD
from payments.aws.payments import OPEN_SHARDS

LIMITS: Final = REPOSITORY / "benchmarks/limits.json"
PAGE: Final = REPOSITORY / "docs/capacity.md"
GOAL: Final = 1_000_000 / 60
"""Payments a second."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What one component takes at most, in its own measure, and what a payment takes of it."""

    component: str
    limit: str
    allowed: float
    set_by: str
    each: float

    @property
    def payments(self) -> float:
        """How many payments a second that is."""
        return self.allowed / self.each

    @property
    def raise_to(self) -> float:
        """What the goal takes."""
        return GOAL * self.each


def bounds(
    stack: Mapping[str, Any], record: Mapping[str, Any], limits: Mapping[str, Any]
) -> list[Bound]:
    """Return every bound, the tightest first."""
    resources = stack["resource"]
    assumed = json.loads(PRICES.read_text())["assumptions"]
    seconds = assumed["seconds of work"]
    api, batch = record["api"], record["batch"]
    [throttling] = resources["aws_api_gateway_method_settings"].values()
    mapping = next(
        mapping
        for mapping in resources["aws_lambda_event_source_mapping"].values()
        if "scaling_config" in mapping
    )
    handlers = seconds["api-handler"]
    per_table = {
        table: max(way.get(f"dynamodb write units of {table}", 0) for way in (api, batch))
        for table in ("payments", "processing-status", "audit-logs")
    }
    rate = throttling["settings"]["throttling_rate_limit"]
    at_once = mapping["scaling_config"]["maximum_concurrency"]
    executions = limits["lambda executions at once"]["value"]
    # Ten messages of one invocation are worked on side by side.
    paying = seconds["payment-processor"] / mapping["batch_size"]
    in_workflow = assumed["share of payments in a workflow"]
    found = [
        _bound("API Gateway", "api requests/s", "the stage", rate, 1),
        _bound("API Gateway", "api requests/s", "AWS", limits, 1),
        _bound("Lambda, api-handler", "lambda executions at once", "AWS", limits, handlers),
        Bound(
            component="Lambda, payment-processor from the queue",
            limit="invocations of the event source at once",
            allowed=at_once,
            set_by="the stack",
            each=paying,
        ),
        Bound(
            component="Lambda, payment-processor",
            limit="lambda executions at once",
            allowed=executions,
            set_by="AWS",
            each=paying + in_workflow * seconds["payment-processor"],
        ),
        _bound(
            "Step Functions, what one try cannot finish",
            "executions started/s",
            "AWS",
            limits,
            in_workflow,
        ),
        _bound(
            "Step Functions, what one try cannot finish",
            "state transitions/s",
            "AWS",
            limits,
            in_workflow * transitions(stack),
        ),
        *(
            _bound(f"DynamoDB, {table}", "write units/s of a table", "AWS", limits, units)
            for table, units in per_table.items()
        ),
        _bound(
            "DynamoDB, payment-operations, each with a refund",
            "write units/s of a table",
            "AWS",
            limits,
            record["refund row"]["dynamodb write units of payment-operations"],
        ),
        Bound(
            component=f"DynamoDB, open payments in {OPEN_SHARDS} shards",
            limit="write units/s of a partition, each shard",
            allowed=limits["write units/s of a partition"]["value"] * OPEN_SHARDS,
            set_by="the code",
            each=api["dynamodb write units of payments index"],
        ),
        _bound("SQS", "messages in flight of a queue", "AWS", limits, seconds["payment-processor"]),
        _bound("SNS", "messages published/s", "AWS", limits, 1),
        # A payment asks two endpoints once each, and refunds another one.
        _bound("Stripe, where it charges", "requests/s of an endpoint", "Stripe", limits, 1),
    ]
    return sorted(found, key=lambda bound: bound.payments)


def _bound(
    component: str, limit: str, set_by: str, allowed: float | Mapping[str, Any], each: float
) -> Bound:
    value = allowed[limit]["value"] if isinstance(allowed, Mapping) else allowed
    return Bound(component=component, limit=limit, allowed=value, set_by=set_by, each=each)


HEADINGS: Final = [
    "component",
    "limit",
    "set by",
    "allowed",
    "a payment takes",
    "payments/s",
    "a million a minute needs",
]


def lines(stack: Mapping[str, Any]) -> list[list[str]]:
    """Return the table, the tightest bound first."""
    record, limits = json.loads(RECORD.read_text()), json.loads(LIMITS.read_text())["limits"]
    return [
        [
            bound.component,
            bound.limit,
            bound.set_by,
            f"{bound.allowed:,.0f}",
            f"{bound.each:.3g}",
            f"{bound.payments:,.0f}",
            "enough" if bound.payments >= GOAL else f"{bound.raise_to:,.0f}",
        ]
        for bound in bounds(stack, record, limits)
    ]


def main() -> int:
    """Print the table and put it into the page."""
    rows = lines(synthesised())
    table = Table(*HEADINGS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)
    PAGE.write_text(replace_table(PAGE.read_text(), "capacity", markdown_table(HEADINGS, rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
