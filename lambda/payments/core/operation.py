"""What is asked of a payment after it was accepted: refunds, captures and cancellations.

An operation has a life of its own: ``PENDING`` → ``COMPLETED`` or ``FAILED``. A large refund is
``IN_REVIEW`` before, until a second person has decided. A refund that the processor takes back later
goes from ``COMPLETED`` to ``FAILED``. One id is one outcome: a client
that wants another try after a failure chooses another id.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Self

from payments.core.amounts import Amounts
from payments.core.clock import utc_text
from payments.core.payment import Failure
from payments.core.review import Decision, Person, Review


class OperationKind(StrEnum):
    """What an operation does to its payment."""

    REFUND = "refund"
    CAPTURE = "capture"
    CANCEL = "cancel"


class OperationStatus(StrEnum):
    """Where an operation is."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    IN_REVIEW = "IN_REVIEW"

    @property
    def is_open(self) -> bool:
        """Whether the system itself must move the operation on: one in review waits for a person."""
        return self is OperationStatus.PENDING

    @property
    def counted_as(self) -> str:
        """How the metrics of operations that reach this status end: ``Refunds{counted_as}``."""
        return "Requested" if self.is_open else self.value.title().replace("_", "")


type Step = tuple[OperationStatus | None, OperationStatus]
"""From where to where an operation goes; from nowhere when it is requested."""

_REQUESTED: Final[Step] = (None, OperationStatus.PENDING)
_COMPLETED: Final[Step] = (OperationStatus.PENDING, OperationStatus.COMPLETED)
_FAILED: Final[Step] = (OperationStatus.PENDING, OperationStatus.FAILED)
_RETURNED: Final[Step] = (OperationStatus.COMPLETED, OperationStatus.FAILED)
_HELD: Final[Step] = (None, OperationStatus.IN_REVIEW)
_APPROVED: Final[Step] = (OperationStatus.IN_REVIEW, OperationStatus.PENDING)
_REJECTED: Final[Step] = (OperationStatus.IN_REVIEW, OperationStatus.FAILED)
"""Or nobody decided in time."""
_AT_ONCE: Final[Step] = (None, OperationStatus.COMPLETED)
"""A payment that is not at the processor yet is cancelled in one step, and what the processor has
captured without us is recorded in one."""

STEPS: Final[dict[OperationKind, dict[Step, Callable[[Amounts, int, int], Amounts]]]] = {
    OperationKind.REFUND: {
        _REQUESTED: lambda before, amount, _: before.refund_requested(amount),
        _HELD: lambda before, amount, _: before.refund_requested(amount),
        _APPROVED: lambda before, _, __: before,
        _REJECTED: lambda before, amount, _: before.refund_failed(amount),
        _COMPLETED: lambda before, amount, _: before.refund_completed(amount),
        _FAILED: lambda before, amount, _: before.refund_failed(amount),
        _RETURNED: lambda before, amount, _: before.refund_returned(amount),
    },
    OperationKind.CAPTURE: {
        _REQUESTED: Amounts.capture_requested,
        _COMPLETED: Amounts.capture_completed,
        _FAILED: Amounts.capture_failed,
        _AT_ONCE: lambda before, amount, rest: before.capture_requested(
            amount, rest
        ).capture_completed(amount, rest),
    },
    OperationKind.CANCEL: {
        _REQUESTED: lambda before, amount, _: before.capture_requested(0, amount),
        _COMPLETED: lambda before, amount, _: before.capture_completed(0, amount),
        _FAILED: lambda before, amount, _: before.capture_failed(0, amount),
        _AT_ONCE: lambda before, _, __: before,
    },
}
"""The steps that operations may make, and what each does to the amounts of the payment.

Each is given the amounts before, the operation's amount, and the rest that it also releases.
"""


STUCK_AFTER: Final = timedelta(minutes=15)
"""An operation that is still open so long after it was requested is stuck."""

RETURNED_WITHIN: Final = tuple(timedelta(days=days) for days in (1, 3, 7, 14, 31))
"""How long after a refund the processor is asked whether it came back.

A bank may send one back for about a month: https://docs.stripe.com/refunds#failed-refunds
"""


def look_again_at(kind: OperationKind, status: OperationStatus, since: str, now: str) -> str | None:
    """Return when the sweep shall look at an operation that is in a status ``since``, if ever.

    One in review is in the order of these times for who decides: the first is the oldest.
    """
    if status is OperationStatus.IN_REVIEW:
        return since
    if status.is_open:
        return utc_text(datetime.fromisoformat(now) + STUCK_AFTER)
    if (kind, status) != (OperationKind.REFUND, OperationStatus.COMPLETED):
        return None
    times = (utc_text(datetime.fromisoformat(since) + after) for after in RETURNED_WITHIN)
    return next((time for time in times if time > now), None)


