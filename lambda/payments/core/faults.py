"""What can go wrong, as types: raised with data, caught by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payments.core.operation import Operation
    from payments.core.payment import Payment


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of one field: a machine-readable code and what would be right."""

    field: str
    code: str
    message: str


class PaymentError(Exception):
    """Base of every error this system raises on purpose."""


class InvalidRequest(PaymentError):
    """The client's input has faults; all of them are in ``errors``."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(", ".join(f"{error.field}: {error.code}" for error in errors))
        self.errors = errors


class PaymentConflict(PaymentError):
    """The payment id is taken by a payment with other content, which stays untouched."""

    def __init__(self, stored: Payment) -> None:
        super().__init__(stored.payment_id)
        self.stored = stored


class PaymentNotFound(PaymentError):
    """No payment has this id."""


class OperationNotFound(PaymentError):
    """The payment has no operation of this kind and id."""


class OperationConflict(PaymentError):
    """The operation's id is taken by another request, whose operation stays untouched."""

    def __init__(self, stored: Operation, payment: Payment) -> None:
        super().__init__(stored.operation_id)
        self.stored = stored
        self.payment = payment


class RefundConflict(OperationConflict):
    """The id is a refund's."""


class CaptureConflict(OperationConflict):
    """The id is a capture's."""


class OperationRefused(PaymentError):
    """A payment does not allow an operation as it stands now; ``code`` says why."""

    def __init__(self, code: str, payment: Payment) -> None:
        super().__init__(f"{payment.payment_id}: {code}")
        self.code = code
        self.payment = payment


class NotRefundable(OperationRefused):
    """A payment cannot be refunded so: ``payment_state``, ``nothing_left``, ``exceeds_refundable``."""


class NotCapturable(OperationRefused):
    """A payment cannot be captured so: ``payment_state``, ``exceeds_capturable``, ``operation_pending``."""


class NotCancelable(OperationRefused):
    """A payment cannot be cancelled: ``payment_state``, ``already_captured``, ``operation_pending``."""


class StaleOperation(PaymentError):
    """Somebody else moved the operation first; ``current`` is what is stored, if anything."""

    def __init__(self, current: Operation | None) -> None:
        super().__init__("not there" if current is None else f"{current.name} is {current.status}")
        self.current = current


class RowEnded(PaymentError):
    """The row of a file was recorded as not paid, and never is from then on."""


class BatchNotFound(PaymentError):
    """No batch has this id."""


class StaleTransition(PaymentError):
    """Somebody else moved the payment first; ``current`` is what is stored now."""

    def __init__(self, current: Payment) -> None:
        super().__init__(f"{current.payment_id} is {current.status} at version {current.version}")
        self.current = current


class InvalidMessage(PaymentError):
    """A queue message that no retry can fix: it belongs in the dead-letter queue."""


class NewerMessage(PaymentError):
    """A queue message that a newer release wrote: it waits until that release runs."""


class UnreadableFile(PaymentError):
    """A batch file that is no CSV of payments at all: it is refused whole."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ServiceUnavailable(PaymentError):
    """An AWS service did not do its part; the same call may be made again."""


class ExecutionsSpent(ServiceUnavailable):
    """Every execution that a subject may have has ended, each without an outcome."""


class GatewayUnavailable(PaymentError):
    """The processor gave no answer: whether it charged is unknown. Only this may lead to settling."""


class GatewayBusy(PaymentError):
    """The processor has too much to do: certainly nothing was done, so ask again later."""


class GatewayRefused(PaymentError):
    """The processor does not accept us: certainly nothing was done, and the fault is ours.

    A wrong key, for example. Nobody is declined for it; on-call is told and payments wait.
    """


class ChargePending(PaymentError):
    """The processor has the charge and has not decided yet: look again later."""
