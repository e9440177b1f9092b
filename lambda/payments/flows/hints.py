"""Following what the processor tells: it is asked, and only its answer counts."""

from contextlib import suppress
from typing import Final

from payments.core.faults import NotCancelable
from payments.core.payment import PaymentStatus
from payments.flows.charge import Charging, Witness
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.gateways.port import Hint, RefundHint

RELEASED: Final = "authorization_released_by_processor"


class Hints:
    """Looks up what a hint is about; one that is late, doubled, foreign or forged changes nothing."""

    def __init__(self, charging: Charging, performing: Performing, intake: OperationIntake) -> None:
        self._charging = charging
        self._performing = performing
        self._intake = intake

    def follow(self, hint: Hint | RefundHint, witness: Witness) -> str | None:
        """Record what the processor answers about a charge or a refund.

        What it had authorised and has released by itself is cancelled here, too.

        Returns:
            The status of the payment, or of the refund; ``None`` if there is no such thing.

        Raises:
            GatewayUnavailable, GatewayBusy, GatewayRefused, ServiceUnavailable: nothing is known;
                somebody else looks again.
        """
        if isinstance(hint, RefundHint):
            refunds = self._performing.look_up_refunds(
                hint.payment_id, hint.reference, hint.name, witness
            )
            return refunds[-1].status.value if refunds else None
        payment = self._charging.look_up(hint.payment_id, hint.reference, witness)
        if payment is None:
            return None
        if (
            payment.status is PaymentStatus.AUTHORIZED
            and payment.gateway_reference == hint.reference
            and self._charging.is_released(payment)
        ):
            # A capture that is under way hears of it by itself.
            with suppress(NotCancelable):
                self._intake.cancel(
                    payment.payment_id,
                    witness.request_id,
                    reason=RELEASED,
                    actor=witness.actor,
                    has_expired=True,
                )
        return payment.status.value
