"""Rows of a batch to queue messages on one core: read, validate, encode."""

import csv
import io
from collections import Counter

from benchmarks.measurement import Measurement, median_seconds
from payments.batch import RowTally, queue_messages
from payments.batch_report import RejectedRows
from payments.csv_rows import plan_file, read_rows

ROWS = 200_000


def file_of(rows: int) -> bytes:
    """Return a batch file of valid rows."""
    lines = (
        f"pay_{number:012},{number % 9999}.{number % 100:02},USD" for number in range(1, rows + 1)
    )
    return (
        ("payment_id,amount,currency\n" + "\n".join(lines) + "\n")
        .replace(",0.00,", ",1.00,")
        .encode()
    )


def measure() -> list[Measurement]:
    """Measure beside the plain ``csv.reader``, which does nothing with what it reads."""
    content = file_of(ROWS)
    blocks = [content[at : at + 1024 * 1024] for at in range(0, len(content), 1024 * 1024)]

    def ours() -> None:
        plan = plan_file(blocks, len(content))
        [part] = plan.ranges
        rejected = RejectedRows(plan.columns)
        tally = RowTally()
        body = [content[part.start : part.end]]
        rows = read_rows(body, plan.columns, part.first_line)
        encoded = sum(1 for _ in queue_messages("batch_0", rows, tally, rejected))
        if encoded != ROWS:
            raise AssertionError(f"{encoded} of {ROWS} rows")

    def plain() -> None:
        Counter(len(row) for row in csv.reader(io.StringIO(content.decode())))

    return [
        Measurement(
            what="CSV rows planned, read, validated and encoded",
            unit="rows/s",
            value=ROWS / median_seconds(ours),
            beside="csv.reader alone",
            beside_value=ROWS / median_seconds(plain),
            notes="one core",
        )
    ]
