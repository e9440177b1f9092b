"""Payments through Stripe's double on the deployed stack: the double knows what was really charged."""

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import batches, stripe
from local.stripe_double.double import TEST_KEY
from tests.e2e.environment import eventually
from tests.e2e_stripe.conftest import RATE, WORKSPACE, StripeEnvironment

ROWS = 250
BUS = f"payment-processor-events-{WORKSPACE.suffix}"


def test_without_a_key_a_payment_waits_and_with_it_goes_on_by_itself(
    deployed: StripeEnvironment, give_key: Callable[[str], str]
) -> None:
    payment_id = deployed.pay()
    # Long enough for a first try and its repetition.
    time.sleep(5)
    assert deployed.environment.api.payment(payment_id).json()["status"] == "PENDING"
    assert "test-stripe has a new secret test key" in give_key(TEST_KEY)
    assert deployed.environment.api.final(payment_id, patience=120)["status"] == "COMPLETED"
    assert deployed.charged(payment_id) == [9999]
    assert "secret test key since" in deployed.payments("processor", "status")


def test_a_payment_is_charged_once_by_its_card(system: StripeEnvironment) -> None:
    payment_id = system.pay()
    final = system.environment.api.final(payment_id)
    assert [entry["status"] for entry in final["history"]] == [
        "PENDING",
        "PROCESSING",
        "COMPLETED",
    ]
    assert system.charged(payment_id) == [9999]
    assert system.environment.executions_of(payment_id) == []


def test_a_declined_card_fails_with_its_reason(system: StripeEnvironment) -> None:
    card = system.double.attached("pm_card_chargeCustomerFail")
    payment_id = system.pay(processor_payment_method=card)
    final = system.environment.api.final(payment_id)
    assert (final["status"], final["failure_code"]) == ("FAILED", "card_declined")
    assert system.charged(payment_id) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"processor_customer": None}, "required"),
        ({"currency": "CLF", "amount": "1.0000"}, "currency_not_supported"),
    ],
)
def test_what_stripe_cannot_take_is_refused_at_the_door(
    system: StripeEnvironment, fields: dict[str, Any], code: str
) -> None:
    payment = {"payment_id": "pay_refused", "amount": "99.99", "currency": "USD"}
    asked = {**payment, **system.double.card, **fields}
    answer = system.environment.api.submit(
        {name: value for name, value in asked.items() if value is not None}
    )
    assert answer.status == 400
    assert code in {error["code"] for error in answer.json()["errors"]}


def test_a_lost_answer_is_found_by_the_workflow(system: StripeEnvironment) -> None:
    system.double.control("POST", "faults", [{"fault": "lose", "at": "confirm"}])
    payment_id = system.pay()
    assert system.environment.api.final(payment_id)["status"] == "COMPLETED"
    assert system.environment.executions_of(payment_id) == [payment_id]
    assert system.charged(payment_id) == [9999]


def test_a_rolled_key_needs_no_deployment(
    system: StripeEnvironment, give_key: Callable[[str], str]
) -> None:
    rolled = "sk_test_rolled_over_now"
    give_key(rolled)
    system.double.control("POST", "key", {"key": rolled})
    payment_id = system.pay()
    assert system.environment.api.final(payment_id)["status"] == "COMPLETED"
    give_key(TEST_KEY)
    system.double.control("POST", "key", {"key": TEST_KEY})


def test_a_refund_that_the_bank_sends_back_fails_by_an_event(system: StripeEnvironment) -> None:
    payment_id = system.pay()
    system.environment.api.final(payment_id)
    events = system.environment.clients.events
    path = f"/payments/{payment_id}/refunds"
    with stripe.forwarding(system.double, events, bus=BUS):
        refund = {"refund_id": "r1", "amount": "10.00"}
        assert system.environment.api.request("POST", path, body=refund).status == 202
        system.environment.api.ended(f"{path}/r1", {"COMPLETED"})
        assert system.charged(payment_id) == [8999]
        system.double.fail_refund_of(payment_id)
        failed = system.environment.api.ended(f"{path}/r1", {"FAILED"})
    assert failed["failure_code"] == "refund_returned"
    assert system.environment.api.payment(payment_id).json()["amounts"]["refunded"] == "0.00"


def test_an_authorisation_that_stripe_releases_ends_the_payment_by_an_event(
    system: StripeEnvironment,
) -> None:
    payment_id = system.pay(capture="manual")
    api = system.environment.api
    api.ended(f"/payments/{payment_id}", {"AUTHORIZED"})
    with stripe.forwarding(system.double, system.environment.clients.events, bus=BUS):
        [charge] = system.double.charges()[payment_id]
        system.double.asked(f"payment_intents/{charge['payment_intent']}/cancel", {})
        api.ended(f"/payments/{payment_id}", {"CANCELED"})
    assert system.charged(payment_id) == []


def test_a_file_is_paid_no_faster_than_the_rate_and_nobody_is_declined(
    system: StripeEnvironment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """How fast an emulator is says nothing of AWS: that the rate is used is ``make pace``'s claim."""
    file = tmp_path / "pace.csv"
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["payment_id", "amount", "currency", *system.double.card])
        rows.writerows(
            [f"pace_{number}", "1.00", "USD", *system.double.card.values()]
            for number in range(ROWS)
        )
    deployment = system.environment.deployment

    def charges() -> int:
        return sum(name.startswith("pace_") for name in system.double.charges())

    batch_id = batches.upload(deployment, file)
    eventually(lambda: charges() or None, patience=60)
    since, first = time.monotonic(), charges()
    eventually(lambda: True if charges() == ROWS else None, patience=240)
    per_second = (ROWS - first) / (time.monotonic() - since)
    summary = batches.follow(deployment, batch_id, patience=120).summary
    assert (summary["status"], summary["completed"]) == ("COMPLETED", ROWS)
    dead = system.environment.outputs["payment_events_dlq_url"]
    told = system.environment.clients.sqs.get_queue_attributes(
        QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert told["Attributes"]["ApproximateNumberOfMessages"] == "0"
    with capsys.disabled():
        print(f"\n{ROWS} rows: {per_second:.1f} charges a second of {RATE}")  # noqa: T201
    assert per_second <= 1.1 * RATE
