"""What a payment processor must do for us: verbs that are all safe to repeat for ever.

``prepare`` makes the charge known to the processor without moving money, and its reference is
stored before ``charge`` is called. So whatever answer gets lost later, the reference tells which
charge to ask about, and a processor that forgets our idempotency keys cannot charge twice.
"""

from dataclasses import dataclass, field
from typing import Final, Protocol

from payments.core.operation import Operation
from payments.core.payment import Failure, Payment, ProcessorAnswer


@dataclass(frozen=True, slots=True)
class Prepared:
    """The charge exists at the processor and has moved no money."""

    reference: str


@dataclass(frozen=True, slots=True)
class Approved:
    """The customer was charged; ``reference`` is the processor's own name for the charge.

    With ``capture: manual`` the amount is authorised instead, until ``capture_before`` (UTC, ISO
    8601) if the processor says so.
    """

    reference: str
    capture_before: str | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The customer was not charged, and will not be."""

    failure: Failure
    answer: ProcessorAnswer | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """The processor has the charge and has not decided yet."""


@dataclass(frozen=True, slots=True)
class Done:
    """An operation has happened at the processor; ``reference`` is the processor's name for it."""

    reference: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation did not happen, or was undone, and will not happen under its name."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Captured:
    """Nothing can be released: so many minor units were captured, by whomever."""

    amount_minor: int


@dataclass(frozen=True, slots=True)
class Hint:
    """Something happened at the processor to the charge ``reference`` of a payment: look it up."""

    payment_id: str
    reference: str


@dataclass(frozen=True, slots=True)
class RefundHint:
    """Something happened at the processor to a refund of the charge ``reference``: look it up.

    ``name`` is that of our operation, as the processor knows it; ``None`` where it does not say.
    """

    payment_id: str
    reference: str
    name: str | None


type Verdict = Approved | Declined
"""An outcome that stays."""

type ChargeOutcome = Verdict | Pending

type OperationOutcome = Done | Refused | Pending


class PaymentGateway(Protocol):
    """A payment processor.

    Every verb raises one of three errors, which are never mixed up:

    - ``GatewayUnavailable``: no answer, so whether it was done is unknown;
    - ``GatewayBusy``: certainly not done, for the processor's load;
    - ``GatewayRefused``: certainly not done, for a fault of ours such as a wrong key.
    """

    def prepare(self, payment: Payment) -> Prepared | Declined:
        """Make the charge known without moving money; a repeated call answers the same."""
        ...

    def charge(self, payment: Payment) -> ChargeOutcome:
        """Charge what ``payment.gateway_reference`` names, once however often this is called."""
        ...

    def cancel(self, payment: Payment) -> ChargeOutcome:
        """Rule out any later charge, unless there is one already.

        Returns:
            The outcome that the charge has, or ``Declined`` with :data:`CANCELLED`; from then on a
            charge of this payment is answered with the same.
        """
        ...

    def look_up(self, payment: Payment) -> ChargeOutcome | Prepared:
        """Return the outcome of what ``payment.gateway_reference`` names, and change nothing.

        Returns:
            The outcome, or ``Prepared`` while there is none: a charge or a cancellation decides.
        """
        ...


class OperationGateway(Protocol):
    """What a processor must do after a charge; its verbs raise the same three errors."""

    def refund(self, payment: Payment, operation: Operation) -> OperationOutcome:
        """Give back ``operation.amount_minor``, once however often this is called.

        ``operation.name`` is the idempotency key, the same in every call. A processor that forgets
        keys is asked by :meth:`look_up_operation` before any later call.
        """
        ...

    def capture(self, payment: Payment, operation: Operation) -> OperationOutcome:
        """Take ``operation.amount_minor`` of what is authorised, once however often this is called.

        If ``operation.final``, what is left is released before this answers ``Done``.
        """
        ...

    def void(self, payment: Payment, operation: Operation) -> OperationOutcome | Captured:
        """Release all that is authorised and not captured, however often this is called.

        Returns:
            ``Done`` also where it was released before, or has expired: nothing can be captured any
            more. ``Captured`` if the processor has captured it instead.
        """
        ...

    def look_up_operation(
        self, payment: Payment, operation: Operation
    ) -> OperationOutcome | Captured | None:
        """Ask what became of an operation, without doing anything.

        Returns:
            Its outcome as it is now: a refund that was done may be ``Refused`` later. ``None`` if
            the processor does not know the operation: it did not happen, and may be asked for.
        """
        ...


CANCELLED: Final = Failure(
    "gateway_unavailable",
    "The payment gateway could not be reached; nothing was charged.",
)
