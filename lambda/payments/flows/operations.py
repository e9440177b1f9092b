"""Accepting refunds, captures and cancellations: once, and never with two meanings.

What an operation is about is reserved in the write that accepts it, before anybody asks the
processor. So two refunds never share an amount, and a capture and a cancellation exclude each other.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from payments.core.asking import Asked, Reserved, cancelable, capturable, refundable
from payments.core.clock import utc_now
from payments.core.faults import (
    CaptureConflict,
    OperationNotFound,
    PaymentNotFound,
    RefundConflict,
    ServiceUnavailable,
    StaleOperation,
    StaleTransition,
)
from payments.core.operation import (
    Operation,
    OperationChange,
    OperationKind,
    OperationRequest,
    OperationStatus,
    OperationStep,
)
from payments.core.payment import API, Payment, PaymentStatus, Transition
from payments.core.review import NO_REVIEW, ReviewLimits
from payments.flows.ports import OperationQueue, Operations, OperationTally, Store, Tally, no_tally

_ATTEMPTS: Final = 8
"""How often a payment is read again while others change it at the same time."""


class OperationIntake:
    """Accepts operations on payments and answers for them."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        queue: OperationQueue,
        clock: Callable[[], str] = utc_now,
        tally: OperationTally = no_tally,
        payment_tally: Tally = no_tally,
        limits: ReviewLimits = NO_REVIEW,
    ) -> None:
        self._payment_tally = payment_tally
        self._limits = limits
        self._store = store
        self._operations = operations
        self._queue = queue
        self._clock = clock
        self._tally = tally

    def refund(self, asked: Asked, *, actor: str = "api") -> tuple[Operation, Payment, bool]:
        """Accept a refund, or recognise one that was accepted before.

        One that brings what is refunded of its payment above the limit waits for a second person:
        who may not give back an amount alone cannot give it back in parts, either.

        Returns:
            The refund and its payment as they stand, and whether this request created the refund.
            A new one is reserved, and durable in its queue unless it waits for a person.

        Raises:
            PaymentNotFound: there is no such payment.
            InvalidRequest: the amount is not valid in the payment's currency.
            RefundConflict: the refund's id is taken by another request.
            NotRefundable: the payment does not allow it as it stands.
            ServiceUnavailable: nothing is promised; the same request may be sent again.
        """
        return self._queued(self.accept_refund(asked, actor=actor))

    def accept_refund(self, asked: Asked, *, actor: str) -> tuple[Operation, Payment, bool]:
        """Accept a refund as :meth:`refund` does, and leave it to the caller to have it done.

        Raises:
            RowEnded: the row of a file that asks for it was recorded as not paid.
        """
        return self._accept(asked, actor, refundable)

    def capture(self, asked: Asked, *, actor: str = "api") -> tuple[Operation, Payment, bool]:
        """Accept a capture of an authorised payment, or recognise one that was accepted before.

        Returns and raises as :meth:`refund`, with ``NotCapturable``.
        """
        return self._queued(self._accept(asked, actor, capturable))

    def cancel(
        self,
        payment_id: str,
        correlation_id: str,
        *,
        reason: str | None = None,
        actor: str = "api",
        has_expired: bool = False,
    ) -> tuple[Operation, Payment, bool]:
        """Stop a payment that has not captured anything.

        One that was not charged yet is cancelled in one write, which races the charge's. What is
        authorised is reserved, and released by the processor.

        Args:
            payment_id: the payment.
            correlation_id: names the request.
            reason: why, for the audit trail.
            actor: who asks.
            has_expired: release what is left, also where a part was captured.

        Returns:
            The cancellation and the payment as they stand, and whether this request made the
            cancellation. A payment can be cancelled once: a repeated request answers the first one.

        Raises:
            PaymentNotFound: there is none with this id.
            NotCancelable: it is being charged, was captured, or has failed.
            ServiceUnavailable: nothing is promised; the same request may be sent again.
        """
        for _ in range(_ATTEMPTS):
            payment = self._payment(payment_id)
            cancels = self._operations.of(payment_id, OperationKind.CANCEL)
            latest = max(cancels, key=lambda each: int(each.operation_id), default=None)
            if latest is not None and (
                latest.status.is_open or payment.status is PaymentStatus.CANCELED
            ):
                return self._queued((latest, payment, False))
            request = OperationRequest(
                kind=OperationKind.CANCEL,
                payment_id=payment_id,
                # One that the processor refused may be followed by another.
                operation_id=str(len(cancels) + 1),
                source=API,
                correlation_id=correlation_id,
                reason=reason,
            )
            amount = cancelable(payment, has_expired=has_expired)
            at = self._clock()
            operation = Operation.requested(request, amount_minor=amount, rest_minor=0, at=at)
            change = OperationChange(
                to=operation.status, at=at, actor=actor, request_id=correlation_id
            )
            transition = None
            if not payment.status.is_settled:
                change = replace(change, to=OperationStatus.COMPLETED)
                operation = operation.after(change)
                transition = Transition(
                    to=PaymentStatus.CANCELED, at=at, actor=actor, request_id=correlation_id
                )
            try:
                step = OperationStep(None, operation, change)
                moved = self._operations.commit(payment, [step], transition)
            except (StaleOperation, StaleTransition):
                continue
            self._tally(operation, moved)
            if transition is not None:
                self._payment_tally(moved)
            return self._queued((operation, moved, True))
        raise ServiceUnavailable("the payment is being moved by too many concurrently")

    def _queued(self, accepted: tuple[Operation, Payment, bool]) -> tuple[Operation, Payment, bool]:
        """Make an accepted operation durable in its queue, unless it has its outcome.

        Also a replay sends while the outcome is open: the send of the first may have failed.
        """
        operation = accepted[0]
        if operation.status.is_open:
            self._queue.send_operation(operation)
        return accepted

    def look_up(
        self, payment_id: str, kind: OperationKind, operation_id: str
    ) -> tuple[Operation, Payment]:
        """Return an operation and its payment, whose amounts hold the outcome that it tells.

        Raises:
            PaymentNotFound, OperationNotFound: there is none with this id.
        """
        operation = self._operations.get(payment_id, kind, operation_id)
        payment = self._payment(payment_id)
        if operation is None:
            raise OperationNotFound(operation_id)
        return operation, payment

    def all_of(
        self, payment_id: str, kind: OperationKind | None = None
    ) -> tuple[list[Operation], Payment]:
        """Return the operations on a payment, the oldest first, and the payment.

        The amounts of the payment hold every outcome that the operations tell.

        Raises:
            PaymentNotFound: there is none with this id.
        """
        found = self._operations.of(payment_id, kind)
        payment = self._payment(payment_id)
        return sorted(found, key=lambda each: (each.requested_at, each.operation_id)), payment

    def _accept(
        self, asked: Asked, actor: str, resolve: Callable[[Payment, OperationRequest], Reserved]
    ) -> tuple[Operation, Payment, bool]:
        """Reserve what an operation is about, in the write that accepts it."""
        for _ in range(_ATTEMPTS):
            payment = self._payment(asked.payment_id)
            request = asked.on(payment)
            # Before anything else: what the payment allows now says nothing about a replay.
            stored = self._operations.get(asked.payment_id, asked.kind, asked.operation_id)
            if stored is not None:
                if stored.request_hash != request.hash:
                    is_refund = stored.kind is OperationKind.REFUND
                    conflict = RefundConflict if is_refund else CaptureConflict
                    raise conflict(stored, payment)
                return stored, payment, False
            reserved = resolve(payment, request)
            operation = Operation.requested(
                request,
                amount_minor=reserved.amount_minor,
                rest_minor=reserved.rest_minor,
                at=self._clock(),
                needs_review=self._need_review(payment, request, reserved),
            )
            change = OperationChange(
                to=operation.status,
                at=operation.requested_at,
                actor=actor,
                request_id=asked.correlation_id,
            )
            try:
                moved = self._operations.commit(payment, [OperationStep(None, operation, change)])
            except (StaleOperation, StaleTransition):
                continue
            self._tally(operation, moved)
            return operation, moved, True
        raise ServiceUnavailable("the payment is being moved by too many concurrently")

    def _need_review(self, payment: Payment, request: OperationRequest, reserved: Reserved) -> bool:
        if request.kind is not OperationKind.REFUND:
            return False
        given_back = payment.amounts.refunded + payment.amounts.refunds_pending
        return self._limits.are_below(payment.currency, given_back + reserved.amount_minor)

    def _payment(self, payment_id: str) -> Payment:
        payment = self._store.get(payment_id)
        if payment is None:
            raise PaymentNotFound(payment_id)
        return payment
