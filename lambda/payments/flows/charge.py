"""Charging: once, and never guessing an outcome."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from payments.core.clock import utc_now, utc_text
from payments.core.faults import ChargePending, PaymentNotFound, StaleTransition
from payments.core.payment import Failure, Payment, PaymentStatus, ProcessorAnswer, Transition
from payments.core.review import Review
from payments.flows.ports import Store, Tally, no_tally
from payments.gateways.port import (
    CANCELLED,
    Approved,
    ChargeOutcome,
    Declined,
    PaymentGateway,
    Pending,
    Prepared,
)

AUTHORIZED_FOR: Final = timedelta(days=7)
"""How long an authorisation is good for where the processor does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Who changes a payment, for the audit trail.

    ``actor`` is a function's name, or a workflow's with its execution's, ``request_id`` the
    invocation, and ``attempt`` how often this was tried before (from 0).
    """

    actor: str
    request_id: str
    attempt: int


_UNBOUND: Final = frozenset({PaymentStatus.PENDING, PaymentStatus.IN_REVIEW})

REVIEW_REJECTED: Final = Failure("review_rejected", "A second person has rejected the payment.")


class Charging:
    """Takes a payment to its end; every step may be repeated at any time and ends the same.

    A payment is bound to the processor's reference in the transition to ``PROCESSING``, before any
    money can move, and only there. One that is ``PROCESSING`` without a reference is closed: nobody
    can bind it any more, so nothing can be charged, and all that is left is to record its failure.
    """

    def __init__(
        self,
        store: Store,
        gateway: PaymentGateway,
        clock: Callable[[], str] = utc_now,
        tally: Tally = no_tally,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._tally = tally

    def charge(self, payment: Payment, witness: Witness) -> Payment:
        """Try once to charge a payment, and record the outcome.

        Args:
            payment: as it was seen last; it may have moved on since.
            witness: who does this.

        Returns:
            The payment: settled, or waiting for a decision.

        Raises:
            GatewayUnavailable: the outcome is unknown.
            GatewayBusy, GatewayRefused: certainly nothing was done.
            ChargePending: the processor has not decided yet.
            ServiceUnavailable: AWS did not do its part; try again.
        """
        payment = self._reviewed(payment, witness)
        if payment.status.is_settled or payment.waits_for_decision:
            return payment
        if payment.status in _UNBOUND:
            payment = self._bind(payment, self._gateway.prepare(payment), witness)
        if payment.status is not PaymentStatus.PROCESSING:
            return payment
        if payment.gateway_reference is None:
            return self._fail(payment, payment.failure or CANCELLED, witness)
        return self._record(payment, self._gateway.charge(payment), witness)

    def charge_by_id(self, payment_id: str, witness: Witness) -> Payment:
        """Try once to charge a stored payment.

        Returns and raises as :meth:`charge`, and ``PaymentNotFound``.
        """
        return self.charge(self._stored(payment_id), witness)

    def settle(self, payment_id: str, witness: Witness) -> Payment:
        """Settle a payment whose outcome is unknown: ask the processor, and never guess.

        A payment that is not bound yet is closed first, without asking anybody.

        Returns and raises as :meth:`charge_by_id`.
        """
        payment = self._reviewed(self._stored(payment_id), witness)
        if payment.status.is_settled or payment.waits_for_decision:
            return payment
        if payment.status in _UNBOUND:
            payment = self._bind(payment, Declined(CANCELLED), witness)
        if payment.status is not PaymentStatus.PROCESSING:
            return payment
        if payment.gateway_reference is None:
            return self._fail(payment, payment.failure or CANCELLED, witness)
        return self._record(payment, self._gateway.cancel(payment), witness)

    def _reviewed(self, payment: Payment, witness: Witness) -> Payment:
        """Let a payment wait if a second person must decide, and fail it if that person rejected it."""
        if payment.waits_for_decision and payment.status is PaymentStatus.PENDING:
            return self._move(payment, PaymentStatus.IN_REVIEW, witness)
        if payment.review is Review.REJECTED and payment.status is PaymentStatus.IN_REVIEW:
            return self._fail(payment, REVIEW_REJECTED, witness)
        return payment

    def look_up(self, payment_id: str, reference: str, witness: Witness) -> Payment | None:
        """Record the outcome of a charge, if the processor has decided it.

        A payment that is not there, is not being charged, or is bound to another reference stays as
        it is: the event that asks may be late, or about a charge that is not ours.

        Returns:
            The payment as it stands, or ``None`` if there is none.

        Raises:
            GatewayUnavailable, GatewayBusy, GatewayRefused, ServiceUnavailable: nothing is known;
                somebody else looks again.
        """
        payment = self._store.get(payment_id)
        if payment is None or payment.gateway_reference != reference:
            return payment
        if payment.status is not PaymentStatus.PROCESSING:
            return payment
        outcome = self._gateway.look_up(payment)
        if isinstance(outcome, Prepared | Pending):
            return payment
        return self._record(payment, outcome, witness)

    def is_released(self, payment: Payment) -> bool:
        """Ask whether the processor has released what it had authorised, without us.

        Raises:
            GatewayUnavailable, GatewayBusy, GatewayRefused: nothing is known.
        """
        return isinstance(self._gateway.look_up(payment), Declined)

    def _stored(self, payment_id: str) -> Payment:
        payment = self._store.get(payment_id)
        if payment is None:
            raise PaymentNotFound(payment_id)
        return payment

    def _bind(self, payment: Payment, answer: Prepared | Declined, witness: Witness) -> Payment:
        """Bind a payment to the processor's reference, or close it with the reason of its failure."""
        if isinstance(answer, Prepared):
            return self._move(
                payment, PaymentStatus.PROCESSING, witness, reference=answer.reference
            )
        return self._move(
            payment,
            PaymentStatus.PROCESSING,
            witness,
            failure=answer.failure,
            processor=answer.answer,
        )

    def _record(self, payment: Payment, outcome: ChargeOutcome, witness: Witness) -> Payment:
        match outcome:
            case Approved(reference, capture_before) if payment.content.capture == "manual":
                return self._move(
                    payment,
                    PaymentStatus.AUTHORIZED,
                    witness,
                    reference=reference,
                    capture_before=capture_before or self._default_capture_before(),
                )
            case Approved(reference):
                return self._move(payment, PaymentStatus.COMPLETED, witness, reference=reference)
            case Declined(failure, answer):
                return self._fail(payment, failure, witness, answer)
            case Pending():
                raise ChargePending(payment.payment_id)

    def _default_capture_before(self) -> str:
        return utc_text(datetime.fromisoformat(self._clock()) + AUTHORIZED_FOR)

    def _fail(
        self,
        payment: Payment,
        failure: Failure,
        witness: Witness,
        answer: ProcessorAnswer | None = None,
    ) -> Payment:
        return self._move(payment, PaymentStatus.FAILED, witness, failure=failure, processor=answer)

    def _move(
        self,
        payment: Payment,
        to: PaymentStatus,
        witness: Witness,
        *,
        failure: Failure | None = None,
        reference: str | None = None,
        capture_before: str | None = None,
        processor: ProcessorAnswer | None = None,
    ) -> Payment:
        transition = Transition(
            to=to,
            at=self._clock(),
            actor=witness.actor,
            request_id=witness.request_id,
            attempt=witness.attempt,
            failure=failure,
            gateway_reference=reference,
            capture_before=capture_before,
            processor=processor,
        )
        try:
            moved = self._store.transition(payment, transition)
        except StaleTransition as stale:
            # A twin was faster. Go on from what it wrote.
            return stale.current
        self._tally(moved)
        return moved
