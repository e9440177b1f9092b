"""Accepting refunds, captures and cancellations: once, and never with two meanings.

What an operation is about is reserved in the write that accepts it, before anybody asks the
processor. So two refunds never share an amount, and a capture and a cancellation exclude each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from payments.core.clock import utc_now
from payments.core.faults import (
    CaptureConflict,
    FieldError,
    InvalidRequest,
    NotCancelable,
    NotCapturable,
    NotRefundable,
    OperationNotFound,
    PaymentNotFound,
    RefundConflict,
    ServiceUnavailable,
    StaleOperation,
    StaleTransition,
)
from payments.core.money import parse_amount
from payments.core.operation import (
    Operation,
    OperationChange,
    OperationKind,
    OperationRequest,
    OperationStatus,
    OperationStep,
)
from payments.core.payment import API, Payment, PaymentStatus, Transition
from payments.core.review import NO_REVIEW, Person, ReviewLimits
from payments.flows.ports import OperationQueue, Operations, OperationTally, Store, Tally, no_tally

_ATTEMPTS: Final = 8
"""How often a payment is read again that others move at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An operation as somebody asks for it: ``amount`` as it was written, ``None`` for all that is left.

    Only the payment knows how many decimals its currency has.
    """

    kind: OperationKind
    payment_id: str
    operation_id: str
    source: str
    correlation_id: str
    amount: str | None = None
    amount_is_number: bool = False
    reason: str | None = None
    final: bool = True
    submitter: Person | None = None

    def on(self, payment: Payment) -> OperationRequest:
        """Return the request about a payment.

        Raises:
            InvalidRequest: the amount is none of the payment's currency.
        """
        minor = None
        if self.amount is not None:
            parsed = parse_amount(
                self.amount, payment.content.exponent, is_number=self.amount_is_number
            )
            if isinstance(parsed, FieldError):
                raise InvalidRequest([parsed])
            minor = parsed
        return OperationRequest(
            kind=self.kind,
            payment_id=self.payment_id,
            operation_id=self.operation_id,
            source=self.source,
            correlation_id=self.correlation_id,
            amount_minor=minor,
            reason=self.reason,
            final=self.final,
            submitter=self.submitter,
        )


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
            InvalidRequest: the amount is none of the payment's currency.
            RefundConflict: the refund's id is taken by another request.
            NotRefundable: the payment does not allow it as it stands.
            ServiceUnavailable: nothing is promised; the same request may be sent again.
        """
        return self._queued(self._accept(asked, actor, _refundable))

    def capture(self, asked: Asked, *, actor: str = "api") -> tuple[Operation, Payment, bool]:
        """Accept a capture of an authorised payment, or recognise one that was accepted before.

        Returns and raises as :meth:`refund`, with ``NotCapturable``.
        """
        return self._queued(self._accept(asked, actor, _capturable))

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
            amount = _cancelable(payment, has_expired=has_expired)
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
        raise ServiceUnavailable("the payment is being moved by too many at once")

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
        self, asked: Asked, actor: str, resolve: Callable[[Payment, OperationRequest], "Reserved"]
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
        raise ServiceUnavailable("the payment is being moved by too many at once")

    def _need_review(
        self, payment: Payment, request: OperationRequest, reserved: "Reserved"
    ) -> bool:
        if request.kind is not OperationKind.REFUND:
            return False
        given_back = payment.amounts.refunded + payment.amounts.refunds_pending
        return self._limits.are_below(payment.currency, given_back + reserved.amount_minor)

    def _payment(self, payment_id: str) -> Payment:
        payment = self._store.get(payment_id)
        if payment is None:
            raise PaymentNotFound(payment_id)
        return payment


@dataclass(frozen=True, slots=True)
class Reserved:
    """What an operation reserves, in minor units: its amount, and the rest that it releases."""

    amount_minor: int
    rest_minor: int = 0


def _refundable(payment: Payment, request: OperationRequest) -> Reserved:
    """Return what a refund reserves of a payment.

    Raises:
        NotRefundable: the payment does not allow it.
    """
    amounts = payment.amounts
    if amounts.captured == 0:
        raise NotRefundable("payment_state", payment)
    if amounts.refundable == 0:
        raise NotRefundable("nothing_left", payment)
    amount = amounts.refundable if request.amount_minor is None else request.amount_minor
    if amount > amounts.refundable:
        raise NotRefundable("exceeds_refundable", payment)
    return Reserved(amount)


def _capturable(payment: Payment, request: OperationRequest) -> Reserved:
    """Return what a capture reserves of a payment.

    Raises:
        NotCapturable: the payment does not allow it.
    """
    amounts = payment.amounts
    if payment.status is not PaymentStatus.AUTHORIZED:
        raise NotCapturable("payment_state", payment)
    # What is left after a final capture is only known when those before it have ended.
    if amounts.capturable == 0 or (request.final and amounts.captures_pending):
        raise NotCapturable("operation_pending", payment)
    amount = amounts.capturable if request.amount_minor is None else request.amount_minor
    if amount > amounts.capturable:
        raise NotCapturable("exceeds_capturable", payment)
    return Reserved(amount, amounts.capturable - amount if request.final else 0)


def _cancelable(payment: Payment, *, has_expired: bool) -> int:
    """Return what a cancellation releases of a payment, in minor units.

    Raises:
        NotCancelable: the payment does not allow it.
    """
    amounts = payment.amounts
    if amounts.captured and not (has_expired and payment.status is PaymentStatus.AUTHORIZED):
        raise NotCancelable("already_captured", payment)
    if payment.status in {PaymentStatus.PROCESSING, PaymentStatus.FAILED}:
        raise NotCancelable("payment_state", payment)
    if amounts.captures_pending or amounts.releases_pending:
        raise NotCancelable("operation_pending", payment)
    return amounts.capturable
