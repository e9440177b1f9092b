"""Charging: once, and never guessing an outcome."""

from collections.abc import Callable
from dataclasses import dataclass

from payments.core.clock import utc_now
from payments.core.faults import PaymentNotFound, StaleTransition
from payments.core.payment import (
    Failure,
    Payment,
    PaymentStatus,
    Transition,
)
from payments.flows.ports import Store, Tally, no_tally
from payments.gateways.port import Approved, ChargeOutcome, PaymentGateway


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """Who carries out a workflow step: execution ARN, invocation id, tries before (from 0)."""

    execution_arn: str
    request_id: str
    attempt: int


class PaymentProcessing:
    """The workflow's steps: each may be repeated at any time and comes to the same end."""

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

    def charge(self, payment_id: str, step: StepContext) -> Payment:
        """Charge a payment and record the outcome.

        Returns:
            The settled payment; one that was settled before, untouched.

        Raises:
            PaymentNotFound: there is none with this id.
            GatewayUnavailable: the outcome is unknown; ask again.
            ServiceUnavailable: try again.
        """
        return self._finish(payment_id, step, self._gateway.charge)

    def settle(self, payment_id: str, step: StepContext) -> Payment:
        """End a payment whose charge got no answer: as the gateway says, never by guess.

        Returns and raises as :meth:`charge`.
        """
        return self._finish(payment_id, step, self._gateway.cancel)

    def _finish(
        self,
        payment_id: str,
        step: StepContext,
        ask: Callable[[Payment], ChargeOutcome],
    ) -> Payment:
        payment = self._store.get(payment_id)
        if payment is None:
            raise PaymentNotFound(payment_id)
        if payment.status is PaymentStatus.PENDING:
            payment = self._move(payment, self._step_to(PaymentStatus.PROCESSING, step))
        if payment.status.is_settled:
            return payment
        answer = ask(payment)
        if isinstance(answer, Approved):
            outcome = self._step_to(PaymentStatus.COMPLETED, step, reference=answer.reference)
        else:
            outcome = self._step_to(PaymentStatus.FAILED, step, failure=answer.failure)
        return self._move(payment, outcome)

    def _step_to(
        self,
        status: PaymentStatus,
        step: StepContext,
        *,
        failure: Failure | None = None,
        reference: str | None = None,
    ) -> Transition:
        return Transition(
            to=status,
            at=self._clock(),
            actor=step.execution_arn,
            request_id=step.request_id,
            attempt=step.attempt,
            failure=failure,
            gateway_reference=reference,
        )

    def _move(self, payment: Payment, transition: Transition) -> Payment:
        try:
            moved = self._store.transition(payment, transition)
        except StaleTransition as stale:
            # A twin was faster, and what it wrote rests on the same answer of the gateway.
            return stale.current
        self._tally(moved)
        return moved
