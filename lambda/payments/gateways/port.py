"""What a payment processor must do for us: three verbs, each safe to repeat for ever.

``prepare`` makes the charge known to the processor without moving money, and its reference is
stored before ``charge`` is called. So whatever answer gets lost later, the reference tells which
charge to ask about, and a processor that forgets our idempotency keys cannot charge twice.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from payments.core.payment import Failure, Payment


@dataclass(frozen=True, slots=True)
class Prepared:
    """The charge exists at the processor and has moved no money."""

    reference: str


@dataclass(frozen=True, slots=True)
class Approved:
    """The customer was charged; ``reference`` is the processor's own name for the charge."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The customer was not charged, and will not be."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Pending:
    """The processor has the charge and has not decided yet."""


type Verdict = Approved | Declined
"""An outcome that stays."""

type ChargeOutcome = Verdict | Pending


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


CANCELLED: Final = Failure(
    "gateway_unavailable",
    "The payment gateway could not be reached; nothing was charged.",
)