class OperationRef(NamedTuple):
    """Which operation."""

    payment_id: str
    kind: OperationKind
    operation_id: str

    @property
    def name(self) -> str:
        """A unique name: the idempotency key at the processor, and the name of an execution.

        It has at most 40 characters, letters, digits and ``-``, whatever the ids are. Processors
        allow 64 characters and more, Step Functions 80.
        """
        text = "\n".join(self)
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRequest:
    """An operation that somebody asks for, already valid.

    ``amount_minor`` is in minor units of the payment's currency; without it all that is left is
    meant. ``final`` says whether a capture releases what it leaves. ``source``, ``correlation_id`` and
    ``submitter`` are as a payment's.
    """

    kind: OperationKind
    payment_id: str
    operation_id: str
    source: str
    correlation_id: str
    amount_minor: int | None = None
    reason: str | None = None
    final: bool = True
    submitter: Person | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of what makes two requests the same, as it was sent.

        A request without an amount is hashed without one: what is left changes over time.
        """
        sent = (
            self.kind.value,
            self.payment_id,
            self.operation_id,
            "" if self.amount_minor is None else str(self.amount_minor),
            self.reason or "",
            "final" if self.final else "",
        )
        return hashlib.sha256("\n".join(sent).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationChange:
    """One change of an operation's status, with the witness to it, as a payment's transition.

    ``decision`` is of whoever brings it about by deciding.
    """

    to: OperationStatus
    at: str
    actor: str
    request_id: str
    attempt: int = 0
    failure: Failure | None = None
    gateway_reference: str | None = None
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation as it stands. Amounts are in minor units, times UTC, ISO 8601.

    ``amount_minor`` is what is refunded or captured, or what a cancellation releases; ``rest_minor``
    what a capture releases beside. ``attempts`` says how often the step that brought the outcome
    was tried, 0 while there is none. ``due_at`` is when the sweep looks at it again, if at all.
    ``submitter``, ``review`` and ``reviewer_id`` are as a payment's.
    """

    kind: OperationKind
    payment_id: str
    operation_id: str
    status: OperationStatus
    amount_minor: int
    request_hash: str
    source: str
    correlation_id: str
    requested_at: str
    updated_at: str
    rest_minor: int = 0
    final: bool = True
    reason: str | None = None
    attempts: int = 0
    failure: Failure | None = None
    gateway_reference: str | None = None
    due_at: str | None = None
    submitter: Person | None = None
    review: Review | None = None
    reviewer_id: str | None = None

    @classmethod
    def requested(
        cls,
        request: OperationRequest,
        *,
        amount_minor: int,
        rest_minor: int,
        at: str,
        needs_review: bool = False,
    ) -> Self:
        """Return the operation that a request asks for, with the amounts that it reserves.

        ``needs_review``: a second person must look at it before the processor is asked.
        """
        status = OperationStatus.IN_REVIEW if needs_review else OperationStatus.PENDING
        return cls(
            kind=request.kind,
            payment_id=request.payment_id,
            operation_id=request.operation_id,
            status=status,
            amount_minor=amount_minor,
            request_hash=request.hash,
            source=request.source,
            correlation_id=request.correlation_id,
            requested_at=at,
            updated_at=at,
            rest_minor=rest_minor,
            final=request.final,
            reason=request.reason,
            due_at=look_again_at(OperationKind(request.kind), status, at, at),
            submitter=request.submitter,
            review=Review.REQUIRED if needs_review else None,
        )

    @property
    def ref(self) -> OperationRef:
        """Which operation it is."""
        return OperationRef(self.payment_id, self.kind, self.operation_id)

    @property
    def name(self) -> str:
        """See :attr:`OperationRef.name`: the key by which the processor knows the operation."""
        return self.ref.name

    def after(self, change: OperationChange) -> Self:
        """Return the operation after a change."""
        decision = change.decision
        return replace(
            self,
            status=change.to,
            updated_at=change.at,
            attempts=0 if change.to.is_open else change.attempt + 1,
            review=self.review if decision is None else decision.review,
            reviewer_id=self.reviewer_id if decision is None else decision.by.id,
            failure=change.failure or self.failure,
            gateway_reference=change.gateway_reference or self.gateway_reference,
            due_at=look_again_at(self.kind, change.to, change.at, change.at),
        )

    def moves(self, amounts: Amounts, before: OperationStatus | None) -> Amounts:
        """Return what a payment's amounts become by the step from ``before`` to where it is.

        Raises:
            KeyError: no operation makes this step.
            ValueError: the amounts do not allow it.
        """
        step = STEPS[self.kind][before, self.status]
        return step(amounts, self.amount_minor, self.rest_minor)


@dataclass(frozen=True, slots=True)
class OperationStep:
    """What an operation was (``None``: not there) and is, and what changed it."""

    before: Operation | None
    after: Operation
    change: OperationChange
