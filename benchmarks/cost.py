"""``make cost``: what a million payments cost, line by line, beside a naive build of the same.

Counts come from ``recorded.json`` (``make cost-record``) and from the synthesised stack, prices
and assumptions from ``prices.json``. Not in it: storage by the month, what subscribers cost, and
KMS, whose keys AWS services cache for minutes, so that it does not grow with payments.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks import fixed_costs
from benchmarks.measurement import REPOSITORY
from benchmarks.page import markdown_table, replace_table
from benchmarks.recording import RECORD
from payments.aws.keys import TIME_SHARDS
from payments.aws.lists import MOST_QUERIES
from payments.flows.listing import MOST_AT_ONCE, MOST_LOOKS

PRICES: Final = REPOSITORY / "benchmarks/prices.json"
PAGE: Final = REPOSITORY / "docs/cost.md"
WAYS: Final = ("api", "batch")

BEFORE: Final = REPOSITORY / "benchmarks/recorded-before.json"
"""What the version before took, with a workflow for every payment."""

TRANSITIONS_BEFORE: Final = 2
PROCESSED: Final = 1
"""How often the payment processor works on a payment."""

type Quantities = dict[str, float]
"""How much of what is priced one payment takes."""


def synthesised() -> dict[str, Any]:
    """Return the Terraform of a protected environment, as the stack synthesises it."""
    from lib.config import PROJECT, StackConfig  # noqa: PLC0415 - starts a Node.js process
    from main import synthesise  # noqa: PLC0415 - likewise

    config = StackConfig(
        suffix="prod",
        region="us-east-1",
        state_bucket="acme-terraform-state",
        state_bucket_region="us-east-1",
    )
    with tempfile.TemporaryDirectory() as folder:
        synthesise(config, folder=folder)
        file = Path(folder, "stacks", config.name(PROJECT), "cdk.tf.json")
        document: dict[str, Any] = json.loads(file.read_text())
    return document


def memory_gb(stack: Mapping[str, Any]) -> dict[str, float]:
    """Return the memory of each function, by short name."""
    return {
        function["handler"].partition(".")[0].replace("_", "-"): function["memory_size"] / 1024
        for function in stack["resource"]["aws_lambda_function"].values()
    }


def transitions(stack: Mapping[str, Any]) -> int:
    """Return how many states a payment passes that one try could not finish, and no more."""
    [definition] = (
        json.loads(machine["definition"])
        for machine in stack["resource"]["aws_sfn_state_machine"].values()
        if machine["name"] == "payment-workflow-prod"
    )
    state, passed = definition["StartAt"], 1
    while "Next" in definition["States"][state]:
        state, passed = definition["States"][state]["Next"], passed + 1
    return passed


def ours(
    recorded: Mapping[str, float], stack: Mapping[str, Any], assumed: Mapping[str, Any]
) -> Quantities:
    """Return what one payment takes, from what a run recorded."""
    invocations = {
        name.removeprefix("invocations of "): count
        for name, count in recorded.items()
        if name.startswith("invocations of ")
    }
    return {
        "api gateway request": invocations.get("api-handler", 0),
        **_lambda(invocations, stack, assumed, processed=PROCESSED),
        "state transition": transitions(stack) * assumed["share of payments in a workflow"],
        "dynamodb write unit": sum(
            count for name, count in recorded.items() if name.startswith("dynamodb write units")
        ),
        "dynamodb read unit": recorded.get("dynamodb read units", 0),
        "sqs request": sum(count for name, count in recorded.items() if name.startswith("sqs.")),
        "sns publish": 1,
        "s3 read": recorded.get("s3.GetObject", 0),
        "s3 write": recorded.get("s3.PutObject", 0),
        "log MB": _log_megabytes(recorded["bytes logged"], sum(invocations.values()), assumed),
        "trace": assumed["share of requests traced"],
    }


def before(
    _: Mapping[str, float], stack: Mapping[str, Any], assumed: Mapping[str, Any], *, way: str
) -> Quantities:
    """Return what one payment took in the version before, as it was recorded then."""
    recorded = json.loads(BEFORE.read_text())[way]
    invocations = {
        name.removeprefix("invocations of "): count
        for name, count in recorded.items()
        if name.startswith("invocations of ")
    }
    return {
        **ours(recorded, stack, assumed),
        **_lambda(invocations, stack, assumed, processed=2),
        "state transition": TRANSITIONS_BEFORE,
    }


NAIVE_STEPS: Final = 6
"""Validate, create, mark as processing, charge, mark as final, notify: a function each."""


def naive(
    recorded: Mapping[str, float], stack: Mapping[str, Any], assumed: Mapping[str, Any]
) -> Quantities:
    """Return what one payment takes in a naive build of the same system.

    One function a step of a workflow; rows sent one by one and received likewise; the same
    items written one by one, without transactions, which cost half as much and keep no promise;
    and a read before each of the three changes, to see what is there.
    """
    over_http = recorded.get("invocations of api-handler", 0)
    invocations = {
        "api-handler": over_http,
        # The steps, and one invocation a message to start them.
        "payment-processor": NAIVE_STEPS + 1,
        "batch-processor": recorded.get("invocations of batch-processor", 0),
    }
    return {
        **ours(recorded, stack, assumed),
        **_lambda(invocations, stack, assumed, processed=NAIVE_STEPS + 1),
        "state transition": NAIVE_STEPS,
        "dynamodb write unit": sum(
            # The index is written outside of any transaction.
            count if name.endswith("index") else count / 2
            for name, count in recorded.items()
            if name.startswith("dynamodb write units")
        ),
        "dynamodb read unit": recorded.get("dynamodb read units", 0) + 3,
        "sqs request": 3,
        # As much for each piece of work as we write.
        "log MB": _log_megabytes(
            recorded["bytes logged"] * (over_http + NAIVE_STEPS + 1) / (over_http + PROCESSED),
            sum(invocations.values()),
            assumed,
        ),
    }


def _lambda(
    invocations: Mapping[str, float],
    stack: Mapping[str, Any],
    assumed: Mapping[str, Any],
    *,
    processed: float,
) -> Quantities:
    """Return what functions take; ``processed`` is how often the processor works on a payment.

    Its time is counted for each payment alone, although ten are worked on side by side.
    """
    memory, seconds = memory_gb(stack), assumed["seconds of work"]
    work = {**invocations, "payment-processor": processed}
    return {
        "lambda invocation": sum(invocations.values()),
        "lambda GB-second": sum(
            count * memory[function] * seconds[function] for function, count in work.items()
        ),
    }


def _log_megabytes(written: float, invocations: float, assumed: Mapping[str, Any]) -> float:
    own_lines = invocations * assumed["bytes of lambda's own lines an invocation"]
    return (float(written) + float(own_lines)) / 1e6


def lines(stack: Mapping[str, Any]) -> list[list[str]]:
    """Return the table: USD for a million payments, by API and by batch, beside naive."""
    book = json.loads(PRICES.read_text())
    record = json.loads(RECORD.read_text())
    prices = {name: price["usd_per_million"] for name, price in book["prices"].items()}
    columns = [
        build(record[way], stack, book["assumptions"])
        for way in WAYS
        for build in (ours, partial(before, way=way), naive)
    ]
    usd = [{name: column[name] * price for name, price in prices.items()} for column in columns]
    rows = [
        [name, *(f"{column[name]:,.2f}" for column in usd)]
        for name in sorted(prices, key=lambda name: -usd[0][name])
    ]
    return [*rows, ["all together", *(f"{sum(column.values()):,.2f}" for column in usd)]]


PAGE_HEADINGS: Final = [
    "USD a million pages of a list",
    *("20 payments", "100 payments", "filters, at most"),
]

_UNITS_OF_ENTRIES: Final = 0.5
"""Up to 4 KB of an index, eventually consistent: 32 entries."""
_UNITS_OF_ENTRIES_TO_FILTER: Final = 2
"""100 entries of at most 160 bytes: id, shard, time, currency and source."""


def page_lines(stack: Mapping[str, Any]) -> list[list[str]]:
    """Return the table: USD for a million pages of a list.

    A page reads each shard of the index once, and its payments strongly consistent. With filters it
    may read until its reads are used up.
    """
    book = json.loads(PRICES.read_text())
    prices = {name: price["usd_per_million"] for name, price in book["prices"].items()}
    assumed = book["assumptions"]
    seconds = assumed["seconds of work for a page of a list"]
    everywhere = {
        "api gateway request": 1,
        "lambda invocation": 1,
        "lambda GB-second": memory_gb(stack)["api-handler"] * seconds,
        "log MB": _log_megabytes(0, 1, assumed),
    }
    columns = [
        {**everywhere, "dynamodb read unit": units}
        for units in (
            TIME_SHARDS * _UNITS_OF_ENTRIES + 20,
            TIME_SHARDS * _UNITS_OF_ENTRIES + 100,
            MOST_QUERIES * _UNITS_OF_ENTRIES_TO_FILTER + MOST_LOOKS * MOST_AT_ONCE,
        )
    ]
    usd = [{name: column[name] * prices[name] for name in column} for column in columns]
    rows = [
        [name, *(f"{column[name]:,.2f}" for column in usd)]
        for name in sorted(usd[0], key=lambda name: -usd[0][name])
    ]
    return [*rows, ["all together", *(f"{sum(column.values()):,.2f}" for column in usd)]]


REFUND_HEADINGS: Final = ["USD a million refunds", "API", "file"]

REFUND_WAYS: Final = ("refund", "refund row")


def refund_lines(stack: Mapping[str, Any]) -> list[list[str]]:
    """Return the table: USD for a million refunds, over the API and by the file."""
    book, record = json.loads(PRICES.read_text()), json.loads(RECORD.read_text())
    prices = {name: price["usd_per_million"] for name, price in book["prices"].items()}
    usd = [
        {name: count * prices[name] for name, count in taken.items()}
        for taken in (ours(record[way], stack, book["assumptions"]) for way in REFUND_WAYS)
    ]
    rows = [
        [name, *(f"{column[name]:,.2f}" for column in usd)]
        for name in sorted(usd[0], key=lambda name: -usd[0][name])
    ]
    return [*rows, ["all together", *(f"{sum(column.values()):,.2f}" for column in usd)]]


HEADINGS: Final = [
    "USD a million payments",
    *("API", "API, version before", "API, naive"),
    *("batch", "batch, version before", "batch, naive"),
]


def main() -> int:
    """Print the table and put it into the page."""
    stack = synthesised()
    rows = lines(stack)
    console = Console(highlight=False)
    table = Table(*HEADINGS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    book = json.loads(PRICES.read_text())
    console.print(f"{book['about']} ({book['as_of']})")
    PAGE.write_text(replace_table(PAGE.read_text(), "cost", markdown_table(HEADINGS, rows)))
    pages = markdown_table(PAGE_HEADINGS, page_lines(stack))
    PAGE.write_text(replace_table(PAGE.read_text(), "pages", pages))
    refunds = markdown_table(REFUND_HEADINGS, refund_lines(stack))
    PAGE.write_text(replace_table(PAGE.read_text(), "refunds", refunds))
    PAGE.write_text(fixed_costs.update(PAGE.read_text()))
    console.print(f"Written to {PAGE.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
