"""Refunds, captures and cancellations over HTTP, on the deployed stack."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local import batches
from operations.reports import Report
from tests.e2e.environment import Environment, Notifications, eventually

PATIENCE = 120


def post(environment: Environment, path: str, body: Mapping[str, object]) -> tuple[int, Any]:
    """Send a request for an operation and return status and body."""
    answer = environment.api.request("POST", f"/payments/{path}", body=body)
    return answer.status, answer.json()


def paid(environment: Environment, name: str, amount: str, **fields: str) -> dict[str, Any]:
    """Make a payment and wait until it is charged or authorised."""
    payment = {"payment_id": name, "amount": amount, "currency": "USD", **fields}
    assert environment.api.submit(payment).status == 202
    return environment.api.final(name)


def ended(environment: Environment, name: str, number: int) -> dict[str, Any]:
    """Wait until a payment has so many operations with an outcome; return it."""

    def look() -> dict[str, Any] | None:
        told = environment.api.payment(name).json()
        done = [each for each in told["operations"] if each["status"] != "PENDING"]
        return told if len(done) == number else None

    return eventually(look, patience=PATIENCE)


def test_a_payment_is_refunded_twice_and_never_beyond_what_was_captured(
    environment: Environment, notifications: Notifications, payment_id: Callable[[], str]
) -> None:
    name = payment_id()
    paid(environment, name, "100.00")
    first = {"refund_id": "r1", "amount": "60.00", "reason": "requested_by_customer"}
    status, refund = post(environment, f"{name}/refunds", first)
    assert (status, refund["amounts"]["refundable"]) == (202, "40.00")
    assert post(environment, f"{name}/refunds", first)[0] == 200
    status, problem = post(environment, f"{name}/refunds", {**first, "refund_id": "r2"})
    assert (status, problem["errors"][0]["code"]) == (409, "exceeds_refundable")
    assert problem["amounts"]["refundable"] == "40.00"
    assert post(environment, f"{name}/refunds", {"refund_id": "r3"})[0] == 202
    told = ended(environment, name, 2)
    assert {each["status"] for each in told["operations"]} == {"COMPLETED"}
    assert (told["amounts"]["refunded"], told["amounts"]["refundable"]) == ("100.00", "0.00")
    status, problem = post(environment, f"{name}/refunds", {"refund_id": "r4"})
    assert (status, problem["errors"][0]["code"]) == (409, "nothing_left")
    event = notifications.matching(
        lambda event: (
            event.get("event_type") == "refund.completed" and event["payment"]["payment_id"] == name
        )
    )
    assert event["operation"]["kind"] == "refund"


def test_many_refunds_at_one_time_are_as_many_as_there_is_money_for(
    environment: Environment, payment_id: Callable[[], str]
) -> None:
    name = payment_id()
    paid(environment, name, "5.00")
    bodies = [{"refund_id": f"r{number}", "amount": "1.00"} for number in range(10)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda body: post(environment, f"{name}/refunds", body), bodies))
    assert sorted(status for status, _ in answers) == [202] * 5 + [409] * 5
    assert ended(environment, name, 5)["amounts"]["refunded"] == "5.00"


@pytest.mark.parametrize(
    ("amount", "status"),
    [("600.01", "FAILED"), ("600.02", "COMPLETED"), ("600.06", "COMPLETED")],
    ids=["refused", "answer lost", "unavailable"],
)
def test_a_refund_ends_whatever_the_processor_does(
    environment: Environment, payment_id: Callable[[], str], amount: str, status: str
) -> None:
    name = payment_id()
    paid(environment, name, "1000.00")
    assert post(environment, f"{name}/refunds", {"refund_id": "r1", "amount": amount})[0] == 202
    told = ended(environment, name, 1)
    assert told["operations"][0]["status"] == status
    assert told["amounts"]["refunded"] == (amount if status == "COMPLETED" else "0.00")


def test_a_file_of_refunds_is_tried_and_refunds_once_however_often_it_is_sent(
    environment: Environment, payment_id: Callable[[], str], tmp_path: Path
) -> None:
    name, other = payment_id(), payment_id()
    for each in (name, other):
        paid(environment, each, "100.00")
    file = tmp_path / "march.csv"
    file.write_text(
        "payment_id,refund_id,amount,reason\n"
        f"{name},r1,60.00,damaged\n"
        f"{other},r1,50.00,\n"
        f"{other},r2,100.00,\n"
        f"{name},r 2,1.00,\n"
    )

    def sent(*, dry_run: bool = False) -> Report:
        batch_id = batches.upload(environment.deployment, file, dry_run=dry_run, refunds=True)
        return batches.follow(environment.deployment, batch_id)

    def counts(report: Report) -> list[Any]:
        told = ("rejected", "completed", "duplicate", "refused", "accepted_amounts")
        return [report.summary[each] for each in told]

    assert counts(sent(dry_run=True)) == [1, 0, 0, 1, {"USD": "110.00"}]
    assert environment.api.payment(name).json()["amounts"]["refunded"] == "0.00"
    first = sent()
    # Of two rows of one payment, either may be first.
    refunded = environment.api.payment(other).json()["amounts"]["refunded"]
    assert refunded in {"50.00", "100.00"}
    assert (first.summary["kind"], first.summary["completed"], first.summary["refused"]) == (
        "refunds",
        2,
        1,
    )
    [refused] = first.not_paid
    code = "nothing_left" if refunded == "100.00" else "exceeds_refundable"
    assert (refused["[not paid code]"], refused["refund_id"]) == (code, "")
    assert counts(sent()) == [1, 0, 2, 1, {}]
    assert environment.api.payment(name).json()["amounts"]["refunded"] == "60.00"
    assert environment.api.payment(other).json()["amounts"]["refunded"] == refunded


def test_a_payment_is_authorised_and_captured_in_part(
    environment: Environment, notifications: Notifications, payment_id: Callable[[], str]
) -> None:
    name = payment_id()
    held = paid(environment, name, "100.00", capture="manual")
    assert (held["status"], held["amounts"]["capturable"]) == ("AUTHORIZED", "100.00")
    assert held["capture_before"] > held["updated_at"]
    assert notifications.of(name)["event_type"] == "payment.authorized"
    status, _ = post(environment, f"{name}/captures", {"capture_id": "c1", "amount": "60.00"})
    assert status == 202
    status, problem = post(environment, f"{name}/cancel", {})
    assert status == 409
    assert problem["errors"][0]["code"] in {"operation_pending", "already_captured"}
    told = ended(environment, name, 1)
    assert told["status"] == "COMPLETED"
    assert (told["amounts"]["captured"], told["amounts"]["released"]) == ("60.00", "40.00")
    assert post(environment, f"{name}/refunds", {"refund_id": "r1"})[0] == 202
    assert ended(environment, name, 2)["amounts"]["refunded"] == "60.00"


def test_an_authorised_payment_is_cancelled_once(
    environment: Environment, payment_id: Callable[[], str]
) -> None:
    name = payment_id()
    paid(environment, name, "100.00", capture="manual")
    assert post(environment, f"{name}/cancel", {"reason": "abandoned"})[0] == 202
    told = ended(environment, name, 1)
    assert (told["status"], told["amounts"]["released"]) == ("CANCELED", "100.00")
    assert post(environment, f"{name}/cancel", {})[0] == 200
    assert post(environment, f"{name}/captures", {"capture_id": "c1"})[0] == 409
