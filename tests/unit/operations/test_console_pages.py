"""The console's pages: what they show, escape and send."""

import json
import re
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from operations.api import NoAnswer
from operations.cli import main
from operations.console import command
from operations.proofs import Fault
from payments.core.fields import FIELDS, OPTIONAL_FIELDS
from tests.unit.operations.console_server import Served, proof, served, story
from tests.unit.operations.fake_api import WAITING, Asked, payment

HOSTILE = "<script>alert(1)<img src=x onerror=alert(2)>\"'&{{7*7}}"
ESCAPED = "&lt;script&gt;alert(1)&lt;img src=x onerror=alert(2)&gt;&#34;&#39;&amp;{{7*7}}"
BATCH_ID = "batch_" + "0" * 32


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Served]:
    """A console in front of an API that knows nothing yet."""
    with served(tmp_path) as serves:
        yield serves


def summary(status: str = "COMPLETED", **more: Any) -> dict[str, Any]:
    counts = dict.fromkeys(("rows", "accepted", "rejected", "completed", "failed"), 1)
    return {
        "batch_id": BATCH_ID,
        "key": "march.csv",
        "status": status,
        "dry_run": False,
        **counts,
        "duplicate": 0,
        "conflict": 0,
        "accepted_amounts": {"USD": "1234.50"},
        "reports": {"summary": None, "rejected": [], "not_paid": []},
        **more,
    }


def test_payments_are_listed_with_filters_and_a_next_page(console: Served) -> None:
    page = {"data": [payment()], "has_more": True, "next_cursor": "c2"}
    console.api.on("GET /payments", (200, page))
    shown = console.page(
        "/payments?status=COMPLETED&created_from=2026-03-12&created_to=2026-03-12&q="
    )
    assert console.api.asked[0].query == {
        "limit": "25",
        "status": "COMPLETED",
        "created_from": "2026-03-12T00:00:00Z",
        "created_to": "2026-03-13T00:00:00Z",
    }
    assert "99.99 USD" in shown
    assert 'datetime="2026-03-12T19:03:58Z"' in shown
    assert "cursor=c2" in shown
    assert "created_to=2026-03-12" in shown


def test_a_search_by_id_leads_to_the_payment(console: Served) -> None:
    answer, _ = console.ask(
        "GET", f"/payments?id={quote('//evil.example')}", headers={"Cookie": console.cookie}
    )
    assert answer.getheader("location") == "/payments/%2F%2Fevil.example"


def test_a_payment_is_shown_with_story_chain_and_postings(console: Served) -> None:
    told = payment(amounts={"captured": "99.99", "refunded": "9.99", "refundable": "90.00"})
    console.api.on("GET /payments/pay_1", (200, told))
    console.stories["pay_1"] = story(told)
    shown = console.page("/payments/pay_1")
    for part in (
        "90.00 USD",
        "The chain of 2 records holds.",
        "processor → client 9999",
        "request-1",
    ):
        assert part in shown, part
    assert "data-refresh" not in shown


def test_a_chain_that_does_not_hold_is_told(console: Served) -> None:
    console.api.on("GET /payments/pay_1", (200, payment()))
    console.stories["pay_1"] = story(payment(), ["pay_1 record 2: its content does not match"])
    shown = console.page("/payments/pay_1")
    assert "The chain does not hold." in shown
    assert "pay_1 record 2: its content does not match" in shown


def test_what_the_operator_may_not_read_is_left_out_of_the_page(console: Served) -> None:
    console.api.on("GET /payments/pay_1", (200, payment(history=[])))
    denied = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem")
    console.stories["pay_1"] = denied
    assert "You may not see this (GetItem)." in console.page("/payments/pay_1")


def test_nothing_that_others_wrote_is_taken_for_html(console: Served) -> None:
    hostile = payment(
        "FAILED", payment_id=HOSTILE, failure_code=HOSTILE, failure_message=HOSTILE, history=[]
    )
    path = f"/payments/{quote(HOSTILE, safe='')}"
    console.api.on("GET /payments", (200, {"data": [hostile], "has_more": False}))
    console.api.on(f"GET {path}", (200, hostile))
    console.stories[HOSTILE] = story(hostile, [HOSTILE])
    for address in ("/payments", path, f"{path}/refund", f"/payments?status={quote(HOSTILE)}"):
        shown = console.page(address)
        assert HOSTILE not in shown
        assert "<script>alert" not in shown, address
    assert ESCAPED in console.page(path)


