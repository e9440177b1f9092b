"""Refunds, captures and voids at Stripe: refused for now, and therefore waiting."""

from typing import NoReturn

from payments.core.faults import GatewayRefused
from payments.core.operation import Operation
from payments.core.payment import Payment


class StripeOperations:
    """Carries out nothing, and says so: an operation waits, on-call is told, and no money moves.

    See :class:`payments.gateways.port.OperationGateway`. Answering in Stripe's place would record
    money as given back that was not.
    """

    def refund(self, _payment: Payment, operation: Operation) -> NoReturn:
        """Refuse; see the class."""
        raise _refused(operation)

    def capture(self, _payment: Payment, operation: Operation) -> NoReturn:
        """Refuse; see the class."""
        raise _refused(operation)

    def void(self, _payment: Payment, operation: Operation) -> NoReturn:
        """Refuse; see the class."""
        raise _refused(operation)

    def look_up_operation(self, _payment: Payment, operation: Operation) -> NoReturn:
        """Refuse; see the class."""
        raise _refused(operation)


def _refused(operation: Operation) -> GatewayRefused:
    return GatewayRefused(f"this release cannot carry out {operation.name} at Stripe")
