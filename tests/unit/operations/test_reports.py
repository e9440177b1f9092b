"""What `payments batch` tells of a file: bounded, readable, and with a way to all of it."""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from botocore.response import StreamingBody

from operations import batch, reports
from operations.batches import BatchFiles, progress
from operations.reports import Report, Row
from payments.batches.batch import Batch, BatchKind, ObjectVersion
from payments.batches.layout import PAYMENTS
from payments.batches.records import RejectedRow
from payments.batches.reports import NOT_PAID_COLUMNS, REFUSED_COLUMNS, RejectedRows
from payments.core.faults import FieldError

FOLDER = "s3://payment-batch-results-local/batch_1"
BAD_ID = FieldError("payment_id", "invalid_format", "must be letters")
NO_AMOUNT = FieldError("amount", "required", "is missing")


def _rejected(rows: list[RejectedRow]) -> dict[str, list[Row]]:
    """Return reports of rejected rows as they are written, in parts of some rows, by URI."""
    parts: list[bytes] = []
    written = RejectedRows(
        ["payment_id"], PAYMENTS, lambda _, part: parts.append(part), part_bytes=4 * 1024
    )
    for row in rows:
        written.add(row)
    written.finish_part()
    return {
        f"{FOLDER}/rejected-{number:05}.csv": list(
            csv.DictReader(io.StringIO(part.decode("utf-8-sig")))
        )
        for number, part in enumerate(parts)
    }


def _rows(count: int, *faults: FieldError, first: int = 2) -> list[RejectedRow]:
    return [RejectedRow(first + at, ("x",), faults) for at in range(count)]


def _read(
    rejected: list[RejectedRow] | None = None,
    not_paid: list[str] | None = None,
    **summary: Any,
) -> Report:
    """Read the reports of a batch with these rejected rows, and unpaid ones with these outcomes."""
    files = _rejected(rejected or [])
    outcomes = not_paid or []
    unpaid = {
        f"{FOLDER}/not-paid-00000.csv": [
            dict(zip(NOT_PAID_COLUMNS, (str(at), f"pay_{at}", outcome), strict=True))
            for at, outcome in enumerate(outcomes, start=2)
        ]
    }
    counts = {name: outcomes.count(name) for name in ("duplicate", "conflict")}
    described = {
        "batch_id": "batch_1",
        "status": "COMPLETED",
        **dict.fromkeys(("rows", "accepted", "completed", "failed"), 0),
        "accepted_amounts": {},
        "rejected": len(rejected or []),
        **counts,
        "reports": {"rejected": list(files), "not_paid": list(unpaid) if outcomes else []},
        **summary,
    }
    return reports.read(described, lambda uri: (files | unpaid)[uri])


def test_a_few_rejected_rows_are_all_shown_with_every_fault() -> None:
    report = _read([*_rows(1, BAD_ID, NO_AMOUNT), *_rows(1, NO_AMOUNT, first=7)])
    uri = f"{FOLDER}/rejected-00000.csv"
    assert reports.lines(report) == [
        "line 2: payment_id must be letters (invalid_format); amount is missing (required)",
        "line 7: amount is missing (required)",
        f"All rejected rows: {uri}",
        "To download: payments batch report batch_1",
    ]


def test_many_rejected_rows_are_counted_by_code_after_the_first_ten() -> None:
    rows = [*_rows(205, BAD_ID), *_rows(94, BAD_ID, NO_AMOUNT, first=300), *_rows(1, NO_AMOUNT)]
    report = _read(rows)
    told = reports.lines(report)
    files = report.summary["reports"]["rejected"]
    assert [line.partition(":")[0] for line in told[:10]] == [f"line {at}" for at in range(2, 12)]
    assert told[10:] == [
        "and 290 more rejected rows: invalid_format in 289, required in 95",
        f"All rejected rows: {files[0]} and {len(files) - 1} more",
        "To download: payments batch report batch_1",
    ]


def test_one_more_row_is_told_in_the_singular() -> None:
    told = reports.lines(_read(_rows(11, NO_AMOUNT)))
    assert told[10] == "and 1 more rejected row: required in 1"


def test_many_rows_not_paid_are_counted_by_outcome_after_the_first_ten() -> None:
    told = reports.lines(_read(not_paid=["duplicate"] * 9 + ["conflict"] * 3 + ["duplicate"]))
    assert told[0] == "line 2: pay_2 was not paid again"
    assert told[9] == "line 11: pay_11 is another payment's id"
    assert told[10] == "and 3 more rows not paid: 1 duplicate, 2 conflict"
    assert told[11] == f"All rows not paid: {FOLDER}/not-paid-00000.csv"


def test_a_batch_that_was_paid_has_nothing_to_tell() -> None:
    assert reports.lines(_read()) == []


@pytest.mark.parametrize("message", ["is not one; write another", "; ", ""])
def test_a_message_with_a_semicolon_of_its_own_is_told_whole(message: str) -> None:
    report = _read(_rows(1, FieldError("amount", "required", message), NO_AMOUNT))
    [told] = [line for line in reports.lines(report) if line.startswith("line 2")]
    assert message in told
    assert "amount; amount" in told or "required); amount is missing" in told


