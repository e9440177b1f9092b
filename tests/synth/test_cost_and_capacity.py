"""Cost and capacity: the pages show what the models derive from the stack as it is."""

import copy
import json
from pathlib import Path

import pytest

from benchmarks import capacity, cost
from benchmarks.page import markdown_table, replace_table
from benchmarks.recording import RECORD
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")


def shows(page: Path, name: str, headings: list[str], rows: list[list[str]]) -> bool:
    text = page.read_text()
    return replace_table(text, name, markdown_table(headings, rows)) == text


def test_the_page_of_costs_shows_what_the_model_derives(prod: Stack) -> None:
    assert shows(cost.PAGE, "cost", cost.HEADINGS, cost.lines(prod.document))


def test_the_page_of_capacity_shows_what_the_model_derives(prod: Stack) -> None:
    assert shows(capacity.PAGE, "capacity", capacity.HEADINGS, capacity.lines(prod.document))


def test_a_payment_passes_two_states(prod: Stack) -> None:
    assert cost.transitions(prod.document) == 2


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
        assert host in {"aws.amazon.com", "docs.aws.amazon.com"}, name