def test_a_refund_is_asked_for_with_what_is_left_and_an_id_of_its_own(console: Served) -> None:
    told = payment(amounts={"refundable": "90.00"})
    console.api.on("GET /payments/pay_1", (200, told))
    shown = console.page("/payments/pay_1/refund")
    assert 'value="90.00"' in shown
    assert "90.00 USD can be given back" in shown
    [refund_id] = {
        part.partition('"')[0] for part in shown.split('name="operation_id" value="')[1:]
    }
    assert refund_id.startswith("re_")
    console.api.on("POST /payments/pay_1/refunds", (202, {"refund_id": refund_id}))
    for _ in range(2):
        answer, _ = console.post(
            "/payments/pay_1/refund", f"operation_id={refund_id}&amount=5.00&reason=duplicate"
        )
        assert (answer.status, answer.getheader("location")) == (303, "/payments/pay_1")
    sent = [asked.body for asked in console.api.asked if asked.method == "POST"]
    assert sent == [{"refund_id": refund_id, "amount": "5.00", "reason": "duplicate"}] * 2


def test_what_is_refused_is_told_beside_what_was_typed(console: Served) -> None:
    console.api.on("GET /payments/pay_1", (200, payment()))
    console.api.on("POST /payments/pay_1/refunds", (409, {"detail": "Only 1.00 is left."}))
    answer, shown = console.post(
        "/payments/pay_1/refund", "operation_id=re_1&amount=5.00&reason=why"
    )
    assert answer.status == HTTPStatus.CONFLICT
    assert "409 Only 1.00 is left." in shown
    for typed in ('value="5.00"', 'value="why"', 'value="re_1"'):
        assert typed in shown


@pytest.mark.parametrize(
    ("form", "path", "body"),
    [
        (
            "operation_id=cap_1&amount=5&keep=yes",
            "capture",
            {"capture_id": "cap_1", "amount": "5", "final": False},
        ),
        ("operation_id=cap_1&amount=5&keep=no", "capture", {"capture_id": "cap_1", "amount": "5"}),
        ("operation_id=x&reason=", "cancel", {}),
        (
            "operation_id=x&decision=approve&note=seen",
            "review",
            {"decision": "approve", "note": "seen"},
        ),
        ("operation_id=x&decision=reject&note=no", "review", {"decision": "reject", "note": "no"}),
    ],
)
def test_what_is_asked_for_is_what_the_contract_says(
    console: Served, form: str, path: str, body: dict[str, Any]
) -> None:
    address = f"POST /payments/pay_1/{path if path != 'capture' else 'captures'}"
    console.api.on(address, (202, payment()))
    assert console.post(f"/payments/pay_1/{path}", form)[0].status == HTTPStatus.SEE_OTHER
    assert console.api.asked[-1].body == body


def test_the_form_of_a_payment_has_every_field(console: Served) -> None:
    shown = console.page("/pay")
    names = re.findall(r'<(?:input|select)[^>]* name="(\w+)"', shown)
    assert set(names) >= {*FIELDS, *OPTIONAL_FIELDS}


def test_a_payment_is_made_and_remembered_before_it_is_sent(console: Served) -> None:
    seen: list[str] = []
    console.api.before = lambda asked: seen.extend(
        each.name for each in console.journal.waiting() if asked.method == "POST"
    )
    console.api.on("POST /payments", (202, payment("PENDING")))
    answer, _ = console.post("/pay", "payment_id=pay_1&amount=99.99&currency=USD&capture=manual")
    assert answer.getheader("location") == "/payments/pay_1"
    assert console.api.asked[0].body == {
        "payment_id": "pay_1",
        "amount": "99.99",
        "currency": "USD",
        "capture": "manual",
    }
    assert seen == ["payment-pay_1"]
    assert list(console.journal.waiting()) == []


