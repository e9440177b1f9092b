"""Reports come back: unchanged they pay nothing, corrected they pay what they show."""

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.batches.layout import PAYMENTS
from payments.batches.progress import NotPaidRow
from payments.batches.records import RejectedRow, ValidRow, plan_file, read_rows
from payments.batches.reports import NOT_PAID_COLUMNS, REPORT_COLUMNS, RejectedRows, not_paid_csv
from payments.core.content import Content
from payments.core.fields import FIELDS, check_fields
from tests.unit.cloud import payment_content

RIGHT = {"payment_id": "corrected_1", "amount": "12", "currency": "USD"}

GOOD_CELLS = {
    "payment_id": st.sampled_from(["p1", "-abc", "'p2", " p3 ", "\u00a0p4\t", "\tp5"]),
    "amount": st.sampled_from(["1.00", "1", "\t7.5", "'9", " 3"]),
    "currency": st.sampled_from(["USD", " JPY", "\tKWD"]),
}
BAD_CELLS = st.sampled_from(
    [
        *("", " ", "=1+1", "+5", "-1", "@x", "\t=1", "\n5.00", "\r5.00", "''5", "'=1", "\u20281"),
        *("1.000", "25.000", "1,234.56", "usd", "a b", 'x"y', "a\nnobody,9.00,USD", "\uff1d1"),
    ]
)
CELLS = BAD_CELLS | st.text(max_size=5).filter(lambda text: text.isprintable())
OWN_COLUMNS = st.lists(
    st.sampled_from(
        [
            *("message", "line", "code", "field", "", "note", "=cmd", "-", "line_number"),
            *("[rejected line]", "[rejected code]", "[rejected record]", "[rejected line 2]"),
        ]
    ),
    max_size=4,
)
RAW_RECORDS = st.sampled_from(
    ["p1,USD,1,234.56,rent", "p1", 'p1,"1.00"x,USD', "=1+1", "p1,1.00\rp2,2.00,USD", ",,,,,,,,x"]
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw a file: good rows, bad rows, rows that do not fit, and columns of any names."""
    columns = draw(st.permutations([*FIELDS, *draw(OWN_COLUMNS)]))
    lines = [_line(columns)]
    good = [GOOD_CELLS.get(name, CELLS) for name in columns]
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.integers(0, 3)) == 0:
            lines.append(draw(RAW_RECORDS) + "\r\n")
        else:
            lines.append(_line([draw(cells | CELLS) for cells in good]))
    return "".join(lines).encode()


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _read(content: bytes) -> tuple[tuple[str, ...], list[ValidRow[Content] | RejectedRow]]:
    plan = plan_file([content], len(content), PAYMENTS)
    rows = [
        row
        for part in plan.ranges
        for row in read_rows(
            [content[part.start : part.end]], plan.columns, part.first_line, PAYMENTS
        )
    ]
    return plan.columns, rows


def _report(content: bytes) -> bytes | None:
    """Return the report of a file's rejected rows, if it has some."""
    columns, rows = _read(content)
    parts: list[bytes] = []
    report = RejectedRows(columns, PAYMENTS, lambda _, part: parts.append(part))
    for row in rows:
        if isinstance(row, RejectedRow):
            report.add(row)
    report.finish_part()
    return parts[0] if parts else None


def _cells(report: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(report.decode("utf-8-sig"), newline="")))


def _paid(content: bytes) -> list[ValidRow[Content]]:
    return [row for row in _read(content)[1] if isinstance(row, ValidRow)]


@settings(max_examples=400, deadline=None)
@given(files())
def test_a_report_that_comes_back_unchanged_pays_nothing_and_tells_the_same(file: bytes) -> None:
    report = _report(file)
    if report is None:
        return
    assert _paid(report) == []
    again = _report(report)
    assert again is not None
    (columns, *rows), (columns_again, *rows_again) = _cells(report), _cells(again)
    line, faults = columns.index(columns[-5]), slice(len(columns) - 4, len(columns) - 1)
    assert columns_again == columns
    assert len(rows_again) == len(rows)
    for row, row_again in zip(rows, rows_again, strict=True):
        # Blanks at the start of a cell are noise.
        assert [cell.lstrip(" ") for cell in row_again[:line]] == [
            cell.lstrip(" ") for cell in row[:line]
        ]
        assert row_again[-1].lstrip(" ") == row[-1].lstrip(" ")
        if not row[-1]:
            assert row_again[faults] == row[faults]


@settings(max_examples=400, deadline=None)
@given(files(), st.data())
def test_correcting_a_row_pays_that_row_alone_with_what_it_shows(
    file: bytes, data: st.DataObject
) -> None:
    report = _report(file)
    if report is None:
        return
    columns, *rows = _cells(report)
    row = rows[data.draw(st.integers(0, len(rows) - 1), "row")]
    faults = row[len(columns) - 4].split("; ")
    for field, right in RIGHT.items():
        if field in faults or faults == ["row"]:
            row[columns.index(field)] = right
    payment_id, amount, currency = (row[columns.index(field)].removeprefix("'") for field in FIELDS)
    if "currency" in faults and amount in {"1.000", "25.000"}:
        # Whether an amount is ambiguous is known only once the currency is.
        row[columns.index("amount")] = amount = "25"
    [paid] = _paid("".join(map(_line, [columns, *rows])).encode())
    assert paid.content == check_fields(payment_id, amount, currency)


