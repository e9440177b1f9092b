"""Reports on a batch's rows, as CSV that people open in a spreadsheet.

A cell that a spreadsheet would take for a formula gets an apostrophe before it. That of a payment's
field may stay when a report is corrected and uploaded: ``payments.batches.records`` ignores it.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import batched
from typing import Final

from payments.batches.progress import NotPaidRow
from payments.batches.records import RejectedRow

REPORT_COLUMNS: Final = (
    "[rejected line]",
    "[rejected field]",
    "[rejected code]",
    "[rejected message]",
    "[rejected record]",
)
"""What a report of rejected rows adds to the file's own columns, at their end."""

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
        write: takes each part, UTF-8, with its number from 0.
        part_bytes: about how large a part may become.
    """

    def __init__(
        self,
        columns: Sequence[str],
        write: Callable[[int, bytes], None],
        *,
        part_bytes: int = _PART_BYTES,
    ) -> None:
        self.count = 0
        self.parts = 0
        self._write = write
        self._part_bytes = part_bytes
        # A file whose columns end so is an earlier report: its report columns are ours, not its own.
        self._is_report = tuple(columns[-len(REPORT_COLUMNS) :]) == REPORT_COLUMNS
        self._own = len(columns) - (len(REPORT_COLUMNS) if self._is_report else 0)
        own = columns[: self._own]
        self._header = [*map(_harmless, own), *(_unlike(own, name) for name in REPORT_COLUMNS)]
        self._begin()

    def add(self, row: RejectedRow) -> None:
        """Add a row."""
        own = row.cells[: self._own] or ("",) * self._own
        raw = row.raw or ""
        if self._is_report and row.cells and not any(own):
            # An earlier report told the record raw, and nobody has corrected it.
            raw = row.cells[-1]
        faults = (
            "; ".join(getattr(error, name) for error in row.errors)
            for name in ("field", "code", "message")
        )
        self._writer.writerow([*map(_harmless, own), row.line, *faults, _harmless(raw)])
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

    def _begin(self) -> None:
        self._rows_in_part = 0
        self._part = io.BytesIO()
        self._part.write(_UTF_8_MARK)
        self._text = io.TextIOWrapper(self._part, encoding="utf-8", newline="")
        self._writer = csv.writer(self._text, lineterminator=_LINE_END)
        self._writer.writerow(self._header)


def not_paid_csv(rows: Iterable[NotPaidRow]) -> Iterator[bytes]:
    """Yield files of rows that were accepted and not paid, because their id was taken."""
    for part in batched(rows, _ROWS_PER_REPORT):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator=_LINE_END)
        writer.writerow(["line_number", "payment_id", "amount", "currency", "outcome"])
        for row in part:
            amount = row.content.amount
            payment_id = _harmless(row.content.payment_id)
            writer.writerow([row.line, payment_id, amount, row.content.currency, row.outcome])
        yield _UTF_8_MARK + text.getvalue().encode()


def _unlike(names: Sequence[str], name: str) -> str:
    """Return a name that none of these is."""
    return name if name not in names else _unlike(names, f"{name} again")


def _harmless(cell: str) -> str:
    """Return a cell so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell[:1] in _FORMULA_STARTS else cell
