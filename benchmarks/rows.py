"""Rows of a batch to queue messages on one core: read, validate, encode."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmarks.measurement import Measurement, interleaved_seconds
from payments.batches.batch import Batch, ObjectVersion
from payments.batches.layout import PAYMENTS
from payments.batches.records import plan_file, read_rows
from payments.batches.reports import RejectedRows
from payments.batches.steps import RowTally, accepted_rows, queue_messages
from payments.core.money import EXPONENTS

ROWS = 100_000
RUNS = 7
BLOCK_BYTES = 64 * 1024

# Of every kind of fault that a row of three cells can have, and rows that are right all the same.
_TRICKY_ROWS = (
    *("pay_a,1.5,USD", "pay_b,1.500,USD", "pay_c,500.0,JPY", "pay_d,0.001,KWD", '"pay_e","1",USD'),
    *("pay 1,1.00,USD", "pay_f,0,USD", "pay_g,1.005,USD", "pay_h,01.00,USD", "pay_i,-1,USD"),
    *("pay_j,1e3,USD", "pay_k,1.00,usd", "pay_l,1.00,XXX", "pay_m,0.5,JPY", ",1.00,USD"),
    *(f"pay_n,{'9' * 18},JPY", f"pay_o,{'9' * 18},USD", f"pay_p,{'9' * 19},JPY", "pay_q,,USD"),
)


def file_of(rows: int, extra: tuple[str, ...] = ()) -> bytes:
    """Return a batch file of so many valid rows, and what other lines are given."""
    lines = (
        f"pay_{number:012},{number % 9999}.{number % 100:02},USD" for number in range(1, rows + 1)
    )
    return (
        ("payment_id,amount,currency\n" + "\n".join((*lines, *extra)) + "\n")
        .replace(",0.00,", ",1.00,")
        .encode()
    )


def file_of_notes(rows: int) -> bytes:
    """Return a batch file of so many valid rows, each with a line break in a quoted cell."""
    lines = (
        f'pay_{number:012},{number % 9999 + 1}.{number % 100:02},USD,"rent\nfor ""May"""'
        for number in range(1, rows + 1)
    )
    return ("payment_id,amount,currency,note\n" + "\n".join(lines) + "\n").encode()


class _Row(BaseModel):
    """The rules of a row, as they are written with pydantic."""

    model_config = ConfigDict(strict=True)

    payment_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    amount: Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*)(\.[0-9]+)?$")]
    currency: str
    amount_minor: int = 0
    exponent: int = 0

    @model_validator(mode="after")
    def check_amount(self) -> Self:
        """Turn the amount into minor units of the currency, exactly."""
        exponent = EXPONENTS.get(self.currency)
        if exponent is None:
            raise ValueError("no currency in use")
        whole, _, fraction = self.amount.partition(".")
        if len(whole) + len(fraction) > 18:  # noqa: PLR2004 - the rule
            raise ValueError("too many digits")
        if len(fraction) == 3 != exponent:  # noqa: PLR2004 - the point may separate thousands
            raise ValueError("ambiguous")
        if len(fraction) > exponent:
            fraction = fraction.rstrip("0")
            if len(fraction) > exponent:
                raise ValueError("too many decimals")
        self.exponent = exponent
        self.amount_minor = int(whole + fraction.ljust(exponent, "0"))
        if not 0 < self.amount_minor < 10**18:
            raise ValueError("not positive, or too large")
        return self


def _messages_with_pydantic(content: bytes) -> Iterator[str]:
    reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
    behind = reader.line_num + 1
    for row in reader:
        line, behind = max(behind, 2), reader.line_num + 1
        try:
            valid = _Row.model_validate(row)
        except ValidationError:
            continue
        message: dict[str, Any] = {
            "kind": "payment",
            "version": 1,
            "payment_id": valid.payment_id,
            "amount_minor": valid.amount_minor,
            "currency": valid.currency,
            "exponent": valid.exponent,
            "source": f"batch:batch_0:{line}",
            "correlation_id": f"batch_0:{line}",
        }
        yield json.dumps(message, separators=(",", ":"))


def _messages(content: bytes) -> Iterator[str]:
    def blocks(start: int, end: int) -> list[bytes]:
        return [content[at : min(at + BLOCK_BYTES, end)] for at in range(start, end, BLOCK_BYTES)]

    plan = plan_file(blocks(0, len(content)), len(content), PAYMENTS)
    [part] = plan.ranges
    rows = read_rows(blocks(part.start, part.end), plan.columns, part.first_line, PAYMENTS)
    accepted = accepted_rows(
        rows, RowTally(), RejectedRows(plan.columns, PAYMENTS, lambda *_: None)
    )
    return queue_messages(Batch(ObjectVersion("files", "a.csv", "1")), accepted)


def rows_per_second(rows: int) -> float:
    """Return how fast our side alone is for a file of so many rows."""
    content = file_of(rows)
    seconds, _ = interleaved_seconds(lambda: _run(_messages(content)), lambda: None, runs=3)
    return rows / seconds


def measure() -> list[Measurement]:
    """Measure beside what is usually written, and beside ``csv.reader``, which does nothing."""
    tricky = file_of(100, _TRICKY_ROWS)
    if list(_messages(tricky)) != list(_messages_with_pydantic(tricky)):
        raise AssertionError("the two sides take different rows")
    content, notes = file_of(ROWS), file_of_notes(ROWS)
    if list(_messages(notes)) != list(_messages_with_pydantic(notes)):
        raise AssertionError("the two sides take different rows out of notes")

    def ours() -> None:
        _run(_messages(content))

    def plain() -> None:
        Counter(len(row) for row in csv.reader(io.StringIO(content.decode())))

    seconds, usual_seconds = interleaved_seconds(
        ours, lambda: _run(_messages_with_pydantic(content)), runs=RUNS
    )
    notes_seconds, usual_notes_seconds = interleaved_seconds(
        lambda: _run(_messages(notes)), lambda: _run(_messages_with_pydantic(notes)), runs=RUNS
    )
    seconds_again, plain_seconds = interleaved_seconds(ours, plain, runs=RUNS)
    return [
        Measurement(
            what="CSV to queue entries: read, validated, encoded",
            unit="rows/s",
            value=ROWS / seconds,
            beside="csv.DictReader, pydantic, json.dumps",
            beside_value=ROWS / usual_seconds,
            at_least=3,
            notes=f"one core; the same messages, also of {len(_TRICKY_ROWS)} tricky rows",
        ),
        Measurement(
            what="the same, each row with a line break in a quoted cell",
            unit="rows/s",
            value=ROWS / notes_seconds,
            beside="csv.DictReader, pydantic, json.dumps",
            beside_value=ROWS / usual_notes_seconds,
            at_least=3,
            notes="one core; the same messages",
        ),
        Measurement(
            what="the same beside reading alone",
            unit="rows/s",
            value=ROWS / seconds_again,
            beside="csv.reader, which does nothing with what it reads",
            beside_value=ROWS / plain_seconds,
            # 200,000 rows/s where csv.reader does 1.2 million.
            at_least=1 / 6,
        ),
    ]


def _run(messages: Iterator[str]) -> None:
    count = sum(1 for _ in messages)
    if not count:
        raise AssertionError("no row was read")
