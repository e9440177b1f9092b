"""Reports on a batch's rows, as CSV that people open in a spreadsheet, correct and upload again.

A report that is uploaded unchanged pays nothing. A cell that a spreadsheet would take for a formula
gets an apostrophe before it. That of a payment's field may stay when a report is corrected and
uploaded: ``payments.batches.records`` ignores it.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import batched, count
from typing import Any, Final

from payments.batches.layout import PAYMENTS, Layout
from payments.batches.progress import NotPaidRow
from payments.batches.records import BLANKS, RejectedRow

REPORT_COLUMNS: Final = (
    "[rejected line]",
    "[rejected field]",
    "[rejected code]",
    "[rejected message]",
    "[rejected record]",
)
"""What a report of rejected rows adds to the file's own columns, at their end."""

NOT_PAID_COLUMNS: Final = ("[not paid line]", "[not paid id]", "[not paid outcome]")
"""What a report of rows that were not paid tells besides the fields of the row."""

REFUSED_COLUMNS: Final = ("[not paid code]", "[not paid message]")
"""What it tells of refunds besides: why the payment does not allow them."""

_UTF_8_MARK: Final = b"\xef\xbb\xbf"
"""At the start of a report, without which Excel takes it for another encoding."""

_PART_BYTES: Final = 16 * 1024 * 1024

_ROWS_PER_REPORT = 100_000

# https://owasp.org/www-community/attacks/CSV_Injection, and their full-width forms.
_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - look-alikes are the point

# Ends of lines as in RFC 4180: then a carriage return within a cell is quoted, too, and starts no
# row of its own.
_LINE_END: Final = "\r\n"


class RejectedRows:
    """Rejected rows as files that are valid input once corrected.

    A report has the file's own columns, whatever their names, and then ours. Uploading it unchanged
    pays nothing: each row is rejected again. A record that does not fit the header is told raw, in
    one cell, so that no cell of it can come under the wrong column. A report takes many times the
    memory of its rows, so it is written part by part.

    Args:
        columns: the columns of the batch file.
        layout: those of them that are read.
        write: takes each part, UTF-8, with its number from 0.
        part_bytes: about how large a part may become.
    """

    def __init__(
        self,
        columns: Sequence[str],
        layout: Layout[Any],
        write: Callable[[int, bytes], None],
        *,
        part_bytes: int = _PART_BYTES,
    ) -> None:
        self.count = 0
        self.parts = 0
        self._write = write
        self._part_bytes = part_bytes
        earlier = _report_columns_of(columns)
        self._own = [at for at, name in enumerate(columns) if name not in earlier]
        self._record_at = columns.index(earlier[-1]) if earlier else None
        self._fields = {at for at, name in enumerate(columns) if name in layout.names}
        own = [columns[at] for at in self._own]
        self._header = [*map(_harmless, own), *_report_columns_beside(own)]
        self._begin()

    def add(self, row: RejectedRow) -> None:
        """Add a row."""
        own = [self._cell(row, at) for at in self._own]
        raw = row.raw or ""
        if self._record_at is not None and row.cells:
            # The file is an earlier report: what it told raw stays beside the correction.
            raw = row.cells[self._record_at]
        faults = (
            "; ".join(getattr(error, name) for error in row.errors)
            for name in ("field", "code", "message")
        )
        self._writer.writerow([*own, row.line, *faults, _harmless(raw)])
        self.count += 1
        self._rows_in_part += 1
        if self._part.tell() >= self._part_bytes:
            self.finish_part()

    def finish_part(self) -> None:
        """Write the part that is begun, if there is a row in it."""
        if self._rows_in_part:
            self._text.flush()
            self._write(self.parts, self._part.getvalue())
            self.parts += 1
            self._begin()

    def _cell(self, row: RejectedRow, at: int) -> str:
        if not row.cells:
            return ""
        # A field is shown as it is read: with its blanks, the apostrophe would become part of it.
        return _harmless(row.cells[at].strip(BLANKS) if at in self._fields else row.cells[at])

    def _begin(self) -> None:
        self._rows_in_part = 0
        self._part = io.BytesIO()
        self._part.write(_UTF_8_MARK)
        self._text = io.TextIOWrapper(self._part, encoding="utf-8", newline="")
        self._writer = csv.writer(self._text, lineterminator=_LINE_END)
        self._writer.writerow(self._header)


def not_paid_csv(rows: Iterable[NotPaidRow], layout: Layout[Any]) -> Iterator[bytes]:
    """Yield files of rows that were accepted and not paid: their id was taken, or they were refused.

    The column of the row's own id, ``payment_id`` or ``refund_id``, is empty: uploaded unchanged,
    such a file pays nothing, also if it is of a dry run, whose ids are still free. Whoever does want
    a row paid writes a new id there. The optional fields have columns where any row gives them.
    """
    told = NOT_PAID_COLUMNS if layout is PAYMENTS else (*NOT_PAID_COLUMNS, *REFUSED_COLUMNS)
    for part in batched(rows, _ROWS_PER_REPORT):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator=_LINE_END)
        given = {name for row in part for name in row.content.cells}
        names = [*layout.fields, *(name for name in layout.options if name in given)]
        writer.writerow([*names, *told])
        for row in part:
            cells = row.content.cells
            taken = cells.pop(layout.own_id)
            asked = map(_harmless, (cells.get(name, "") for name in names))
            why = () if row.fault is None else (row.fault.code, row.fault.message)
            reported = (row.line, _harmless(taken), row.outcome, *why)
            writer.writerow([*asked, *reported, *[""] * (len(told) - len(reported))])
        yield _UTF_8_MARK + text.getvalue().encode()


def _report_columns_of(columns: Sequence[str]) -> tuple[str, ...]:
    """Return those columns of a file that an earlier report added, if it is one: all five or none.

    A spreadsheet may have moved them.
    """
    numbers = (number for number in range(1, len(columns)) if _are_in(number, columns))
    return next((_report_columns(number) for number in numbers), ())


def _report_columns_beside(own: Sequence[str]) -> tuple[str, ...]:
    """Return the report's columns under names that a file does not have."""
    return next(names for names in map(_report_columns, count(1)) if not set(names) & set(own))


def _are_in(number: int, columns: Sequence[str]) -> bool:
    return all(columns.count(name) == 1 for name in _report_columns(number))


def _report_columns(number: int) -> tuple[str, ...]:
    if number == 1:
        return REPORT_COLUMNS
    return tuple(f"{name[:-1]} {number}]" for name in REPORT_COLUMNS)


def _harmless(cell: str) -> str:
    """Return a cell so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell[:1] in _FORMULA_STARTS else cell
