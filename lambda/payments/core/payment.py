"""A payment, its statuses and what follows from each."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

from payments.core.amounts import Amounts
from payments.core.content import Content, HasContent
from payments.core.review import Decision, Person, Review


class RowOutcome(StrEnum):
    """The end of an accepted row: what became of its payment or refund, or why there is none.

    The row of a payment that is captured later ends once that is authorised. ``DUPLICATE`` and
    ``CONFLICT``: its id was taken; ``REFUSED``: the payment does not allow the refund.
    """

    COMPLETED = "completed"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    CANCELED = "canceled"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REFUSED = "refused"


class PaymentStatus(StrEnum):
    """Where a payment is: ``PENDING`` → ``PROCESSING`` → ``COMPLETED`` or ``FAILED``.

    One that is captured later goes from ``PROCESSING`` to ``AUTHORIZED``, and from there to
    ``COMPLETED`` or ``CANCELED``; one that a person reviews is ``IN_REVIEW`` before ``PROCESSING``.
    What was not charged yet can be ``CANCELED``. A refund is no status: see
    :mod:`payments.core.operation`.

    What follows from a status is in :data:`LIFE` alone; everything else asks these properties.
    """

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    AUTHORIZED = "AUTHORIZED"
    CANCELED = "CANCELED"
    IN_REVIEW = "IN_REVIEW"

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
        """Whether the system itself must move the payment on: one that stays here is stuck.

        An authorised payment waits for its client, and one in review for a person.
        """
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
        successors=frozenset(
            {PaymentStatus.PROCESSING, PaymentStatus.IN_REVIEW, PaymentStatus.CANCELED}
        ),
        is_settled=False,
        is_open=True,
        is_announced=False,
        counted_as="Accepted",
        row_outcome=None,
        colour="yellow",
    ),
    PaymentStatus.PROCESSING: StatusFacts(
        successors=frozenset(
            {PaymentStatus.COMPLETED, PaymentStatus.FAILED, PaymentStatus.AUTHORIZED}
        ),
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
    PaymentStatus.AUTHORIZED: StatusFacts(
        successors=frozenset({PaymentStatus.COMPLETED, PaymentStatus.CANCELED}),
        is_settled=True,
        is_open=False,
        is_announced=True,
        counted_as="Authorized",
        row_outcome=RowOutcome.AUTHORIZED,
        colour="blue",
    ),
    PaymentStatus.CANCELED: StatusFacts(
        successors=frozenset(),
        is_settled=True,
        is_open=False,
        is_announced=True,
        counted_as="Canceled",
        row_outcome=RowOutcome.CANCELED,
        colour="bright_black",
    ),
    PaymentStatus.IN_REVIEW: StatusFacts(
        successors=frozenset(
            {PaymentStatus.PROCESSING, PaymentStatus.FAILED, PaymentStatus.CANCELED}
        ),
        is_settled=False,
        is_open=False,
        is_announced=True,
        counted_as="InReview",
        row_outcome=None,
        colour="magenta",
    ),
}
"""The whole life of a payment, status by status."""


@dataclass(frozen=True, slots=True)
class PaymentRequest(HasContent):
    """A payment somebody asks for, already valid.

    ``source`` is ``api`` or ``batch:{batch_id}:{line}``; ``correlation_id`` names the one request
    or row that asked. ``submitter`` is who asks, where that is known, and ``needs_review`` whether a
    second person must look at the payment before it is charged.
    """

    content: Content
    source: str
    correlation_id: str
    submitter: Person | None = None
    needs_review: bool = False


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
class ProcessorAnswer:
    """What the processor itself called a decline, and its id of the request: for the audit trail."""

    code: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of status, with the witness to it.

    ``actor`` is who did it (``api``, ``batch``, a function, or a workflow and its execution, as in
    ``payment-workflow-dev:pay_1``), ``request_id`` the invocation it happened in, ``attempt`` how
    often the step was tried before (from 0). ``capture_before`` is until when an authorised payment
    can be captured.
    """

    to: PaymentStatus
    at: str
    actor: str
    request_id: str
    attempt: int = 0
    failure: Failure | None = None
    gateway_reference: str | None = None
    capture_before: str | None = None
    processor: ProcessorAnswer | None = None


@dataclass(frozen=True, slots=True)
class Payment(HasContent):
    """The current state of a payment. Times are UTC, ISO 8601 with microseconds.

    ``version`` counts its audit records, those of its operations included, and ``audit_hash`` is
    the hash of the last one. ``capture_before`` is set while it is authorised.
    """

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
    amounts: Amounts = field(default_factory=Amounts)
    capture_before: str | None = None
    submitter: Person | None = None
    review: Review | None = None
    reviewer_id: str | None = None

    @property
    def waits_for_decision(self) -> bool:
        """Whether nobody may go on with the payment before a second person has decided."""
        return self.review is Review.REQUIRED and not self.status.is_settled

    @property
    def is_open(self) -> bool:
        """Whether the system itself must move the payment on: one in review, once it is decided."""
        is_decided = self.review is not None and self.review.is_decided
        return self.status.is_open or (self.status is PaymentStatus.IN_REVIEW and is_decided)

    def reviewed(self, decision: Decision, audit_hash: str) -> Self:
        """Return the payment after a decision, whose audit record has this hash."""
        return replace(
            self,
            review=decision.review,
            reviewer_id=decision.by.id,
            version=self.version + 1,
            updated_at=decision.at,
            audit_hash=audit_hash,
        )

    def after(self, transition: Transition, audit_hash: str) -> Self:
        """Return the payment after a transition, whose audit record has this hash."""
        return replace(
            self,
            status=transition.to,
            version=self.version + 1,
            updated_at=transition.at,
            audit_hash=audit_hash,
            failure=transition.failure or self.failure,
            gateway_reference=transition.gateway_reference or self.gateway_reference,
            amounts=self._amounts_after(transition.to),
            capture_before=transition.capture_before,
        )

    def _amounts_after(self, to: PaymentStatus) -> Amounts:
        """Return the amounts after the charge; from then on only operations change them."""
        if self.status is PaymentStatus.PROCESSING and to is PaymentStatus.COMPLETED:
            return Amounts.charged(self.amount_minor)
        if to is PaymentStatus.AUTHORIZED:
            return Amounts.held(self.amount_minor)
        return self.amounts


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
