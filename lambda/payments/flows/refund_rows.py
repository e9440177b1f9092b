"""A row of a file of refunds: accepted when its turn comes, or recorded as not paid, never both."""

from collections.abc import Callable
from typing import Final

from payments.core.asking import Asked, refund_of_row, refusal
from payments.core.clock import utc_now
from payments.core.faults import (
    FieldError,
    InvalidRequest,
    NotRefundable,
    PaymentNotFound,
    RefundConflict,
    RowEnded,
    ServiceUnavailable,
    StaleOperation,
)
from payments.core.messages import RefundRowMessage, operation_message
from payments.core.operation import Operation
from payments.core.payment import RowOutcome
from payments.flows.charge import Witness
from payments.flows.delivery import OperationDelivery, Verdict, verdict
from payments.flows.operations import OperationIntake
from payments.flows.ports import Operations

_ATTEMPTS: Final = 8


class RefundRowDelivery:
    """Has the refunds of a file accepted, by the rules of those over HTTP, and carries them out."""

    def __init__(
        self,
        intake: OperationIntake,
        operations: Operations,
        delivery: OperationDelivery,
        clock: Callable[[], str] = utc_now,
    ) -> None:
        self._intake = intake
        self._operations = operations
        self._delivery = delivery
        self._clock = clock

    def deliver(self, message: RefundRowMessage, witness: Witness) -> Verdict:
        """Handle a message.

        Args:
            message: a row that asks for a refund.
            witness: who handles it.

        Returns:
            What becomes of the message.
        """
        return verdict(message, lambda: self._handle(message, witness))

    def _handle(self, message: RefundRowMessage, witness: Witness) -> None:
        asked = refund_of_row(
            message.content, message.source, message.correlation_id, message.submitter
        )
        operation, created = self._accepted(asked)
        if operation is not None and operation.status.is_open:
            self._delivery.carry_out(operation_message(operation), witness, is_first=created)

    def _accepted(self, asked: Asked) -> tuple[Operation | None, bool]:
        """Return the refund of a row, if it has one, and whether it is new."""
        for _ in range(_ATTEMPTS):
            try:
                operation, _payment, created = self._intake.accept_refund(asked, actor="batch")
                if operation.source == asked.source:
                    return operation, created
                self._record(asked, RowOutcome.DUPLICATE)
            except RefundConflict:
                self._record(asked, RowOutcome.CONFLICT)
            except (PaymentNotFound, InvalidRequest, NotRefundable) as error:
                try:
                    self._record(asked, RowOutcome.REFUSED, refusal(error))
                except StaleOperation:
                    # A twin of this message was faster, and by then it was allowed.
                    continue
            except RowEnded:
                pass
            return None, False
        raise ServiceUnavailable("the row is handled by too many concurrently")

    def _record(self, asked: Asked, outcome: RowOutcome, fault: FieldError | None = None) -> None:
        self._operations.record_not_refunded(asked, outcome, fault, at=self._clock())
