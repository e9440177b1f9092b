"""Carrying out operations at the processor: each once, and never guessing an outcome."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from payments.core.clock import utc_now
from payments.core.faults import (
    ChargePending,
    OperationNotFound,
    PaymentNotFound,
    ServiceUnavailable,
    StaleOperation,
    StaleTransition,
)
from payments.core.operation import (
    Operation,
    OperationChange,
    OperationKind,
    OperationRef,
    OperationRequest,
    OperationStatus,
    OperationStep,
)
from payments.core.payment import Failure, Payment, PaymentStatus, Transition
from payments.flows.charge import Witness
from payments.flows.ports import Operations, OperationTally, Store, Tally, no_tally
from payments.gateways.port import (
    Captured,
    Done,
    OperationGateway,
    OperationOutcome,
    Pending,
    Refused,
)

_ATTEMPTS: Final = 8
"""How often a payment is read again while others change it at the same time."""


_KEYS_LAST: Final = timedelta(hours=1)
"""How long a processor certainly knows a key again: Stripe does for a day.

https://docs.stripe.com/api/idempotent_requests
"""


class Performing:
    """Takes operations to their end; every step may be repeated at any time and ends the same.

    If an outcome is unknown, the processor is asked what became of the operation, and only then
    asked to do it again, under the same name. What is reserved stays reserved until the outcome.
    """

    def __init__(
        self,
        store: Store,
        operations: Operations,
        gateway: OperationGateway,
        clock: Callable[[], str] = utc_now,
        tally: OperationTally = no_tally,
        payment_tally: Tally = no_tally,
    ) -> None:
        self._payment_tally = payment_tally
        self._store = store
        self._operations = operations
        self._gateway = gateway
        self._clock = clock
        self._tally = tally

    def perform(
        self,
        which: OperationRef,
        witness: Witness,
        *,
        is_first: bool = False,
    ) -> Operation:
        """Try once to carry out an operation, and record the outcome.

        One that is done is asked about again: a refund may have come back.

        Args:
            which: the operation.
            witness: who does this.
            is_first: whether the message is new. Then the processor is asked without a look-up, for
                it knows the key if it was asked before, unless the request is an old one: a client
                may send it again days later.

        Returns:
            The operation with its outcome.

        Raises:
            OperationNotFound, PaymentNotFound: there is no such operation.
            GatewayUnavailable: the outcome is unknown.
            GatewayBusy, GatewayRefused: certainly nothing was done.
            ChargePending: the processor has not decided yet.
            ServiceUnavailable: AWS did not do its part; try again.
        """
        operation = self._operations.get(*which)
        payment = self._store.get(which.payment_id)
        if operation is None:
            raise OperationNotFound(which.operation_id)
        if payment is None:
            raise PaymentNotFound(which.payment_id)
        is_new = is_first and self._knows_key(operation)
        outcome = self._outcome(payment, operation, is_first=is_new)
        if isinstance(outcome, Pending) and operation.status.is_open:
            raise ChargePending(operation.name)
        return self._recorded(operation, outcome, witness)

    def look_up_refunds(
        self, payment_id: str, reference: str, name: str | None, witness: Witness
    ) -> list[Operation]:
        """Record what became of refunds, if the processor has decided it; nothing is refunded.

        A payment that is not there, or is bound to another reference, stays as it is: whoever asks
        may know it from hearsay.

        Args:
            payment_id: the payment.
            reference: the processor's name for its charge.
            name: of one refund; ``None`` for all whose outcome is not known.
            witness: who does this.

        Returns:
            The refunds that were looked up, as they stand.

        Raises:
            GatewayUnavailable, GatewayBusy, GatewayRefused, ServiceUnavailable: nothing is known;
                somebody else looks again.
        """
        payment = self._store.get(payment_id)
        if payment is None or payment.gateway_reference != reference:
            return []
        return [
            self._recorded(refund, self._gateway.look_up_operation(payment, refund), witness)
            for refund in self._operations.of(payment_id, OperationKind.REFUND)
            if (refund.status.is_open if name is None else refund.name == name)
            and refund.status not in {OperationStatus.FAILED, OperationStatus.IN_REVIEW}
        ]

    def _recorded(
        self, operation: Operation, outcome: OperationOutcome | Captured | None, witness: Witness
    ) -> Operation:
        """Return an operation with an outcome, recorded if it is news."""
        match outcome:
            case Done(reference) if operation.status.is_open:
                return self._record(
                    operation, OperationStatus.COMPLETED, witness, reference=reference
                )
            case Refused(failure):
                return self._record(operation, OperationStatus.FAILED, witness, failure=failure)
            case Captured(amount_minor):
                return self._record(
                    operation,
                    OperationStatus.FAILED,
                    witness,
                    failure=ALREADY_CAPTURED,
                    captured=amount_minor,
                )
            case _:
                return operation

    def _knows_key(self, operation: Operation) -> bool:
        age = datetime.fromisoformat(self._clock()) - datetime.fromisoformat(operation.requested_at)
        return age < _KEYS_LAST

    def _outcome(
        self, payment: Payment, operation: Operation, *, is_first: bool
    ) -> OperationOutcome | Captured | None:
        """Return what became of an operation, having it done if it was not."""
        if operation.status in {OperationStatus.FAILED, OperationStatus.IN_REVIEW}:
            return None
        if operation.status is OperationStatus.COMPLETED:
            is_refund = operation.kind is OperationKind.REFUND
            return self._gateway.look_up_operation(payment, operation) if is_refund else None
        if not is_first:
            known = self._gateway.look_up_operation(payment, operation)
            if known is not None:
                return known
        match operation.kind:
            case OperationKind.REFUND:
                return self._gateway.refund(payment, operation)
            case OperationKind.CAPTURE:
                return self._gateway.capture(payment, operation)
            case OperationKind.CANCEL:
                return self._gateway.void(payment, operation)

    def _record(
        self,
        operation: Operation,
        to: OperationStatus,
        witness: Witness,
        *,
        failure: Failure | None = None,
        reference: str | None = None,
        captured: int | None = None,
    ) -> Operation:
        change = OperationChange(
            to=to,
            at=self._clock(),
            actor=witness.actor,
            request_id=witness.request_id,
            attempt=witness.attempt,
            failure=failure,
            gateway_reference=reference,
        )
        step = OperationStep(operation, operation.after(change), change)
        for _ in range(_ATTEMPTS):
            # In this order: amounts that a twin has moved already would not go with the step.
            payment = self._store.get(operation.payment_id)
            current = self._operations.get(*operation.ref)
            if payment is None or current is None:
                raise PaymentNotFound(operation.payment_id)
            if current.status is not operation.status:
                # A twin was faster. What it wrote stays.
                return current
            steps = [step]
            if captured is not None:
                steps.append(_captured_elsewhere(payment, step, captured))
            transition = _end_of(payment, steps)
            try:
                moved = self._operations.commit(payment, steps, transition)
            except (StaleTransition, StaleOperation):
                # Another operation on the payment was faster, or a twin.
                continue
            self._tally(step.after, moved)
            if transition is not None:
                self._payment_tally(moved)
            return step.after
        raise ServiceUnavailable("the payment is being moved by too many concurrently")


ALREADY_CAPTURED: Final = Failure(
    "already_captured", "The processor has captured the payment; it can be refunded."
)
"""Why a cancellation fails of a payment that the processor captured without us."""


def _captured_elsewhere(payment: Payment, cancel: OperationStep, amount: int) -> OperationStep:
    """Return the capture that a processor made without us: our books follow the processor."""
    held = payment.amounts.capturable + cancel.after.amount_minor
    request = OperationRequest(
        kind=OperationKind.CAPTURE,
        payment_id=payment.payment_id,
        # No client's id has a dot.
        operation_id="at.the.processor",
        source=cancel.after.source,
        correlation_id=cancel.after.correlation_id,
        amount_minor=amount,
    )
    change = replace(cancel.change, to=OperationStatus.COMPLETED, failure=None)
    requested = Operation.requested(
        request, amount_minor=amount, rest_minor=held - amount, at=change.at
    )
    return OperationStep(None, requested.after(change), change)


def _end_of(payment: Payment, steps: Sequence[OperationStep]) -> Transition | None:
    """Return the end of an authorised payment of which nothing is left to capture, if it is that."""
    if payment.status is not PaymentStatus.AUTHORIZED:
        return None
    amounts = payment.amounts
    for step in steps:
        before = None if step.before is None else step.before.status
        amounts = step.after.moves(amounts, before)
    if amounts.capturable or amounts.captures_pending or amounts.releases_pending:
        return None
    change = steps[-1].change
    return Transition(
        to=PaymentStatus.COMPLETED if amounts.captured else PaymentStatus.CANCELED,
        at=change.at,
        actor=change.actor,
        request_id=change.request_id,
        attempt=change.attempt,
    )
