"""A dry run: says what the real run would do with accepted rows now, and does none of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import batched
from typing import Final

from payments.batches.ports import DryRuns, RefundsSeen
from payments.batches.progress import IdHolder, NotPaidRow
from payments.batches.records import ValidRow
from payments.core.amounts import Amounts
from payments.core.asking import refund_of_row, refundable, refusal
from payments.core.content import Content, RefundContent
from payments.core.faults import (
    FieldError,
    InvalidRequest,
    NotRefundable,
    PaymentNotFound,
    ServiceUnavailable,
)
from payments.core.payment import RowOutcome

ROWS_AT_ONCE: Final = 100
"""How many rows are looked up and remembered in one call."""


def rehearse(
    rows: Iterable[ValidRow[Content]],
    dry_runs: DryRuns,
    *,
    batch_id: str,
    range_number: int,
    at: str,
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


def _outcome(row: ValidRow[Content], holder: IdHolder) -> RowOutcome | None:
    if holder.line == row.line:
        return None
    is_same = holder.content_hash == row.content.hash
    return RowOutcome.DUPLICATE if is_same else RowOutcome.CONFLICT


REFUNDS_AT_ONCE: Final = 40
"""How many refunds are looked up and remembered in one call: each may write two items of the 100
that one transaction takes."""

_ATTEMPTS: Final = 8


def rehearse_refunds(
    rows: Iterable[ValidRow[RefundContent]],
    dry_runs: DryRuns,
    *,
    batch_id: str,
    range_number: int,
    at: str,
) -> None:
    """Record which rows of a range would not become refunds, and why.

    A row that would become one has its id, and its part of what is left of its payment, for the
    whole dry run. So a repeated range comes to the same, and two rows never share an amount.

    Raises:
        ServiceUnavailable: not all is recorded; rehearse the same range again.
    """
    counts: Counter[RowOutcome] = Counter()
    sums: Counter[tuple[str, int]] = Counter()
    for chunk in batched(rows, REFUNDS_AT_ONCE):
        rehearsal = _rehearsed(chunk, dry_runs, batch_id, at)
        if rehearsal.not_paid:
            dry_runs.record_not_paid(batch_id, rehearsal.not_paid, at)
        counts.update(RowOutcome(row.outcome) for row in rehearsal.not_paid)
        sums.update(rehearsal.sums)
    dry_runs.record_outcomes(batch_id, range_number, counts, at, refunds=sums)


def _rehearsed(
    rows: Sequence[ValidRow[RefundContent]], dry_runs: DryRuns, batch_id: str, at: str
) -> "_Rehearsal":
    for _ in range(_ATTEMPTS):
        rehearsal = _Rehearsal(dry_runs.refunds(batch_id, [row.content for row in rows]))
        for row in rows:
            rehearsal.take(row, batch_id)
        if not rehearsal.claims or dry_runs.claim_refunds(
            batch_id, rehearsal.claims, rehearsal.seen, rehearsal.amounts, at
        ):
            return rehearsal
    raise ServiceUnavailable("the refunds of a dry run are written by too many concurrently")


@dataclass(slots=True)
class _Rehearsal:
    """What would become of some rows, in their order, by what was seen before them."""

    seen: RefundsSeen
    claims: dict[tuple[str, str], IdHolder] = field(default_factory=dict)
    amounts: dict[str, Amounts] = field(default_factory=dict)
    not_paid: list[NotPaidRow] = field(default_factory=list)
    sums: Counter[tuple[str, int]] = field(default_factory=Counter)

    def take(self, row: ValidRow[RefundContent], batch_id: str) -> None:
        """Say what would become of a row, as ``flows.refund_rows`` does when its turn comes."""
        try:
            outcome = self._outcome(row, batch_id)
        except (PaymentNotFound, InvalidRequest, NotRefundable) as fault:
            self._put(row, RowOutcome.REFUSED, refusal(fault))
        else:
            if outcome is not None:
                self._put(row, outcome)

    def _outcome(self, row: ValidRow[RefundContent], batch_id: str) -> RowOutcome | None:
        content, which = row.content, (row.content.payment_id, row.content.refund_id)
        payment = self.seen.payments.get(content.payment_id)
        if payment is None:
            raise PaymentNotFound(content.payment_id)
        origin = f"{batch_id}:{row.line}"
        request = refund_of_row(content, f"batch:{origin}", origin).on(payment)
        holder = self.claims.get(which) or self.seen.holders.get(which)
        if holder is None:
            amounts = self.amounts.get(content.payment_id) or self.seen.amounts.get(
                content.payment_id, payment.amounts
            )
            amount = refundable(replace(payment, amounts=amounts), request).amount_minor
            self.claims[which] = IdHolder(row.line, request.hash)
            self.amounts[content.payment_id] = amounts.refund_requested(amount)
        elif holder.line != row.line:
            is_same = holder.content_hash == request.hash
            return RowOutcome.DUPLICATE if is_same else RowOutcome.CONFLICT
        self.sums[payment.currency, payment.content.exponent] += request.amount_minor or 0
        return None

    def _put(
        self,
        row: ValidRow[RefundContent],
        outcome: RowOutcome,
        fault: FieldError | None = None,
    ) -> None:
        self.not_paid.append(
            NotPaidRow(line=row.line, content=row.content, outcome=outcome.value, fault=fault)
        )
