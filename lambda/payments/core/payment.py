"""A payment, its statuses and what follows from each."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from payments.core.content import Content, HasContent


class RowOutcome(StrEnum):
    """The end of an accepted row: paid, failed, or not paid because its id was taken."""

    COMPLETED = "completed"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class PaymentStatus(StrEnum):
    """Where a payment is: ``PENDING`` → ``PROCESSING`` → ``COMPLETED`` or ``FAILED``.

    What follows from a status is in :data:`LIFE` alone; everything else asks these properties.
    """

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"

    @property
    def successors(self) -> frozenset["PaymentStatus"]:
        """The statuses that a transition may lead to from here."""
        return LIFE[self].successors

    @property
    def is_settled(self) -> bool:
        """Whether the charge is decided: nobody may charge this payment (again)."""
        return LIFE[self].is_settled

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows: no transition leaves this status."""
        return not self.successors

    @property
    def is_open(self) -> bool:
        """Whether the system itself must move the payment on: one that stays here is stuck."""
        return LIFE[self].is_open

    @property
    def event_type(self) -> str | None:
        """The type of the event that tells of this status; ``None``: subscribers are not told."""
        return f"payment.{self.value.lower()}" if LIFE[self].is_announced else None

    @property
    def counted_as(self) -> str | None:
        """How the metrics of payments that reach this status end: ``Payments{counted_as}``."""
        return LIFE[self].counted_as

    @property
    def row_outcome(self) -> RowOutcome | None:
        """What a row of a batch is counted as once its payment gets here; ``None``: not yet."""
        return LIFE[self].row_outcome

    @property
    def colour(self) -> str:
        """The colour that terminals show this status in."""
        return LIFE[self].colour


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFacts:
    """All that follows from a status; the properties of :class:`PaymentStatus` explain each."""

    successors: frozenset[PaymentStatus]
    is_settled: bool
    is_open: bool
    is_announced: bool
    counted_as: str | None
    row_outcome: RowOutcome | None
    colour: str


LIFE: Final[dict[PaymentStatus, StatusFacts]] = {
    PaymentStatus.PENDING: StatusFacts(
        successors=frozenset({PaymentStatus.PROCESSING}),
        is_settled=False,
        is_open=True,
        is_announced=False,
        counted_as="Accepted",
        row_outcome=None,
        colour="yellow",
    ),
    PaymentStatus.PROCESSING: StatusFacts(
        successors=frozenset({PaymentStatus.COMPLETED, PaymentStatus.FAILED}),
        is_settled=False,
        is_open=True,
        is_announced=False,
        counted_as=None,
        row_outcome=None,
        colour="cyan",
    ),
    PaymentStatus.COMPLETED: StatusFacts(
        successors=frozenset(),
        is_settled=True,
        is_open=False,
        is_announced=True,
        counted_as="Completed",
        row_outcome=RowOutcome.COMPLETED,
        colour="green",
    ),
    PaymentStatus.FAILED: StatusFacts(
        successors=frozenset(),
        is_settled=True,
        is_open=False,
        is_announced=True,
        counted_as="Failed",
        row_outcome=RowOutcome.FAILED,
        colour="red",
    ),
}
"""The whole life of a payment, status by status."""


@dataclass(frozen=True, slots=True)
class PaymentRequest(HasContent):
    """A payment somebody asks for, already valid.

    ``source`` is ``api`` or ``batch:{batch_id}:{line}``; ``correlation_id`` names the one request
    or row that asked.
    """

    content: Content
    source: str
    correlation_id: str


API: Final = "api"
"""The source of a payment that came over HTTP."""


def batch_row(source: str) -> tuple[str, int] | None:
    """Return batch id and line of a payment's source; ``None`` if it came by API."""
    kind, _, row = source.partition(":")
    if kind != "batch":
        return None
    batch_id, _, line = row.rpartition(":")
    return batch_id, int(line)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a payment failed: a stable code and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Payment(HasContent):
    """The current state of a payment. Times are UTC, ISO 8601 with microseconds."""

    content: Content
    status: PaymentStatus
    version: int
    content_hash: str
    source: str
    correlation_id: str
    created_at: str
    updated_at: str
    audit_hash: str
    failure: Failure | None = None
    gateway_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of status, with the witness to it.

    ``actor`` is who did it (``api``, ``batch``, a function, or a workflow and its execution, as in
    ``payment-workflow-dev:pay_1``), ``request_id`` the invocation it happened in, ``attempt`` how
    often the step was tried before (from 0).
    """

    to: PaymentStatus
    at: str
    actor: str
    request_id: str
    attempt: int = 0
    failure: Failure | None = None
    gateway_reference: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One status a payment has had, and since when."""

    sequence: int
    status: PaymentStatus
    at: str


@dataclass(frozen=True, slots=True)
class OpenPayment:
    """An entry of the index of open payments."""

    shard: int
    accepted_at: str
    payment_id: str
