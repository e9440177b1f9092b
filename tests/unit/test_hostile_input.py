"""What hostile input could do to logs, reports and keys, and does not."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import api_handler
import batch_processor
import payment_processor
from payments.aws.payments import PaymentStore
from payments.batches.batch import Batch, ObjectVersion
from payments.batches.layout import PAYMENTS
from payments.batches.progress import NotPaidRow
from payments.batches.records import ValidRow, read_rows
from payments.batches.reports import REPORT_COLUMNS, not_paid_csv
from payments.batches.steps import BatchProcessing
from payments.flows.intake import PaymentIntake
from payments.runtime import api_handler as runtime
from payments.runtime.api_handler import Services
from payments.runtime.payment_processor import Deliveries
from payments.telemetry.logs import logger
from tests.unit.aws_events import context, load, sqs_event
from tests.unit.cloud import Cloud, FailingQueue, Started, payment_content, process

# A request that is refused has no metric to publish.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")

MARK = "4111111111111111"
"""What no log may hold. Where it stands, a client might send a card number by mistake."""

CONTEXT: Any = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=1,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
    aws_request_id="invocation",
)

FORMULAS = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\tx",
    "＝1",
)


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """Return the log so far: each line must be one JSON object."""
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)

    def read() -> list[dict[str, Any]]:
        # Python breaks lines at more characters than any reader of logs.
        return [json.loads(line) for line in written.getvalue().splitlines()]

    return read


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch, services: Services) -> Iterator[None]:
    """The API's handler on the empty account of the test."""
    monkeypatch.setattr(runtime, "services", lambda: services)
    yield
    logger.remove_keys(["payment_id", "correlation_id", "batch_id", "step"])


def post(body: str, **event: Any) -> dict[str, Any]:
    answer: dict[str, Any] = api_handler.handler(
        {**load("api_post_payment"), "body": body, **event}, CONTEXT
    )
    return answer


# --- logs


BODIES = (
    MARK,
    f'{{"payment_id": "{MARK}", "amount": 1, "currency": "USD", "card": "x"}}',
    f'{{"payment_id": "pay_1", "amount": "{MARK}{MARK}", "currency": "USD"}}',
    f'{{"payment_id": "pay_1", "amount": 1, "currency": "USD", "{MARK}": 1}}',
    f'{{"payment_id": "pay_1\\n{MARK}", "amount": 1, "currency": "USD"}}',
    "[" * 100_000 + MARK,
    MARK * 10_000,
    f'"{MARK}\ud800"',
)