def test_faults_of_a_payment_are_told_at_their_fields(console: Served) -> None:
    errors = [{"field": "amount", "code": "not_positive", "message": "must be above 0"}]
    console.api.on("POST /payments", (400, {"detail": "See errors.", "errors": errors}))
    _, shown = console.post("/pay", f"payment_id=pay_1&amount=-1&currency={quote(HOSTILE)}")
    assert "must be above 0" in shown
    assert 'value="-1"' in shown
    assert ESCAPED in shown


def test_what_got_no_answer_is_told_everywhere_and_can_be_sent_again(console: Served) -> None:
    replayed = payment() | {":idempotent-replayed": "true"}
    console.api.on("POST /payments", NoAnswer("timed out"), (200, replayed))
    console.api.on("GET /payments", (200, {"data": [], "has_more": False}))
    answer, shown = console.post("/pay", "payment_id=pay_1&amount=1&currency=USD")
    assert answer.status == HTTPStatus.BAD_GATEWAY
    assert "may have arrived" in shown
    assert "1 request without an answer" in console.page("/payments")
    assert "Pay 1 usd as pay_1" in console.page("/unanswered")
    _, shown = console.post("/unanswered", "name=payment-pay_1")
    assert "This had arrived before" in shown
    first, second = (asked for asked in console.api.asked if asked.method == "POST")
    assert first == second
    assert "Nothing waits for an answer." in console.page("/unanswered")


def test_reviews_are_listed(console: Served) -> None:
    console.api.on("GET /reviews", (200, WAITING))
    shown = console.page("/reviews")
    assert 'href="/payments/pay_1/review"' in shown
    assert 'href="/payments/pay_2/refunds/re_1/review"' in shown
    assert "More wait than these" in shown


def test_ones_own_are_not_offered_for_review(console: Served) -> None:
    own = [{**each, "submitted_by": "anna"} for each in WAITING["data"]]
    console.api.on("GET /reviews", (200, {"data": own, "has_more": False}))
    shown = console.page("/reviews")
    assert shown.count(">yours<") == len(own)
    assert '/review"' not in shown


def test_reviews_that_cannot_be_listed_say_why(console: Served) -> None:
    console.api.on("GET /reviews", (403, {"detail": "Not you."}))
    shown = console.page("/reviews")
    assert "403 Not you." in shown
    assert "Nothing waits" not in shown
    console.api.on("GET /reviews", (200, {"data": [], "has_more": False}))
    assert "Nothing waits for a decision." in console.page("/reviews")


@pytest.mark.parametrize("status", ["IN_REVIEW", "COMPLETED"])
def test_what_waits_for_a_person_is_looked_at_again_now_and_then(
    console: Served, status: str
) -> None:
    refund = {"kind": "refund", "operation_id": "re_1", "amount": "1.00", "status": "IN_REVIEW"}
    operations = [refund] if status == "COMPLETED" else []
    console.api.on("GET /payments/pay_1", (200, payment(status, operations=operations)))
    assert 'data-refresh="5"' in console.page("/payments/pay_1")


def refund_in_review(console: Served) -> str:
    """Let a refund wait; return the address of its review."""
    refund = {
        "kind": "refund",
        "operation_id": "re_1",
        "amount": "20.00",
        "status": "IN_REVIEW",
        "requested_at": "2026-03-14T08:00:00.123456Z",
        "reason": HOSTILE,
    }
    console.api.on("GET /payments/pay_1", (200, payment(operations=[refund])))
    console.api.on("GET /payments/pay_1/refunds/re_1", (200, refund))
    return "/payments/pay_1/refunds/re_1/review"


def test_a_refund_in_review_is_shown_with_what_a_decision_does(console: Served) -> None:
    address = refund_in_review(console)
    assert f'href="{address}"' in console.page("/payments/pay_1")
    shown = console.page(address)
    assert "the customer gets 20.00 USD back" in shown
    assert ESCAPED in shown


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_refund_is_decided_about(console: Served, decision: str) -> None:
    address = refund_in_review(console)
    console.api.on(f"POST {address}", (200, {}))
    answer, _ = console.post(address, f"decision={decision}&note=seen")
    assert answer.getheader("location") == "/payments/pay_1"
    assert console.api.asked[-1].body == {"decision": decision, "note": "seen"}


