"""Stripe's events are hints: which charge of ours one is about, and nothing else."""

from typing import Any

import pytest

from payments.gateways.port import Hint
from payments.gateways.stripe.events import hint_of
from tests.unit.aws_events import load


@pytest.fixture
def event() -> dict[str, Any]:
    """An event as EventBridge delivers it."""
    loaded: dict[str, Any] = load("stripe_through_eventbridge")
    return loaded


def test_an_event_tells_the_payment_and_the_charge(event: dict[str, Any]) -> None:
    assert hint_of(event, environment="dev") == Hint("pay_1", "pi_3MtwBwLkdIwHu7ix28a3tqPa")


def test_an_event_of_another_environment_in_the_same_account_is_none_of_ours(
    event: dict[str, Any],
) -> None:
    assert hint_of(event, environment="prod") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {}},
        {"metadata": {"environment": "dev"}},
        {"metadata": {"environment": "dev", "payment_id": 1}},
        {"metadata": None},
        {"id": None},
        {"object": "charge"},
    ],
)
def test_what_is_not_of_our_making_is_passed_over(
    event: dict[str, Any], changes: dict[str, Any]
) -> None:
    event["detail"]["data"]["object"].update(changes)
    assert hint_of(event, environment="dev") is None


@pytest.mark.parametrize("detail", [None, {}, {"data": None}, {"data": {"object": "pi_1"}}, "text"])
def test_what_is_no_event_is_passed_over(event: dict[str, Any], detail: object) -> None:
    assert hint_of({**event, "detail": detail}, environment="dev") is None
