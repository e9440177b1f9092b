"""Paying, refunding, capturing, cancelling at a terminal: remembered before it is sent."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from operations import api as apis
from operations import clients, money, requests
from operations.api import NoAnswer
from operations.cli import main
from operations.journal import Journal
from tests.unit.operations.fake_api import Asked, FakeApi, payment

ARN = "arn:aws:iam::123456789012:user/anna"
PAY = ["--env", "test", "pay", "99.99", "USD", "--id", "pay_1"]


class Sts:
    """Says who asks."""

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": ARN}


class Terminal(io.StringIO):
    """Where a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeApi:
    """An API, and a user whose state is nowhere else."""
    fake = FakeApi()
    monkeypatch.setattr(apis, "find", lambda _: fake)
    monkeypatch.setattr(clients, "sts", Sts)
    monkeypatch.setattr(money, "_PAUSE_SECONDS", 0)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return fake


def waiting() -> list[str]:
    return [request.name for request in Journal("test").waiting()]


def answer_at_the_terminal(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(line))


def test_a_payment_is_made_and_its_outcome_is_told(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on("POST /payments", (202, payment("PENDING")))
    api.on("GET /payments/pay_1", (200, payment("PROCESSING")), (200, payment("COMPLETED")))
    assert main([*PAY, "--yes"]) == 0
    assert api.asked[0].body == {"payment_id": "pay_1", "amount": "99.99", "currency": "USD"}
    assert "pay_1  99.99 USD  COMPLETED" in capsys.readouterr().out
    assert waiting() == []


def test_an_id_is_made_and_on_disk_before_anything_is_sent(api: FakeApi) -> None:
    seen: list[Any] = []

    def look(asked: Asked) -> None:
        if asked.method == "POST":
            [request] = Journal("test").waiting()
            seen.append((request.body, Journal("test").file(request).stat().st_mode & 0o777))

    api.before = look
    api.on("POST /payments", (202, payment("COMPLETED")))
    assert main(["--env", "test", "pay", "1", "USD", "--yes"]) == 0
    [(body, mode)] = seen
    assert body["payment_id"].startswith("pay_")
    assert body == api.asked[0].body
    assert mode == 0o600


def test_a_payment_that_fails_is_told_with_its_reason(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = payment("FAILED", failure_code="card_declined", failure_message="Declined.")
    api.on("POST /payments", (202, failed))
    assert main([*PAY, "--yes"]) == 1
    assert "Declined. (card_declined)" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [PAY, ["--env", "test", "refund", "pay_1"]])
def test_money_is_confirmed_by_who_is_named(
    api: FakeApi,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    answer_at_the_terminal(monkeypatch, "n\n")
    assert main(arguments) == 1
    assert api.asked == []
    told = " ".join(capsys.readouterr().err.split())
    assert f"in test, by {ARN}? [y/N]" in told
    assert "Nothing was sent." in told


def test_yes_at_the_terminal_sends_it(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_at_the_terminal(monkeypatch, "y\n")
    api.on("POST /payments", (202, payment("COMPLETED")))
    assert main(PAY) == 0


def test_without_a_terminal_nothing_is_sent(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(PAY) == 2
    assert api.asked == []
    assert "add --yes" in capsys.readouterr().err


def test_programs_are_told_what_got_no_answer_and_what_was_not_sent_again(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on("POST /payments", NoAnswer("timed out"))
    assert main([*PAY, "--yes", "--json"]) == 3
    what = "pay 99.99 USD as pay_1"
    assert json.loads(capsys.readouterr().out) == {"what": what, "error": "timed out"}
    [request] = Journal("test").waiting()
    Journal("test").remember(replace(request, api="https://elsewhere.example"))
    assert main(["--env", "test", "resume", "--yes", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"what": what, "error": "it was for https://elsewhere.example"}
    ]


def test_what_got_no_answer_is_kept_and_sent_again_the_very_same(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on(
        "POST /payments", NoAnswer("timed out"), (200, payment() | {":idempotent-replayed": "true"})
    )
    assert main([*PAY, "--yes"]) == 3
    assert "payments --env test resume" in capsys.readouterr().err
    assert waiting() == ["payment-pay_1"]
    assert main(["--env", "test", "resume", "--yes"]) == 0
    assert "it had arrived before: pay 99.99 USD as pay_1" in capsys.readouterr().err
    assert api.asked[0] == api.asked[1]
    assert waiting() == []
    assert main(["--env", "test", "resume", "--yes"]) == 0
    assert "Nothing waits" in capsys.readouterr().out


def test_what_still_has_no_answer_stays(api: FakeApi) -> None:
    api.on("POST /payments", NoAnswer("timed out"))
    assert main([*PAY, "--yes"]) == 3
    assert main(["--env", "test", "resume", "--yes"]) == 3
    assert waiting() == ["payment-pay_1"]


def test_what_is_refused_is_over(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    problem = {
        "detail": "Correct it.",
        "errors": [{"field": "amount", "code": "not_positive", "message": "must be positive"}],
    }
    api.on("POST /payments", (400, problem))
    assert main([*PAY, "--yes", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out) == problem
    assert "400 Correct it. [amount: must be positive (not_positive)]" in told.err
    assert waiting() == []


def test_what_was_certainly_not_sent_is_not_kept(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on("POST /payments", EndpointConnectionError(endpoint_url="https://a1.example"))
    assert main([*PAY, "--yes"]) == 2
    assert "nothing answers at https://a1.example" in capsys.readouterr().err
    assert waiting() == []


def test_what_was_for_another_api_is_never_sent(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    other = requests.payment(
        {"payment_id": "pay_2", "amount": "1", "currency": "USD"}, api="https://other/test"
    )
    Journal("test").remember(other)
    assert main(["--env", "test", "resume", "--yes"]) == 1
    assert api.asked == []
    assert str(Journal("test").file(other)) in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (
            ["refund", "pay_1", "--id", "re_1"],
            "/payments/pay_1/refunds",
            {"refund_id": "re_1"},
        ),
        (
            ["refund", "pay_1", "5.00", "--id", "re_1", "--reason", "duplicate"],
            "/payments/pay_1/refunds",
            {"refund_id": "re_1", "amount": "5.00", "reason": "duplicate"},
        ),
        (
            ["capture", "pay_1", "--id", "cap_1"],
            "/payments/pay_1/captures",
            {"capture_id": "cap_1"},
        ),
        (
            ["capture", "pay_1", "5.00", "--id", "cap_1", "--not-final"],
            "/payments/pay_1/captures",
            {"capture_id": "cap_1", "amount": "5.00", "final": False},
        ),
        (["cancel", "pay_1"], "/payments/pay_1/cancel", {}),
        (
            ["cancel", "pay_1", "--reason", "duplicate"],
            "/payments/pay_1/cancel",
            {"reason": "duplicate"},
        ),
        (["cancel", "../x"], "/payments/..%2Fx/cancel", {}),
    ],
)
def test_what_is_asked_for_is_what_the_contract_says(
    api: FakeApi, arguments: list[str], path: str, body: dict[str, Any]
) -> None:
    api.on(f"POST {path}", (202, payment("COMPLETED")))
    assert main(["--env", "test", *arguments, "--yes"]) == 0
    assert (api.asked[0].path, api.asked[0].body) == (path, body)


@pytest.mark.parametrize(("decision", "status"), [("approve", "COMPLETED"), ("reject", "FAILED")])
def test_a_second_person_decides_with_a_note(api: FakeApi, decision: str, status: str) -> None:
    api.on("POST /payments/pay_1/review", (200, payment("IN_REVIEW")))
    api.on("GET /payments/pay_1", (200, payment(status)))
    arguments = ["review", decision, "pay_1", "--note", "seen the contract", "--yes"]
    assert main(["--env", "test", *arguments]) == 0
    assert api.asked[0].body == {"decision": decision, "note": "seen the contract"}


@pytest.mark.parametrize(("decision", "status"), [("approve", "COMPLETED"), ("reject", "FAILED")])
def test_a_second_person_decides_about_a_refund(
    api: FakeApi, decision: str, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refund = {"kind": "refund", "operation_id": "re_1", "amount": "5.00"}
    told = {**refund, "payment_id": "pay_1", "payment_status": "COMPLETED", "amounts": {}}
    api.on("POST /payments/pay_1/refunds/re_1/review", (200, {**told, "status": "PENDING"}))
    ended = {**refund, "status": status}
    if status == "FAILED":
        ended |= {"failure_code": "review_rejected", "failure_message": "No."}
    api.on("GET /payments/pay_1", (200, payment(amounts={}, operations=[ended])))
    arguments = ["review", decision, "pay_1", "--refund", "re_1", "--note", "seen", "--yes"]
    assert main(["--env", "test", *arguments]) == 0
    assert api.asked[0].body == {"decision": decision, "note": "seen"}
    assert status in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "path", "which"),
    [
        (["pay", "9.99", "USD", "--id", "pay_1"], "/payments", {}),
        (
            ["refund", "pay_1", "--id", "re_1"],
            "/payments/pay_1/refunds",
            {"kind": "refund", "operation_id": "re_1", "amounts": {}},
        ),
    ],
)
def test_who_asks_for_something_large_is_told_that_it_waits_and_for_what(
    api: FakeApi,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    path: str,
    which: dict[str, Any],
) -> None:
    api.on(f"POST {path}", (202, payment("IN_REVIEW", **which)))
    assert main(["--env", "test", *arguments, "--yes"]) == 0
    refund = " --refund re_1" if which else ""
    assert f"payments review approve pay_1{refund} --note" in capsys.readouterr().err


def test_who_submitted_a_payment_is_told_that_they_cannot_approve_it(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on("POST /payments/pay_1/review", (403, {"detail": "You submitted it."}))
    assert main(["--env", "test", "review", "approve", "pay_1", "--note", "me", "--yes"]) == 1
    assert "403 You submitted it." in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["refund", "capture"])
def test_the_outcome_of_an_operation_is_waited_for(
    api: FakeApi, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    operation = {"kind": kind, "operation_id": "op_1", "amount": "5.00", "status": "PENDING"}
    amounts = {"captured": "99.99", "refundable": "94.99"}
    answer = {**operation, "payment_id": "pay_1", "payment_status": "COMPLETED", "amounts": amounts}
    api.on(f"POST /payments/pay_1/{kind}s", (202, answer))
    other = {**operation, "operation_id": "op_0", "status": "FAILED"}
    done = {**operation, "status": "COMPLETED"}
    api.on(
        "GET /payments/pay_1",
        (200, payment(amounts=amounts, operations=[other, operation])),
        (200, payment(amounts=amounts, operations=[other, done])),
    )
    assert main(["--env", "test", kind, "pay_1", "5.00", "--id", "op_1", "--yes"]) == 0
    told = capsys.readouterr().out
    assert f"pay_1: {kind} op_1  5.00" in told
    assert "COMPLETED" in told
    assert "refundable 94.99" in told


def test_an_operation_that_fails_is_told_with_its_reason(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    operation = {"kind": "refund", "operation_id": "op_1", "amount": "5.00", "status": "FAILED"}
    failed = {**operation, "failure_code": "refund_declined", "failure_message": "Declined."}
    api.on("POST /payments/pay_1/refunds", (200, {**failed, "payment_id": "pay_1", "amounts": {}}))
    assert main(["--env", "test", "refund", "pay_1", "5.00", "--id", "op_1", "--yes"]) == 1
    assert "Declined. (refund_declined)" in capsys.readouterr().out
