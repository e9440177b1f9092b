"""Cost and capacity: the pages show what the models derive from the stack as it is."""

import copy
import json
from pathlib import Path

import pytest

from benchmarks import capacity, cost
from benchmarks.page import markdown_table, replace_table
from benchmarks.recording import RECORD
from lib.config import STRIPE_RATE
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")


def shows(page: Path, name: str, headings: list[str], rows: list[list[str]]) -> bool:
    text = page.read_text()
    return replace_table(text, name, markdown_table(headings, rows)) == text


def test_the_page_of_costs_shows_what_the_model_derives(prod: Stack) -> None:
    assert shows(cost.PAGE, "cost", cost.HEADINGS, cost.lines(prod.document))


def test_the_page_of_costs_shows_what_a_page_of_a_list_costs(prod: Stack) -> None:
    assert shows(cost.PAGE, "pages", cost.PAGE_HEADINGS, cost.page_lines(prod.document))


def test_the_page_of_costs_shows_what_a_refund_costs(prod: Stack) -> None:
    assert shows(cost.PAGE, "refunds", cost.REFUND_HEADINGS, cost.refund_lines(prod.document))


def test_a_refund_is_written_in_two_transactions_and_by_a_file_in_no_more() -> None:
    record = json.loads(RECORD.read_text())
    for way in cost.REFUND_WAYS:
        assert record[way]["dynamodb.TransactWriteItems"] == 2


def test_the_page_of_capacity_shows_what_the_model_derives(prod: Stack) -> None:
    assert shows(capacity.PAGE, "capacity", capacity.HEADINGS, capacity.lines(prod.document))


def test_a_payment_that_one_try_cannot_finish_passes_one_state_more(prod: Stack) -> None:
    assert cost.transitions(prod.document) == 1


def test_a_payment_costs_no_more_than_was_set_out(prod: Stack) -> None:
    *_, together = cost.lines(prod.document)
    by_api, by_batch = float(together[1]), float(together[4])
    assert by_api <= 18
    assert by_batch <= 15


def test_a_payment_takes_at_most_three_fifths_of_the_calls_that_it_took_before() -> None:
    now, before = (
        sum(
            count
            for name, count in json.loads(record.read_text())["api"].items()
            if name.partition(".")[0] in {"dynamodb", "sqs", "sns", "stepfunctions"}
        )
        for record in (RECORD, cost.BEFORE)
    )
    assert now <= 0.6 * before


def test_the_first_default_quota_of_aws_binds_at_2500_payments_a_second_or_more(
    prod: Stack,
) -> None:
    limits = json.loads(capacity.LIMITS.read_text())["limits"]
    found = capacity.bounds(prod.document, json.loads(RECORD.read_text()), limits)
    assert min(bound.payments for bound in found if bound.set_by == "AWS") >= 2500


def test_stripes_default_limit_is_the_rate_that_is_asked_for(prod: Stack) -> None:
    limits = json.loads(capacity.LIMITS.read_text())["limits"]
    found = capacity.bounds(prod.document, json.loads(RECORD.read_text()), limits)
    assert [bound.payments for bound in found if bound.set_by == "Stripe"] == [STRIPE_RATE]


def test_what_the_stack_sets_moves_what_the_model_derives(prod: Stack) -> None:
    record = json.loads(RECORD.read_text())
    limits = json.loads(capacity.LIMITS.read_text())["limits"]
    raised = copy.deepcopy(prod.document)
    [throttling] = raised["resource"]["aws_api_gateway_method_settings"].values()
    throttling["settings"]["throttling_rate_limit"] *= 2
    [before, after] = (
        next(
            bound for bound in capacity.bounds(stack, record, limits) if bound.set_by == "the stage"
        )
        for stack in (prod.document, raised)
    )
    assert after.payments == 2 * before.payments


def test_the_tightest_bound_comes_first(prod: Stack) -> None:
    record = json.loads(RECORD.read_text())
    limits = json.loads(capacity.LIMITS.read_text())["limits"]
    payments = [bound.payments for bound in capacity.bounds(prod.document, record, limits)]
    assert payments == sorted(payments)
    assert payments[0] < capacity.GOAL


def test_every_price_and_every_limit_has_its_source() -> None:
    prices = json.loads(cost.PRICES.read_text())["prices"]
    limits = json.loads(capacity.LIMITS.read_text())["limits"]
    for name, entry in {**prices, **limits}.items():
        host = entry["source"].removeprefix("https://").partition("/")[0]
        assert host in {"aws.amazon.com", "docs.aws.amazon.com", "docs.stripe.com"}, name