def test_a_row_with_optional_fields_that_gets_a_new_id_is_paid_as_it_was_asked_for() -> None:
    plain = Content("pay_1", 100, "USD", 2)
    asked = plain._replace(processor_payment_method="-pm", capture="manual")
    rows = [
        NotPaidRow(line=at, content=each, outcome="duplicate")
        for at, each in enumerate((plain, asked), 2)
    ]
    [report] = not_paid_csv(rows, PAYMENTS)
    columns, first, second = _cells(report)
    assert columns == [*FIELDS, "processor_payment_method", "capture", *NOT_PAID_COLUMNS]
    assert _paid(report) == []
    corrected = [columns, ["pay_2", *first[1:]], ["pay_3", *second[1:]]]
    paid = _paid("".join(map(_line, corrected)).encode())
    assert [row.content for row in paid] == [
        plain._replace(payment_id="pay_2"),
        asked._replace(payment_id="pay_3"),
    ]


@settings(max_examples=200, deadline=None)
@given(files())
def test_the_columns_of_the_file_are_all_in_its_report(file: bytes) -> None:
    columns, rows = _read(file)
    report = _report(file)
    if report is None:
        return
    told, *reported = _cells(report)
    own = [name if name not in {"=cmd", "-"} else f"'{name}" for name in columns]
    assert told[: len(own)] == own
    assert len(set(told[len(own) :]) - set(own)) == len(REPORT_COLUMNS)
    rejected = [row for row in rows if isinstance(row, RejectedRow)]
    for row, cells in zip(rejected, reported, strict=True):
        if row.raw is not None:
            assert cells[-1] in {row.raw, f"'{row.raw}"}
            assert set(cells[: len(own)]) == {""}
        for cell, shown in zip(row.cells, cells, strict=False):
            assert shown.removeprefix("'").strip() == cell.removeprefix("'").strip()


@given(
    st.lists(
        st.builds(
            payment_content,
            st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
            st.integers(1, 10**6),
            st.sampled_from(["USD", "JPY", "KWD", "CLF"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_a_row_that_was_not_paid_is_paid_under_a_new_id_alone(
    contents: list[tuple[str, int, str, int]], data: st.DataObject
) -> None:
    rows = [
        NotPaidRow(line=line, content=content, outcome="conflict")  # type: ignore[arg-type]  # a tuple with names
        for line, content in enumerate(contents, 2)
    ]
    [report] = not_paid_csv(rows, PAYMENTS)
    assert _paid(report) == []
    columns, *cells = _cells(report)
    assert columns == [*FIELDS, *NOT_PAID_COLUMNS]
    chosen = data.draw(st.integers(0, len(rows) - 1), "row")
    cells[chosen][0] = "new_id"
    [paid] = _paid("".join(map(_line, [columns, *cells])).encode())
    assert paid.content == rows[chosen].content._replace(payment_id="new_id")


def test_a_column_named_message_is_whole_in_the_report() -> None:
    report = _report(b"message,payment_id,amount,currency\nfor the rent,p1,-1,USD\n")
    assert report is not None
    [row] = csv.DictReader(io.StringIO(report.decode("utf-8-sig")))
    assert row["message"] == "for the rent"
    assert row["[rejected code]"] == "not_positive"


def test_a_record_that_does_not_fit_comes_back_and_is_rejected_again() -> None:
    report = _report(b"payment_id,currency,amount,note\np1,USD,1,234.56,rent\n")
    assert report is not None
    assert _paid(report) == []
    [row] = csv.DictReader(io.StringIO(report.decode("utf-8-sig")))
    assert row["[rejected record]"] == "p1,USD,1,234.56,rent"
    assert row["amount"] == ""


@pytest.mark.parametrize("moved", [[7, 6, 5, 4, 3, 2, 1, 0], [3, 0, 4, 1, 5, 2, 6, 7]])
def test_report_columns_that_a_spreadsheet_has_moved_are_still_known(moved: list[int]) -> None:
    report = _report(b"payment_id,amount,currency\np1,1,USD,x\n")
    assert report is not None
    rows = [[cells[at] for at in moved] for cells in _cells(report)]
    again = _report("".join(map(_line, rows)).encode())
    assert again is not None
    [row] = csv.DictReader(io.StringIO(again.decode("utf-8-sig")))
    assert sorted(row) == sorted([*FIELDS, *REPORT_COLUMNS])
    assert row["[rejected record]"] == "p1,1,USD,x"


def test_every_report_begins_with_a_byte_order_mark() -> None:
    rejected = _report("payment_id,amount,currency\nJosé,1,USD\n".encode())
    row = NotPaidRow(line=2, content=payment_content("p1", 100, "USD"), outcome="conflict")
    for report in (rejected, *not_paid_csv([row], PAYMENTS)):
        assert report is not None
        assert report.startswith(b"\xef\xbb\xbf")
