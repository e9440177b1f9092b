"""Looking at payments: text of a server never drives the terminal, JSON is whole."""

import json

import pytest

from operations import api as apis
from operations.cli import main
from tests.unit.operations.fake_api import WAITING, FakeApi, payment

HOSTILE = "pay_\x1b[2J\u202e[bold]x[/]"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    monkeypatch.setattr(apis, "find", lambda _: fake)
    return fake


def test_a_payment_is_shown_with_its_history(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    history = [{"sequence": 1, "status": "PENDING", "at": "2026-03-12T19:03:58.123456Z"}]
    api.on("GET /payments/pay_1", (200, payment(history=history, refundable="9.99")))
    assert main(["--env", "test", "get", "pay_1"]) == 0
    told = capsys.readouterr().out
    assert "refundable 9.99" in told
    assert "2026-03-12T19:03:58.123456Z" in told


def test_text_of_a_server_cannot_drive_the_terminal(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = payment(HOSTILE, payment_id=HOSTILE, failure_code=HOSTILE, failure_message=HOSTILE)
    api.on("GET /payments/pay_1", (200, hostile))
    api.on("GET /payments", (200, {"data": [hostile], "has_more": True, "next_cursor": HOSTILE}))
    for arguments in (["get", "pay_1"], ["list"], ["get", "pay_1", "--json"], ["list", "--json"]):
        assert main(["--env", "test", *arguments]) == 0
        told = capsys.readouterr()
        shown = (told.out + told.err).replace("\n", "")
        assert shown.isprintable(), arguments
        assert "[bold]x[/]" in shown


def test_a_problem_of_a_server_cannot_drive_the_terminal(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on("GET /payments/pay_1", (403, {"detail": HOSTILE}))
    assert main(["--env", "test", "get", "pay_1"]) == 1
    told = capsys.readouterr().err
    assert told.replace("\n", "").isprintable()
    assert "[bold]x[/]" in told


@pytest.mark.usefixtures("api")
def test_an_unknown_payment_is_said_to_be_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--env", "test", "get", "pay_none"]) == 1
    assert "No payment 'pay_none' in 'test'" in capsys.readouterr().err


def test_a_list_is_asked_for_with_its_filters(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {"data": [payment()], "has_more": True, "next_cursor": "c2"}
    api.on("GET /payments", (200, page))
    assert (
        main(["--env", "test", "list", "--status", "FAILED", "--limit", "5", "--cursor", "c1"]) == 0
    )
    assert api.asked[0].query == {"status": "FAILED", "limit": "5", "cursor": "c1"}
    assert "--cursor c2" in capsys.readouterr().err
    assert main(["list", "--env", "test", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == page


def test_what_waits_for_a_second_person_is_listed(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on("GET /reviews", (200, WAITING))
    assert main(["--env", "test", "review", "list"]) == 0
    told = capsys.readouterr()
    payment_, refund = told.out.splitlines()[1:]
    assert ("pay_1" in payment_, "alice" in payment_, "25000.00" in payment_) == (True,) * 3
    assert ("pay_2" in refund, "re_1" in refund, "bob" in refund) == (True,) * 3
    assert "More wait" in told.err
    assert main(["review", "list", "--env", "test", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == WAITING


def test_nothing_that_waits_is_told_in_words(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on("GET /reviews", (200, {"data": [], "has_more": False}))
    assert main(["--env", "test", "review", "list"]) == 0
    assert capsys.readouterr().out == "Nothing waits for a decision.\n"


def test_reviews_that_may_not_be_seen_are_told_to_programs_too(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on("GET /reviews", (403, {"detail": "Not you."}))
    assert main(["--env", "test", "review", "list", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out) == {"detail": "Not you."}
    assert "403 Not you." in told.err


def test_a_cursor_that_is_refused_is_told(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.on("GET /payments", (400, {"detail": "Start anew.", "errors": []}))
    assert main(["--env", "test", "list", "--cursor", "x"]) == 1
    assert "400 Start anew." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../prod", "Prod", "a/b", "", "-x"])
def test_what_is_no_name_of_an_environment_is_refused(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--env={name}", "get", "pay_1"])
    assert ended.value.code == 2
    assert "is no name of an environment" in capsys.readouterr().err


def test_without_an_environment_the_command_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ENVIRONMENT_SUFFIX", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["get", "pay_1"])
    assert ended.value.code == 2
    assert "--env dev, or export ENVIRONMENT_SUFFIX=dev" in capsys.readouterr().err
