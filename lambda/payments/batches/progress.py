"""Where a batch is, and what became of its rows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from payments.batches.batch import BatchKind
from payments.core.content import RowContent
from payments.core.faults import FieldError
from payments.core.money import to_decimal_text
from payments.core.payment import RowOutcome


def rejected_report(range_number: int, part: int) -> str:
    """Return the name of a part of a range's report; most ranges have one part at most."""
    return f"rejected-{range_number:05}{f'-{part:05}' if part else ''}.csv"


def not_paid_report(number: int) -> str:
    """Return the name of a report of rows that were not paid."""
    return f"not-paid-{number:05}.csv"


class BatchStatus(StrEnum):
    """Where a batch is: ``PROCESSING`` → ``COMPLETED``, ``REFUSED`` or ``FAILED``.

    A ``FAILED`` batch ends otherwise once another try has carried it through.
    """

    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"

    @property
    def has_ended(self) -> bool:
        """Whether nobody works on the batch any more."""
        return self is not BatchStatus.PROCESSING

    @property
    def is_open(self) -> bool:
        """Whether the batch may still complete: another try of one that failed may."""
        return self in {BatchStatus.PROCESSING, BatchStatus.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeResult:
    """What became of the rows of one range; sums are in minor units by currency, with the decimals of each.

    ``reports`` is how many parts the report of its rejected rows has.
    """

    number: int
    accepted: int
    rejected: int
    accepted_minor: Mapping[str, int]
    exponents: Mapping[str, int]
    reports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPaidRow:
    """An accepted row whose id was taken, or which was refused: ``fault`` then says why."""

    line: int
    content: RowContent
    outcome: str
    fault: FieldError | None = None


@dataclass(frozen=True, slots=True)
class IdHolder:
    """Who has a payment id in a dry run: a payment, or the row of the file that came first.

    ``line`` is that row's; ``None``: it is a payment that was accepted before.
    """

    line: int | None
    content_hash: str


type RefundSums = Mapping[tuple[str, int], int]
"""What became refunds, in minor units, by currency and its number of decimals."""


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch as it stands.

    Only the payments of refunds know their currencies, so ``refunds`` are summed as they end, and
    not as their rows are read.
    """

    timeline: list[dict[str, Any]]
    ranges: list[RangeResult]
    outcomes: Mapping[str, int]
    refunds: RefundSums = field(default_factory=dict)

    @property
    def status(self) -> BatchStatus:
        """The newest status."""
        return BatchStatus(self.timeline[-1]["status"])

    @property
    def is_open(self) -> bool:
        """Whether it may still complete."""
        return self.status.is_open

    @property
    def updated_at(self) -> str:
        """Since when it has that status."""
        return str(self.timeline[-1]["at"])

    @property
    def accepted(self) -> int:
        """Valid rows so far."""
        return sum(part.accepted for part in self.ranges)

    @property
    def not_paid(self) -> int:
        """Accepted rows so far whose id was taken, or which were refused."""
        taken = (RowOutcome.DUPLICATE, RowOutcome.CONFLICT, RowOutcome.REFUSED)
        return sum(self.outcomes.get(outcome.value, 0) for outcome in taken)

    @property
    def is_settled(self) -> bool:
        """Whether every accepted row has its outcome, given that all ranges are processed."""
        return self.timeline[0]["dry_run"] or sum(self.outcomes.values()) >= self.accepted

    def describe(self) -> dict[str, Any]:
        """Return the batch as clients see it; amounts are decimal strings."""
        head, last = self.timeline[0], self.timeline[-1]
        rejected = sum(part.rejected for part in self.ranges)
        counts = {outcome.value: self.outcomes.get(outcome.value, 0) for outcome in RowOutcome}
        body: dict[str, Any] = {
            **{name: head[name] for name in ("batch_id", "bucket", "key", "version_id")},
            "kind": head.get("kind", BatchKind.PAYMENTS.value),
            "dry_run": head["dry_run"],
            "status": self.status.value,
            "created_at": head["at"],
            "updated_at": last["at"],
            "rows": self.accepted + rejected,
            "accepted": self.accepted,
            "rejected": rejected,
            **counts,
            "accepted_amounts": self._sums(),
            "reports": {
                "summary": None if self.is_open else f"{head['reports']}/summary.json",
                "rejected": [
                    f"{head['reports']}/{rejected_report(part.number, number)}"
                    for part in self.ranges
                    for number in range(part.reports)
                ],
                "not_paid": [
                    f"{head['reports']}/{not_paid_report(number)}"
                    for number in range(last.get("not_paid_reports", 0))
                ],
            },
        }
        if "reason_code" in last:
            body["reason"] = {"code": last["reason_code"], "message": last["reason_message"]}
        return body

    def _sums(self) -> dict[str, str]:
        """Return the sum by currency of what was accepted, as decimal strings."""
        parts = Counter(self.refunds)
        for part in self.ranges:
            for currency, minor in part.accepted_minor.items():
                parts[currency, part.exponents[currency]] += minor
        exponents: dict[str, int] = {}
        for currency, exponent in parts:
            exponents[currency] = max(exponent, exponents.get(currency, 0))
        sums: Counter[str] = Counter()
        for (currency, exponent), minor in parts.items():
            sums[currency] += minor * 10 ** (exponents[currency] - exponent)
        return {
            currency: to_decimal_text(minor, exponents[currency])
            for currency, minor in sorted(sums.items())
        }
