"""What a payment processor must do for us."""

from dataclasses import dataclass
from typing import Final, Protocol

from payments.core.payment import Failure, Payment


@dataclass(frozen=True, slots=True)
class Approved:
    """The customer was charged; ``reference`` is the gateway's own name for the charge."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The customer was not charged, and will not be."""

    failure: Failure


type ChargeOutcome = Approved | Declined


class PaymentGateway(Protocol):
    """What a payment processor must do for us. The payment id is its idempotency key."""

    def charge(self, payment: Payment) -> ChargeOutcome:
        """Charge once per payment id; a repeated call answers the first outcome.

        Raises:
            GatewayUnavailable: no answer; the charge may or may not have been made.
        """
        ...

    def cancel(self, payment: Payment) -> ChargeOutcome:
        """End a payment whose outcome is unknown: its charge if there is one, else none ever.

        Returns:
            The outcome the charge already has, or ``Declined`` with ``gateway_unavailable``; from
            then on a charge under this payment id is refused with the same answer.

        Raises:
            GatewayUnavailable: no answer; ask again, the outcome must not be guessed.
        """
        ...


CANCELLED: Final = Failure(
    "gateway_unavailable",
    "The payment gateway could not be reached; nothing was charged.",
)
