"""What is asked of a payment, and what the payment allows."""

from dataclasses import dataclass
from typing import Final

from payments.core.content import RefundContent
from payments.core.faults import (
    FieldError,
    InvalidRequest,
    NotCancelable,
    NotCapturable,
    NotRefundable,
    PaymentNotFound,
)
from payments.core.money import parse_amount
from payments.core.operation import OperationKind, OperationRequest
from payments.core.payment import Payment, PaymentStatus
from payments.core.review import Person


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


def refund_of_row(
    content: RefundContent, source: str, correlation_id: str, submitter: Person | None = None
) -> Asked:
    """Return the refund that a row of a file asks for."""
    return Asked(
        kind=OperationKind.REFUND,
        payment_id=content.payment_id,
        operation_id=content.refund_id,
        source=source,
        correlation_id=correlation_id,
        amount=content.amount,
        reason=content.reason,
        submitter=submitter,
    )


@dataclass(frozen=True, slots=True)
class Reserved:
    """What an operation reserves, in minor units: its amount, and the rest that it releases."""

    amount_minor: int
    rest_minor: int = 0


def refundable(payment: Payment, request: OperationRequest) -> Reserved:
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


def capturable(payment: Payment, request: OperationRequest) -> Reserved:
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


def cancelable(payment: Payment, *, has_expired: bool) -> int:
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


REASONS: Final[dict[str, FieldError]] = {
    reason.code: reason
    for reason in (
        FieldError(
            "payment_id", "payment_state", "names a payment whose status does not allow this"
        ),
        FieldError(
            "payment_id", "nothing_left", "names a payment of which nothing is left to refund"
        ),
        FieldError("amount", "exceeds_refundable", "is more than is left to refund"),
        FieldError("amount", "exceeds_capturable", "is more than is left to capture"),
        FieldError(
            "payment_id",
            "operation_pending",
            "names a payment with a capture or cancellation under way",
        ),
        FieldError(
            "payment_id",
            "already_captured",
            "names a payment that was captured: refund it instead",
        ),
    )
}
"""Why a payment does not allow an operation."""


def refusal(error: PaymentNotFound | InvalidRequest | NotRefundable) -> FieldError:
    """Return why a row of a file cannot become a refund."""
    match error:
        case InvalidRequest(errors=[fault, *_]):
            return fault
        case NotRefundable(code=code):
            return REASONS[code]
        case _:
            return FieldError("payment_id", "payment_not_found", "names no payment")
