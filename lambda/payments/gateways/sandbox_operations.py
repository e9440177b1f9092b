"""What happens after a charge, in the sandbox: every path of an operation can be walked."""

from enum import StrEnum
from typing import Final, Protocol

from payments.core.faults import GatewayBusy, GatewayUnavailable
from payments.core.operation import Operation, OperationRef
from payments.core.payment import Failure, Payment
from payments.gateways.port import Captured, Done, OperationOutcome, Pending, Refused


class OperationLedger(Protocol):
    """The sandbox's memory of the operations that it carried out."""

    def count_attempt(self, which: OperationRef) -> int:
        """Count one call and return how many there have been, from 1."""
        ...

    def do(self, which: OperationRef) -> None:
        """Remember that an operation has happened."""
        ...

    def is_done(self, which: OperationRef) -> bool:
        """Say whether an operation has happened."""
        ...


class OperationTrouble(StrEnum):
    """What a magic amount makes the sandbox do with an operation, besides refusing it."""

    ANSWER_LOST_ONCE = "answer lost once"
    RETURNED = "returned"
    PENDING_ONCE = "pending once"
    BUSY_ONCE = "busy once"
    UNAVAILABLE_ONCE = "unavailable once"


REFUSED_AMOUNTS: Final[dict[int, Failure]] = {
    60001: Failure("declined", "The card issuer declined it."),
}
"""Amounts of operations, in minor units of any currency, that the sandbox refuses."""

TROUBLED_OPERATIONS: Final[dict[int, OperationTrouble]] = {
    60002: OperationTrouble.ANSWER_LOST_ONCE,
    60003: OperationTrouble.RETURNED,
    60004: OperationTrouble.PENDING_ONCE,
    60005: OperationTrouble.BUSY_ONCE,
    60006: OperationTrouble.UNAVAILABLE_ONCE,
}
"""Amounts of operations, in minor units of any currency, that give the sandbox trouble."""

CAPTURED_INSTEAD: Final = 60007
"""An amount, in minor units, that the sandbox has captured by itself when it is asked to release it."""

RETURNED: Final = Failure("account_closed", "The customer's bank has sent the refund back.")
"""Why a refund of the magic amount fails after it had completed."""


class SandboxOperations:
    """Refunds, captures and releases that move nobody's money."""

    def __init__(self, ledger: OperationLedger) -> None:
        self._ledger = ledger

    def refund(self, payment: Payment, operation: Operation) -> OperationOutcome:
        """See :meth:`OperationGateway.refund`."""
        return self._do(payment, operation)

    def capture(self, payment: Payment, operation: Operation) -> OperationOutcome:
        """See :meth:`OperationGateway.capture`."""
        return self._do(payment, operation)

    def void(self, payment: Payment, operation: Operation) -> OperationOutcome | Captured:
        """See :meth:`OperationGateway.void`."""
        if operation.amount_minor == CAPTURED_INSTEAD:
            return Captured(operation.amount_minor)
        return self._do(payment, operation)

    def look_up_operation(self, _payment: Payment, operation: Operation) -> OperationOutcome | None:
        """See :meth:`OperationGateway.look_up_operation`."""
        if not self._ledger.is_done(operation.ref):
            return None
        if (
            TROUBLED_OPERATIONS.get(operation.amount_minor) is OperationTrouble.RETURNED
            and not operation.status.is_open
        ):
            return Refused(RETURNED)
        return _done(operation)

    def _do(self, _payment: Payment, operation: Operation) -> OperationOutcome:
        failure = REFUSED_AMOUNTS.get(operation.amount_minor)
        if failure is not None:
            return Refused(failure)
        trouble = TROUBLED_OPERATIONS.get(operation.amount_minor)
        attempt = self._ledger.count_attempt(operation.ref) if trouble else 1
        if trouble is OperationTrouble.UNAVAILABLE_ONCE and attempt == 1:
            raise GatewayUnavailable("the sandbox is unavailable once for this amount")
        if trouble is OperationTrouble.BUSY_ONCE and attempt == 1:
            raise GatewayBusy("the sandbox is busy once for this amount")
        if trouble is OperationTrouble.PENDING_ONCE and attempt == 1:
            return Pending()
        self._ledger.do(operation.ref)
        if trouble is OperationTrouble.ANSWER_LOST_ONCE and attempt == 1:
            raise GatewayUnavailable("the sandbox did it, and its answer was lost")
        return _done(operation)


def _done(operation: Operation) -> Done:
    return Done(f"sandbox_{operation.name}")