def test_a_decision_about_ones_own_refund_is_refused_in_words_and_keeps_the_note(
    console: Served,
) -> None:
    address = refund_in_review(console)
    console.api.on(f"POST {address}", (403, {"detail": "You asked for it."}))
    answer, shown = console.post(address, "decision=approve&note=mine")
    assert answer.status == HTTPStatus.FORBIDDEN
    assert "403 You asked for it." in shown
    assert 'value="mine"' in shown


def upload(console: Served, name: str, content: str) -> str:
    boundary = "b0"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="token"\r\n\r\n{console.session.token}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        f"{content}\r\n--{boundary}--\r\n"
    )
    headers = {
        "Cookie": console.cookie,
        "Origin": console.session.origin,
        "Content-Type": f"multipart/form-data; boundary={boundary}",
    }
    answer, shown = console.ask("POST", "/batches", body, headers)
    return answer.getheader("location") or shown


def test_a_file_is_tried_first_and_the_very_same_is_paid(console: Served) -> None:
    path = upload(console, "../march.csv", "payment_id,amount,currency\n")
    [(bucket, key)] = console.bucket.objects
    assert bucket == "payment-batch-files-test"
    assert key.startswith("dry-run/")
    assert key.endswith("/march.csv")
    batch_id = path.rpartition("/")[2]
    assert "this page looks again by itself" in console.page(path)
    done = summary(batch_id=batch_id, dry_run=True, accepted=3, duplicate=1)
    console.api.on(f"GET {path}", (200, done))
    shown = console.page(path)
    assert "This pays <strong>2</strong> of 1 rows" in shown
    assert "1,234.50 USD" in shown
    answer, _ = console.post("/batches/pay", f"batch_id={batch_id}")
    assert answer.status == HTTPStatus.SEE_OTHER
    assert console.bucket.objects[bucket, "march.csv"] == console.bucket.objects[bucket, key]
    assert [each.dry_run for each in console.uploads.all()] == [False, True]


def test_what_is_no_csv_file_is_told(console: Served) -> None:
    assert "march.xlsx does not" in upload(console, "march.xlsx", "")
    assert "Choose a file." in upload(console, "", "")
    assert console.bucket.objects == {}


def test_a_dry_run_of_somebody_else_cannot_be_paid_from_here(console: Served) -> None:
    answer, _ = console.post("/batches/pay", f"batch_id={BATCH_ID}")
    assert answer.status == HTTPStatus.BAD_REQUEST


def test_rejected_rows_are_readable_and_reports_can_be_downloaded(console: Served) -> None:
    folder = f"payment-batch-results-test/{BATCH_ID}"
    content = (
        "payment_id,note,[rejected line],[rejected field],[rejected code],[rejected message],[rejected record]\n"
        f'bad id,"{HOSTILE.replace(chr(34), chr(34) * 2)}",3,payment_id,invalid_format,must be letters,\n'
    )
    bucket, _, key = f"{folder}/rejected-00000.csv".partition("/")
    console.bucket.objects[bucket, key] = content.encode()
    reports = {"summary": None, "rejected": [f"s3://{bucket}/{key}"], "not_paid": []}
    console.api.on(f"GET /batches/{BATCH_ID}", (200, summary(reports=reports)))
    shown = console.page(f"/batches/{BATCH_ID}")
    assert "payment_id must be letters (invalid_format)" in shown
    assert ESCAPED in shown
    answer, text = console.ask(
        "GET", f"/batches/{BATCH_ID}/rejected-00000.csv", headers={"Cookie": console.cookie}
    )
    assert text == content
    assert str(answer.getheader("content-disposition")).startswith("attachment")
    assert "no such report" in console.page(f"/batches/{BATCH_ID}/other.csv")


def test_a_report_that_is_elsewhere_is_never_read(console: Served) -> None:
    reports = {"summary": None, "rejected": ["s3://secrets/rejected-00000.csv"], "not_paid": []}
    console.api.on(f"GET /batches/{BATCH_ID}", (200, summary(reports=reports)))
    assert "is no report of this environment" in console.page(f"/batches/{BATCH_ID}")


