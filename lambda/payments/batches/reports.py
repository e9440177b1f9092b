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

REPORT_COLUMNS: Final = ("line_number", "field", "code", "message")
"""What a report of rejected rows adds to the file's own columns."""

_PART_BYTES: Final = 16 * 1024 * 1024

_ROWS_PER_REPORT = 100_000

# https://owasp.org/www-community/attacks/CSV_Injection, and their full-width forms.
_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - look-alikes are the point

# Ends of lines as in RFC 4180: then a carriage return within a cell is quoted, too, and starts no
# row of its own.
_LINE_END: Final = "\r\n"


class RejectedRows:
    """Rejected rows as files that are valid input once mended: their own columns, then the faults.

    A report takes many times the memory of its rows, so it is written part by part.

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
        self._width = len(columns)
        # Columns of an earlier report are not repeated: a mended report may be sent back as it is.
        self._kept = [at for at, name in enumerate(columns) if name not in REPORT_COLUMNS]
        self._header = [*(_harmless(columns[at]) for at in self._kept), *REPORT_COLUMNS]
        self._begin()

    def add(self, row: RejectedRow) -> None:
        """Add a row."""
        cells = (*row.cells, *[""] * self._width)
        if len(row.cells) > self._width:
            # Cells that have no column stay with the last one that has: nothing gets lost.
            cells = (*cells[: self._width - 1], ",".join(row.cells[self._width - 1 :]))
        faults = (
            "; ".join(getattr(error, name) for error in row.errors)
            for name in ("field", "code", "message")
        )
        self._writer.writerow([*(_harmless(cells[at]) for at in self._kept), row.line, *faults])
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
        yield text.getvalue().encode()


def _harmless(cell: str) -> str:
    """Return a cell so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell[:1] in _FORMULA_STARTS else cell
