"""What is asked of a payment after it was accepted: refunds, captures and cancellations.

An operation has a life of its own: ``PENDING`` → ``COMPLETED`` or ``FAILED``. A refund that the
processor takes back later goes from ``COMPLETED`` to ``FAILED``. One id is one outcome: a client
that wants another try after a failure chooses another id.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from payments.core.amounts import Amounts
from payments.core.payment import Failure, Payment


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

    @property
    def is_open(self) -> bool:
        """Whether the outcome is not known yet."""
        return self is OperationStatus.PENDING


type Step = tuple[OperationStatus | None, OperationStatus]
"""From where to where an operation goes; from nowhere when it is requested."""

_REQUESTED: Final[Step] = (None, OperationStatus.PENDING)
_COMPLETED: Final[Step] = (OperationStatus.PENDING, OperationStatus.COMPLETED)
_FAILED: Final[Step] = (OperationStatus.PENDING, OperationStatus.FAILED)
_RETURNED: Final[Step] = (OperationStatus.COMPLETED, OperationStatus.FAILED)
_AT_ONCE: Final[Step] = (None, OperationStatus.COMPLETED)
"""A payment that is not at the processor yet is cancelled in one step."""

STEPS: Final[dict[OperationKind, dict[Step, Callable[[Amounts, int, int], Amounts]]]] = {
    OperationKind.REFUND: {
        _REQUESTED: lambda before, amount, _: before.refund_requested(amount),
        _COMPLETED: lambda before, amount, _: before.refund_completed(amount),
        _FAILED: lambda before, amount, _: before.refund_failed(amount),
        _RETURNED: lambda before, amount, _: before.refund_returned(amount),
    },
    OperationKind.CAPTURE: {
        _REQUESTED: Amounts.capture_requested,
        _COMPLETED: Amounts.capture_completed,
        _FAILED: Amounts.capture_failed,
    },
    OperationKind.CANCEL: {
        _REQUESTED: lambda before, amount, _: before.capture_requested(0, amount),
        _COMPLETED: lambda before, amount, _: before.capture_completed(0, amount),
        _FAILED: lambda before, amount, _: before.capture_failed(0, amount),
        _AT_ONCE: lambda before, _, __: before,
    },
}
"""The steps that operations may make, and what each does to the amounts of the payment.

It is given those before, the operation's amount and the rest that it releases beside.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRequest:
    """An operation that somebody asks for, already valid.

    ``amount_minor`` is in minor units of the payment's currency; without it all that is left is
    meant. ``final`` says whether a capture releases what it leaves. ``source`` and
    ``correlation_id`` are as a payment's.
    """

    kind: OperationKind
    payment_id: str
    operation_id: str
    source: str
    correlation_id: str
    amount_minor: int | None = None
    reason: str | None = None
    final: bool = True

    @property
    def hash(self) -> str:
        """SHA-256 of what makes two requests the same, as it was sent.

        A request without an amount stays one: the amount that it meant differs from day to day.
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
    """One change of an operation's status, with the witness to it, as a payment's transition."""

    to: OperationStatus
    at: str
    actor: str
    request_id: str
    attempt: int = 0
    failure: Failure | None = None
    gateway_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation as it stands. Amounts are in minor units, times UTC, ISO 8601.

    ``amount_minor`` is what is refunded or captured, or what a cancellation releases; ``rest_minor``
    what a capture releases beside. ``attempts`` says how often the step that brought the outcome
    was tried, 0 while there is none.
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

    @classmethod
    def requested(
        cls, request: OperationRequest, *, amount_minor: int, rest_minor: int, at: str
    ) -> Self:
        """Return the operation that a request asks for, with the amounts that it reserves."""
        return cls(
            kind=request.kind,
            payment_id=request.payment_id,
            operation_id=request.operation_id,
            status=OperationStatus.PENDING,
            amount_minor=amount_minor,
            request_hash=request.hash,
            source=request.source,
            correlation_id=request.correlation_id,
            requested_at=at,
            updated_at=at,
            rest_minor=rest_minor,
            final=request.final,
            reason=request.reason,
        )

    @property
    def name(self) -> str:
        """A name of its own among all operations: the key for the processor, and of a workflow.

        Of 40 characters at most, all letters, digits and ``-``, whatever the ids are: processors
        allow 64 characters and more, Step Functions 80.
        """
        text = f"{self.payment_id}\n{self.kind}\n{self.operation_id}"
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def after(self, change: OperationChange) -> Self:
        """Return the operation after a change."""
        return replace(
            self,
            status=change.to,
            updated_at=change.at,
            attempts=change.attempt + 1,
            failure=change.failure or self.failure,
            gateway_reference=change.gateway_reference or self.gateway_reference,
        )

    def moves(self, payment: Payment, before: OperationStatus | None) -> Amounts:
        """Return the payment's amounts once the operation, which was at ``before``, is as it is.

        Raises:
            KeyError: no operation makes this step.
            ValueError: the amounts do not allow it.
        """
        step = STEPS[self.kind][before, self.status]
        return step(payment.amounts, self.amount_minor, self.rest_minor)
