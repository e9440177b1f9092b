"""A dry run: what the real run would do with accepted rows at this moment, and nothing of it done."""

from collections import Counter
from collections.abc import Iterable
from itertools import batched
from typing import Final

from payments.batches.ports import DryRuns
from payments.batches.progress import IdHolder, NotPaidRow
from payments.batches.records import ValidRow
from payments.core.payment import RowOutcome

ROWS_AT_ONCE: Final = 100
"""How many rows are looked up and remembered in one call."""


def rehearse(
    rows: Iterable[ValidRow], dry_runs: DryRuns, *, batch_id: str, range_number: int, at: str
) -> None:
    """Record which rows of a range would not be paid, because their payment id is taken.

    The first look at an id decides for the whole dry run, as the first row with it would in the
    real run. So a repeated range, and the same id in another range, come to the same result.

    Raises:
        ServiceUnavailable: not all is recorded; rehearse the same range again.
    """
    counts: Counter[RowOutcome] = Counter()
    for chunk in batched(rows, ROWS_AT_ONCE):
        holders = dry_runs.claim(batch_id, chunk, at)
        not_paid = [
            NotPaidRow(line=row.line, content=row.content, outcome=outcome.value)
            for row in chunk
            if (outcome := _outcome(row, holders[row.content.payment_id])) is not None
        ]
        if not_paid:
            dry_runs.record_not_paid(batch_id, not_paid, at)
            counts.update(RowOutcome(row.outcome) for row in not_paid)
    dry_runs.record_outcomes(batch_id, range_number, counts, at)


def _outcome(row: ValidRow, holder: IdHolder) -> RowOutcome | None:
    if holder.line == row.line:
        return None
    is_same = holder.content_hash == row.content.hash
    return RowOutcome.DUPLICATE if is_same else RowOutcome.CONFLICT
