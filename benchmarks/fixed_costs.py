"""What an environment costs without a single payment, and what a stranger could make it cost.

The first is counted in the synthesised stacks and priced by ``monthly_prices.json``. The second is
the throttle of an open API, all month long, at the price of a payment that the same page derives.
"""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.measurement import REPOSITORY
from benchmarks.page import markdown_table, replace_table

PRICES: Final = REPOSITORY / "benchmarks/monthly_prices.json"
FIXED: Final = "fixed"
ATTACK: Final = "attack"
FIXED_HEADINGS: Final = ["USD a month, without a payment", "disposable", "protected"]
ATTACK_HEADINGS: Final = ["by a stranger, to an open API", "payments", "USD"]

SECONDS_OF_A_MONTH: Final = 730 * 3600
SECONDS_OF_A_DAY: Final = 24 * 3600

type Document = Mapping[str, Any]
"""The Terraform of one environment, as the stack synthesises it."""


def counts(stack: Document) -> dict[str, float]:
    """Return how much a stack has of each thing that costs by the month."""
    resources = stack["resource"]
    assumed = {
        name: each["value"] for name, each in json.loads(PRICES.read_text())["assumptions"].items()
    }
    polled = [
        mapping
        for mapping in resources["aws_lambda_event_source_mapping"].values()
        if "aws_sqs_queue" in mapping["event_source_arn"]
    ]
    polls = assumed["pollers of an idle queue"] * SECONDS_OF_A_MONTH / assumed["seconds of a poll"]
    web_acls = resources.get("aws_wafv2_web_acl", {}).values()
    return {
        "encryption key": len(resources["aws_kms_key"]),
        "alarm": len(resources["aws_cloudwatch_metric_alarm"]),
        "dashboard": len(resources["aws_cloudwatch_dashboard"]),
        "metric of a route": (
            len(resources["aws_api_gateway_method"]) * assumed["metrics of a route"]
        ),
        "web ACL": len(web_acls),
        "rule of the web ACL": sum(len(web_acl["rule"]) for web_acl in web_acls),
        "million polls of idle queues": len(polled) * polls / 1e6,
    }


def fixed_lines(disposable: Document, protected: Document) -> list[list[str]]:
    """Return the table of what both kinds of environment cost by the month."""
    prices = {
        name: price["usd"] for name, price in json.loads(PRICES.read_text())["prices"].items()
    }
    usd = [
        {name: count * prices[name] for name, count in counts(stack).items()}
        for stack in (disposable, protected)
    ]
    rows = [
        [name, *(f"{each[name]:,.2f}" for each in usd)]
        for name in sorted(prices, key=lambda name: -usd[1][name])
    ]
    return [*rows, ["together", *(f"{sum(each.values()):,.2f}" for each in usd)]]


def attack_lines(disposable: Document, *, usd_a_million: float) -> list[list[str]]:
    """Return the table of what payments at the rate of the throttle cost.

    Args:
        disposable: the environment, whose API is open.
        usd_a_million: what a million payments by API cost.
    """
    [throttling] = disposable["resource"]["aws_api_gateway_method_settings"].values()
    rate = throttling["settings"]["throttling_rate_limit"]
    return [
        [
            f"{rate} payments a second, for {span}",
            f"{rate * seconds:,.0f}",
            f"{rate * seconds / 1e6 * usd_a_million:,.0f}",
        ]
        for span, seconds in (("a day", SECONDS_OF_A_DAY), ("a month", SECONDS_OF_A_MONTH))
    ]


def price_on(page: str) -> float:
    """Return what the page of costs says a million payments by API cost, in USD.

    Raises:
        ValueError: the page does not say it.
    """
    found = re.search(r"(?m)^\| all together \| ([\d,.]+) \|", page)
    if found is None:
        raise ValueError("the page of costs has no row 'all together'")
    return float(found[1].replace(",", ""))


def rendered(page: str, *, disposable: Document, protected: Document) -> str:
    """Return the page of costs with both tables derived again, from the price that it shows."""
    fixed = markdown_table(FIXED_HEADINGS, fixed_lines(disposable, protected))
    attack = markdown_table(ATTACK_HEADINGS, attack_lines(disposable, usd_a_million=price_on(page)))
    return replace_table(replace_table(page, FIXED, fixed), ATTACK, attack)


def update(page: str) -> str:
    """Return the page of costs with both tables derived from the stack as it is now."""
    return rendered(page, disposable=_synthesised("dev"), protected=_synthesised("prod"))


def _synthesised(suffix: str) -> dict[str, Any]:
    from lib.config import PROJECT, StackConfig, is_protected  # noqa: PLC0415 - starts Node.js
    from main import synthesise  # noqa: PLC0415 - likewise

    told = is_protected(suffix)
    config = StackConfig(
        suffix=suffix,
        region="us-east-1",
        state_bucket="acme-terraform-state",
        state_bucket_region="us-east-1",
        alarm_email="on-call@example.com" if told else None,
        payment_updates_endpoint="https://ledger.example.com" if told else None,
    )
    with tempfile.TemporaryDirectory() as folder:
        synthesise(config, folder=folder)
        file = Path(folder, "stacks", config.name(PROJECT), "cdk.tf.json")
        document: dict[str, Any] = json.loads(file.read_text())
    return document