def test_no_line_is_long_or_reaches_the_terminal_as_a_command() -> None:
    hostile = FieldError("row", "malformed", "has \x1b[2J\u202e\n" + "x" * 10_000)
    told = reports.lines(_read(_rows(100, hostile)))
    assert len(told) < 20
    assert all(len(line) < 400 and line.isprintable() for line in told)
    assert r"has \x1b[2J\u202e\nxxx" in told[0]
    assert told[0].endswith("x…")


def test_sums_of_many_currencies_are_told_of_the_first() -> None:
    amounts = {f"A{letter}A": "1.00" for letter in "ABCDEFGHIJKL"}
    assert reports.sums({}) == ""
    assert reports.sums({"EUR": "1.00", "USD": "2.50"}) == "1.00 EUR, 2.50 USD"
    assert reports.sums(amounts).endswith("1.00 AJA, and of 2 more currencies")


def test_reports_that_are_not_shown_are_not_fetched() -> None:
    fetched = []

    def rows(uri: str) -> Iterator[Row]:
        fetched.append(uri)
        return iter([dict(zip(NOT_PAID_COLUMNS, ("2", "p", "duplicate"), strict=True))] * 10)

    reports.read({"reports": {"rejected": [], "not_paid": ["a", "b"]}}, rows)
    assert fetched == ["a"]


def test_what_is_printed_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    report = _read(
        _rows(300, BAD_ID),
        ["conflict"] * 300,
        reason={"code": "malformed", "message": "[red]columns: " + "x" * 100_000},
    )
    batch.show(report)
    told = capsys.readouterr().out
    assert len(told) < 5_000
    assert "[red]columns: xxx" in told
    assert "and 290 more rejected rows" in told
    assert "and 290 more rows not paid" in told


def test_a_report_is_read_as_it_is_written_byte_order_mark_or_not() -> None:
    content = 'payment_id,code\r\n"a\r\n\u2028b",c;é\r\n'.encode()
    for body in (content, b"\xef\xbb\xbf" + content):
        stream = StreamingBody(io.BytesIO(body), len(body))
        assert list(reports.rows(stream)) == [{"payment_id": "a\r\n\u2028b", "code": "c;é"}]


def test_a_large_report_does_not_fill_the_memory() -> None:
    class Endless(io.BytesIO):
        """A report without an end."""

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size > 0, "all of it was asked for"
            return b"1\n" * (size // 2)

    stream = StreamingBody(Endless(), 2**62)
    assert list(islice(reports.rows(stream), 100_000)) == [{"1": "1"}] * 100_000


@pytest.mark.parametrize(
    ("outcome", "code", "message", "told"),
    [
        ("duplicate", "", "", "line 2: r1 was not refunded again"),
        ("conflict", "", "", "line 2: r1 is another refund's id"),
        (
            "refused",
            "exceeds_refundable",
            "is more than is left to refund",
            "line 2: r1 was not refunded: is more than is left to refund (exceeds_refundable)",
        ),
        (
            "refused",
            "payment_not_found",
            "names no payment",
            "line 2: r1 was not refunded: names no payment (payment_not_found)",
        ),
    ],
)
def test_why_a_row_was_not_refunded_is_told(
    outcome: str, code: str, message: str, told: str
) -> None:
    row = dict(
        zip((*NOT_PAID_COLUMNS, *REFUSED_COLUMNS), ("2", "r1", outcome, code, message), strict=True)
    )
    summary = {
        "batch_id": "batch_1",
        "kind": "refunds",
        "rows": 3,
        "accepted": 3,
        "rejected": 0,
        "duplicate": 0,
        "conflict": 0,
        "refused": 0,
        outcome: 2,
        "reports": {"rejected": [], "not_paid": ["a"]},
    }
    report = reports.read(summary, lambda _: [row])
    lines = reports.lines(report)
    assert lines[:2] == [told, f"and 1 more row not paid: 1 {outcome}"]
    assert reports.would_do(summary) == 1
    assert progress(summary) == "3 rows read, 0 rejected, 2 of 3 refunds final"


@pytest.mark.parametrize(
    ("dry_run", "refunds", "key"),
    [
        (False, False, "march.csv"),
        (True, False, "dry-run/march.csv"),
        (False, True, "refunds/march.csv"),
        (True, True, "dry-run/refunds/march.csv"),
    ],
)
def test_a_file_goes_where_it_is_read_as_what_it_is(
    tmp_path: Path, *, dry_run: bool, refunds: bool, key: str
) -> None:
    file = tmp_path / "march.csv"
    file.write_text("payment_id\n")
    put: dict[str, Any] = {}

    class S3:
        def put_object(self, **arguments: Any) -> dict[str, str]:
            put.update(arguments)
            return {"VersionId": "1"}

    s3: Any = S3()
    files = BatchFiles(s3, "dev", lambda _: None)
    batch_id = files.upload(file, dry_run=dry_run, refunds=refunds)
    made = Batch(ObjectVersion("payment-batch-files-dev", key, "1"))
    assert (put["Key"], batch_id) == (key, made.batch_id)
    assert (made.is_dry_run, made.kind is BatchKind.REFUNDS) == (dry_run, refunds)