@pytest.mark.usefixtures("wired")
def test_no_body_that_is_refused_gets_into_the_log(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    for body in BODIES:
        assert post(body)["statusCode"] in {400, 413}
    assert MARK not in json.dumps(log_lines())


@pytest.mark.parametrize("error", [RuntimeError, KeyError, UnicodeDecodeError])
def test_no_body_gets_into_the_log_with_a_stack_trace(
    monkeypatch: pytest.MonkeyPatch,
    store: PaymentStore,
    services: Services,
    log_lines: Callable[[], list[dict[str, Any]]],
    error: type[Exception],
) -> None:
    """A stack trace shows code and the error's own words, never the values of variables."""
    defect = error("utf-8", b"", 0, 1, "defect") if error is UnicodeDecodeError else error()
    broken = FailingQueue(defect)
    failing = replace(services, intake=PaymentIntake(store, broken))
    monkeypatch.setattr(runtime, "services", lambda: failing)
    body = f'{{"payment_id": "pay_1", "amount": {MARK}, "currency": "USD"}}'
    assert post(body)["statusCode"] == 500
    lines = log_lines()
    assert any(line.get("exception_name") == error.__name__ for line in lines)
    assert MARK not in json.dumps(lines)


@pytest.mark.parametrize(
    "body",
    [
        MARK,
        f'["{MARK}"]',
        f'{{"payment_id": "{MARK}\\n"}}',
        f'{{"payment_id": "pay_1", "amount_minor": "{MARK}"}}',
        "[" * 100_000 + MARK,
    ],
)
def test_no_message_gets_into_the_log(
    deliveries: Deliveries,
    log_lines: Callable[[], list[dict[str, Any]]],
    body: str,
) -> None:
    payment_processor.consume(sqs_event(body), deliveries, context())
    assert log_lines()
    assert MARK not in json.dumps(log_lines())


@pytest.mark.usefixtures("wired")
def test_an_id_cannot_forge_a_line_of_the_log(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    for separator in ("\n", "\r", "\x0b", "\x1b[2K", "\x85", "\u2028", "\x00"):
        forged = f'pay_1{separator}{{"level":"INFO","message":"{MARK}"}}'
        event = {**load("api_get_payment"), "pathParameters": {"payment_id": forged}}
        assert api_handler.handler(event, CONTEXT)["statusCode"] == 404
    assert MARK not in json.dumps(log_lines())


def test_the_key_of_an_object_cannot_forge_a_line_of_the_log(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """A key belongs into the log; it stays one escaped string on one line."""
    key = "a%0A%7B%22level%22%3A%22ERROR%22%7D%0D%E2%80%A8%C2%85%1B%5B2K.csv"
    [record] = load("s3_object_created")["Records"]
    record["s3"]["object"]["key"] = key
    batch_processor.start({"Records": [record]}, Started())
    [line] = log_lines()
    assert line["batch"]["key"] == 'a\n{"level":"ERROR"}\r\u2028\x85\x1b[2K.csv'
    assert line["level"] == "INFO"


# --- headers


@pytest.mark.usefixtures("wired")
@pytest.mark.parametrize(
    "headers",
    [
        {"multiValueHeaders": {"Content-Type": ["application/json", "text/plain"]}},
        {"multiValueHeaders": {"Content-Type": ["application/json"], "content-type": ["x/y"]}},
        {"headers": {"Content-Type": "application/json", "content-type": "text/plain"}},
    ],
)
def test_a_body_declared_twice_is_not_declared(headers: dict[str, Any]) -> None:
    """Whoever judges the first and whoever judges the last would not read the same request."""
    assert (
        post('{"payment_id": "pay_1", "amount": 1, "currency": "USD"}', **headers)["statusCode"]
        == 415
    )


@pytest.mark.usefixtures("wired")
def test_very_many_and_very_long_headers_change_nothing(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    headers = {f"X-{number}": MARK * 100 for number in range(1_000)}
    answer = post(
        '{"payment_id": "pay_1", "amount": 1, "currency": "USD"}',
        headers={**headers, "X-Forwarded-For": f"{MARK}\nx", "Content-Type": "application/json"},
    )
    assert answer["statusCode"] == 202
    assert MARK not in json.dumps([answer, log_lines()])


# --- reports


def rejected_report(batches: BatchProcessing, cloud: Cloud, content: str) -> str:
    version = cloud.s3.put_object(Bucket="files", Key="a.csv", Body=content.encode())["VersionId"]
    batch = Batch(ObjectVersion("files", "a.csv", version))
    process(batches, batch, len(content.encode()))
    report = cloud.s3.get_object(Bucket="results", Key=f"{batch.batch_id}/rejected-00000.csv")
    return report["Body"].read().decode("utf-8-sig")


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_of_a_report_is_a_formula(
    batches: BatchProcessing, cloud: Cloud, formula: str
) -> None:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([formula] * 4)
    report = rejected_report(batches, cloud, f"payment_id,amount,currency,note\n{line.getvalue()}")
    _, row = csv.reader(io.StringIO(report, newline=""))
    assert row[3] == f"'{formula}"
    assert not any(cell[:1] in "=+-@\t\r＝" for cell in row if cell)


def test_no_column_of_a_report_is_a_formula(batches: BatchProcessing, cloud: Cloud) -> None:
    content = "=cmd,payment_id,amount,currency\nx,a b,1,USD\n"
    report = rejected_report(batches, cloud, content)
    columns, _ = csv.reader(io.StringIO(report, newline=""))
    assert columns == ["'=cmd", "payment_id", "amount", "currency", *REPORT_COLUMNS]


def test_a_carriage_return_starts_no_row_of_its_own(batches: BatchProcessing, cloud: Cloud) -> None:
    content = "payment_id,amount,currency,note\na b,1,USD,x\r=cmd\n"
    report = rejected_report(batches, cloud, content)
    assert '"a b,1,USD,x\r=cmd"' in report


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_row_that_spans_no_columns_is_no_formula_either(
    batches: BatchProcessing, cloud: Cloud, formula: str
) -> None:
    report = rejected_report(
        batches, cloud, f'payment_id,amount,currency\n"{formula}"x\n{formula}\n'
    )
    _, quoted, plain = csv.reader(io.StringIO(report, newline=""))
    assert not any(cell[:1] in "=+-@\t\r＝" for row in (quoted, plain) for cell in row if cell)
    assert plain[-1].startswith(f"'{formula}")


def test_a_report_of_rows_not_paid_holds_no_formula() -> None:
    row = NotPaidRow(line=2, content=payment_content("-abc", 100, "USD"), outcome="conflict")
    [report] = not_paid_csv([row], PAYMENTS)
    assert report.decode("utf-8-sig").splitlines()[1] == ",1.00,USD,2,'-abc,conflict"


def test_an_id_like_a_formula_is_valid_and_survives_a_report_that_is_mended(
    batches: BatchProcessing, cloud: Cloud
) -> None:
    report = rejected_report(batches, cloud, "payment_id,amount,currency\n-abc,1.9999,USD\n")
    assert "'-abc,1.9999,USD" in report
    mended = report.replace("1.9999", "1.99")
    columns = tuple(mended.split("\r\n", 1)[0].split(","))
    [row] = read_rows([mended.split("\r\n", 1)[1].encode()], columns, 2, PAYMENTS)
    assert row == ValidRow(2, payment_content("-abc", 199, "USD"))


def test_only_one_apostrophe_is_read_over() -> None:
    columns = ("payment_id", "amount", "currency")
    one, two = read_rows([b"'pay_1,'1,'USD\n''pay_1,1,USD\n"], columns, 2, PAYMENTS)
    assert one == ValidRow(2, payment_content("pay_1", 100, "USD"))
    assert not isinstance(two, ValidRow)


# --- keys of objects


@pytest.mark.parametrize(
    "key",
    [
        "../../etc/passwd.csv",
        "/absolute.csv",
        "./.csv",
        "a//b.csv",
        "..\\..\\a.csv",
        "größe ünï 漢字 🎉.csv",
        "x" * 1020 + ".csv",
        "a\nb.csv",
    ],
)
def test_no_key_leads_a_report_elsewhere(batches: BatchProcessing, cloud: Cloud, key: str) -> None:
    """Reports lie below the batch's id, a hash: no part of a key is part of a path."""
    source = ObjectVersion("files", key, "version")
    batch = Batch(source)
    assert not batch.is_dry_run
    batches.fail(batch)
    batches.follow(batch, 0)
    listed = cloud.s3.list_objects_v2(Bucket="results").get("Contents", [])
    assert all(entry["Key"].startswith(f"{batch.batch_id}/") for entry in listed)


@pytest.mark.parametrize(
    "key",
    [
        "dry-run/a.csv",
        "dry-run/../real.csv",
        "/dry-run/a.csv",
        "Dry-Run/a.csv",
        "x/dry_run/a.csv",
        "DRYRUN/a.csv",
        "dryRun/a.csv",
        "dry run/a.csv",
        "dry+run/a.csv",
        "dry%2Drun/a.csv",
        "dry%252Drun/a.csv",
        "dry-run%2Fa.csv",
        "dry\u2010run/a.csv",
        "dry\u2011run/a.csv",
        "dry\u2013run/a.csv",
        "dry\u2212run/a.csv",
        "d\u200bry-r\u00adun/a.csv",
        "\uff24\uff32\uff39\uff0d\uff32\uff35\uff2e/a.csv",
        "dry-run\\a.csv",
        "dry-runs/a.csv",
        "2026-03 dry-run 2/a.csv",
    ],
)
def test_a_folder_that_is_called_a_dry_run_is_one_in_any_spelling(key: str) -> None:
    assert Batch(ObjectVersion("files", key, "version")).is_dry_run


@pytest.mark.parametrize(
    "key",
    ["a.csv", "dry-run.csv", "x/dry-run.csv", "laundry-runs/a.csv", "dry-runway/a.csv", "run/"],
)
def test_no_other_key_is_taken_for_a_dry_run(key: str) -> None:
    assert not Batch(ObjectVersion("files", key, "version")).is_dry_run