def test_a_batch_that_moves_is_looked_at_again(console: Served) -> None:
    console.api.on(f"GET /batches/{BATCH_ID}", (200, summary("PROCESSING", accepted=4)))
    shown = console.page(f"/batches/{BATCH_ID}")
    assert 'data-refresh="2"' in shown
    assert 'max="100" value="50"' in shown


def test_the_books_are_proved_when_somebody_asks(console: Served) -> None:
    assert "No proof since this console was started." in console.page("/books")
    console.proofs[:] = [proof()]
    answer, _ = console.post("/books", "")
    assert answer.getheader("location") == "/books"
    shown = eventually(console, "The books are right.")
    for part in ("90.00", "processor = captured - refunded", "Holds"):
        assert part in shown, part
    assert "Differs" not in shown
    assert "data-refresh" not in shown


def test_faults_of_the_books_are_told_and_escaped(console: Served) -> None:
    console.proofs[:] = [proof(*[Fault("pay_1", HOSTILE)] * 60)]
    console.post("/books", "")
    shown = eventually(console, "60 faults.")
    assert ESCAPED in shown
    assert "The first 50 of 60" in shown


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Scan"), "AccessDenied"),
        (NoCredentialsError(), "there are no credentials"),
    ],
)
def test_books_that_cannot_be_read_are_told(console: Served, error: Exception, told: str) -> None:
    console.proofs[:] = [proof(), error]
    console.post("/books", "")
    assert "The books are right." not in eventually(console, told)


def eventually(console: Served, told: str) -> str:
    shown = ""
    for _ in range(100):
        shown = console.page("/books")
        if told in shown:
            return shown
        time.sleep(0.05)
    raise AssertionError(shown)


def test_health_is_told_and_dead_letters_are_put_back(console: Served) -> None:
    shown = console.page("/health")
    for part in ("1 alarm firing", "payment-events-dlq-messages", "Poison: x", "pay_stuck"):
        assert part in shown, part
    _, shown = console.post("/health", "")
    assert "1 payments and 0 files were put back, 0 messages stay" in shown
    assert len(console.redriven) == 1


def test_health_that_may_not_be_seen_is_told(console: Served) -> None:
    console.health.error = ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeAlarms")
    assert "Alarms: You may not see this (DescribeAlarms)." in console.page("/health")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ((403, {"detail": "Not yours."}), "403 Not yours."),
        (NoAnswer("timed out"), "No answer: timed out"),
        (NoCredentialsError(), "there are no credentials"),
    ],
)
def test_what_does_not_work_is_told_in_words(console: Served, reply: Any, told: str) -> None:
    console.api.on("GET /payments/pay_1", reply)
    shown = console.page("/payments/pay_1")
    assert told in shown
    assert "Traceback" not in shown


def test_no_page_holds_a_secret_of_aws_or_of_the_session(console: Served) -> None:
    console.api.on("GET /payments", (200, {"data": [payment()], "has_more": False}))
    for path in ("/payments", "/pay", "/batches", "/reviews", "/health"):
        shown = console.page(path)
        for secret in (console.session.cookie, console.session.key, "AWS_SECRET", "AKIA"):
            assert secret not in shown


def test_an_address_that_is_none_is_not_found(console: Served) -> None:
    for path in ("/nowhere", "/payments/pay_1/delete"):
        answer, _ = console.ask("GET", path, headers={"Cookie": console.cookie})
        assert answer.status == HTTPStatus.NOT_FOUND


def test_requests_of_pages_ask_the_api_of_the_environment_alone(console: Served) -> None:
    asked: list[Asked] = console.api.asked
    console.page("/payments/..%2F..%2Fhealth")
    assert [each.path for each in asked] in ([], ["/payments/..%2F..%2Fhealth"])


def test_programs_are_told_where_the_console_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = SimpleNamespace(suffix="test", who="arn:aws:iam::123456789012:user/anna")
    ended = SimpleNamespace(run=lambda **_: None)
    monkeypatch.setattr(command, "open_desk", lambda _: desk)
    monkeypatch.setattr(command, "server", lambda **_: ended)
    assert main(["--env", "test", "console", "--no-browser", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["environment"], told["who"]) == (desk.suffix, desk.who)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?key=\S+", told["address"])
