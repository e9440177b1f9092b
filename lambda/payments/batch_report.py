"""Reports on a batch's rows, as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import batched
from typing import Final

from payments.batch_store import NotPaidRow
from payments.csv_rows import RejectedRow
from payments.money import to_decimal_text

REPORT_COLUMNS: Final = ("line_number", "field", "code", "message")
"""What a report of rejected rows adds to the file's own columns."""

_ROWS_PER_REPORT = 100_000


class RejectedRows:
    """Rejected rows as a file that is valid input once mended: its own columns, then the faults.

    Rows are kept as text, so that a range full of faults takes little more memory than the range.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.count = 0
        self._width = len(columns)
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\n")
        # Columns of an earlier report are not repeated: a mended report may be sent back as it is.
        self._kept = [at for at, name in enumerate(columns) if name not in REPORT_COLUMNS]
        self._writer.writerow([*(columns[at] for at in self._kept), *REPORT_COLUMNS])

    def add(self, row: RejectedRow) -> None:
        """Add a row."""
        cells = (*row.cells, *[""] * self._width)
        faults = (
            "; ".join(getattr(error, name) for error in row.errors)
            for name in ("field", "code", "message")
        )
        self._writer.writerow([*(cells[at] for at in self._kept), row.line, *faults])
        self.count += 1

    def to_csv(self) -> bytes:
        """Return the file, UTF-8."""
        return self._text.getvalue().encode()


def not_paid_csv(rows: Iterable[NotPaidRow]) -> Iterator[bytes]:
    """Yield files of rows that were accepted and not paid, because their id was taken."""
    for part in batched(rows, _ROWS_PER_REPORT):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["line_number", "payment_id", "amount", "currency", "outcome"])
        for row in part:
            amount = to_decimal_text(row.amount_minor, row.currency)
            writer.writerow([row.line, row.payment_id, amount, row.currency, row.outcome])
        yield text.getvalue().encode()
