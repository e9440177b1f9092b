"""Payments over HTTP, from the request to the notification, on the deployed stack."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.environment import Environment, Notifications


@pytest.mark.parametrize(
    ("amount", "currency", "amount_minor"),
    [(99.99, "USD", 9999), ("500.01", "EUR", 50001), ("1.250", "KWD", 1250), (50002, "JPY", 50002)],
    ids=["documented", "gateway unavailable once", "three decimals", "gateway's answer lost"],
)
def test_a_payment_is_accepted_charged_and_announced(
    environment: Environment,
    notifications: Notifications,
    payment_id: Callable[[], str],
    amount: float | str,
    currency: str,
    amount_minor: int,
) -> None:
    name = payment_id()
    accepted = environment.api.submit({"payment_id": name, "amount": amount, "currency": currency})
    assert accepted.status == 202
    assert accepted.json()["status"] == "PENDING"
    assert accepted.headers["location"].endswith(f"/payments/{name}")

    final = environment.api.final(name)
    assert final["status"] == "COMPLETED"
    assert final["amount_minor"] == amount_minor
    assert [entry["status"] for entry in final["history"]] == [
        "PENDING",
        "PROCESSING",
        "COMPLETED",
    ]

    # Only what one try cannot finish needs the workflow.
    assert environment.executions_of(name) == ([name] if amount_minor in {50001, 50002} else [])

    event = notifications.of(name)
    assert event["event_type"] == "payment.completed"
    assert event["event_id"] == f"{name}:3"
    assert event["payment"]["amount_minor"] == amount_minor


def test_a_declined_payment_fails_and_says_why(
    environment: Environment, notifications: Notifications, payment_id: Callable[[], str]
) -> None:
    payment = {"payment_id": payment_id(), "amount": "400.01", "currency": "USD"}
    environment.api.submit(payment)
    final = environment.api.final(payment["payment_id"])
    assert final["status"] == "FAILED"
    assert final["failure_code"] == "insufficient_funds"
    assert final["failure_message"]
    event = notifications.of(payment["payment_id"])
    assert event["event_type"] == "payment.failed"
    assert event["payment"]["failure_code"] == "insufficient_funds"


def test_a_gateway_that_stays_down_ends_in_a_failure(
    environment: Environment, notifications: Notifications, payment_id: Callable[[], str]
) -> None:
    payment = {"payment_id": payment_id(), "amount": "500.03", "currency": "USD"}
    environment.api.submit(payment)
    final = environment.api.final(payment["payment_id"], patience=120)
    assert (final["status"], final["failure_code"]) == ("FAILED", "gateway_unavailable")
    assert notifications.of(payment["payment_id"])["event_type"] == "payment.failed"


def test_a_hundred_requests_at_once_are_one_payment(
    environment: Environment, notifications: Notifications, payment_id: Callable[[], str]
) -> None:
    name = payment_id()
    payment = {"payment_id": name, "amount": 10, "currency": "USD"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: environment.api.submit(payment), range(100)))
    assert sorted(answer.status for answer in answers) == [200] * 99 + [202]
    replays = [answer for answer in answers if answer.status == 200]
    assert {answer.headers.get("idempotent-replayed") for answer in replays} == {"true"}
    assert environment.api.final(name)["status"] == "COMPLETED"
    assert environment.executions_of(name) == []
    assert notifications.of(name)["event_id"] == f"{name}:3"


def test_the_same_payment_again_is_answered_as_it_stands(
    environment: Environment, payment_id: Callable[[], str]
) -> None:
    payment = {"payment_id": payment_id(), "amount": "12.30", "currency": "EUR"}
    assert environment.api.submit(payment).status == 202
    environment.api.final(payment["payment_id"])
    replay = environment.api.submit({**payment, "amount": 12.3})
    assert replay.status == 200
    assert replay.headers["idempotent-replayed"] == "true"
    assert replay.json()["status"] == "COMPLETED"


def test_other_content_under_the_same_id_is_a_conflict(
    environment: Environment, payment_id: Callable[[], str]
) -> None:
    payment = {"payment_id": payment_id(), "amount": "12.30", "currency": "EUR"}
    environment.api.submit(payment)
    conflict = environment.api.submit({**payment, "amount": "12.31"})
    assert conflict.status == 409
    assert conflict.headers["content-type"] == "application/problem+json"
    assert conflict.json()["payment"]["amount"] == "12.30"
    assert environment.api.final(payment["payment_id"])["amount"] == "12.30"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/payments/pay_that_nobody_made", None, 404),
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/payments/pay_123456", None, 404),
        ("POST", "/payments", b"", 400),
        ("POST", "/payments", b"{not json", 400),
        ("POST", "/payments", b"[]", 400),
        ("POST", "/payments", b'{"payment_id": "a b", "amount": -1, "currency": "usd"}', 400),
        ("POST", "/payments", b'{"payment_id": "' + b"x" * 20_000 + b'"}', 413),
    ],
)
def test_an_error_is_a_problem_with_request_id_and_faults(
    environment: Environment, method: str, path: str, body: bytes | None, status: int
) -> None:
    answer = environment.api.request(method, path, body=body)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["request_id"]
    assert all(set(error) == {"field", "code", "message"} for error in problem["errors"])
    assert problem["errors"]


def test_every_fault_of_a_request_comes_at_once(environment: Environment) -> None:
    body = {"payment_id": "a b", "amount": "1.999", "currency": "usd", "note": 1}
    problem = environment.api.submit(body).json()
    assert {(error["field"], error["code"]) for error in problem["errors"]} == {
        ("payment_id", "invalid_format"),
        ("currency", "unknown_currency"),
        ("note", "unknown_field"),
    }


def test_a_body_that_is_not_declared_as_json_is_refused(environment: Environment) -> None:
    body = json.dumps({"payment_id": "pay_1", "amount": 1, "currency": "USD"}).encode()
    answer = environment.api.request(
        "POST", "/payments", body=body, headers={"Content-Type": "text/plain"}
    )
    assert answer.status == 415
    assert answer.headers["content-type"] == "application/problem+json"
