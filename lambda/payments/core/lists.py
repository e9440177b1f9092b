"""Lists of payments: their order, what they are filtered by, and their pages."""

from dataclasses import dataclass
from typing import NamedTuple

from payments.core.faults import PaymentError
from payments.core.payment import Payment, PaymentStatus, batch_row


class Position(NamedTuple):
    """A place in the order of all payments: by time of acceptance, then by id."""

    created_at: str
    payment_id: str


class Entry(NamedTuple):
    """A payment as an index knows it; what the index does not hold is ``None``."""

    position: Position
    currency: str | None
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which payments a list has; what is ``None`` does not matter.

    ``created_from`` is inclusive and ``created_to`` exclusive; both are times as they are stored.
    """

    status: PaymentStatus | None = None
    currency: str | None = None
    created_from: str | None = None
    created_to: str | None = None
    batch_id: str | None = None

    def may_have(self, entry: Entry) -> bool:
        """Whether an entry's payment may be in the list, as far as the index can tell."""
        return self._have(entry.position.created_at, entry.currency, entry.source)

    def have(self, payment: Payment) -> bool:
        """Whether a payment is in the list."""
        return self.status in {None, payment.status} and self._have(
            payment.created_at, payment.currency, payment.source
        )

    def _have(self, created_at: str, currency: str | None, source: str | None) -> bool:
        return (
            (self.created_from is None or created_at >= self.created_from)
            and (self.created_to is None or created_at < self.created_to)
            and (None in {self.currency, currency} or currency == self.currency)
            and (self.batch_id is None or source is None or _batch_of(source) == self.batch_id)
        )


def _batch_of(source: str) -> str | None:
    row = batch_row(source)
    return None if row is None else row[0]


class ReadsSpent(PaymentError):
    """A page has read as much of an index as it may, and there may be more."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Where the next page begins, and until when the first page said that the list is complete."""

    after: Position
    complete_until: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some payments of a list, the newest first; ``next`` is ``None`` at its end."""

    payments: list[Payment]
    next: Bookmark | None
    complete_until: str
