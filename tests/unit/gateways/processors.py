"""Processors for the contract suite: each can be told to approve, decline, or give trouble.

A new processor joins the suite with a class like these, and a line in :data:`PROCESSORS`.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, Protocol

from local.stripe_double.faults import Fault
from payments.aws.sandbox_ledger import SandboxLedger, SandboxOperationLedger
from payments.core.content import Capture, Content
from payments.core.operation import Operation, OperationKind, OperationRef, OperationRequest
from payments.core.payment import Payment, PaymentStatus
from payments.gateways.port import OperationGateway, PaymentGateway, Verdict
from payments.gateways.sandbox import SandboxGateway
from payments.gateways.sandbox_operations import SandboxOperations
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.operations import StripeOperations
from tests.unit.cloud import TABLES, Cloud
from tests.unit.gateways.stripe.doubled import CREATED_AT, ENVIRONMENT, Stripe

if TYPE_CHECKING:
    from collections.abc import Callable

type Charged = Literal["approved", "declined", "answer lost", "unavailable", "busy", "undecided"]
"""What becomes of the first charge of a payment; trouble is over at the second."""

type Performed = Literal[
    "done", "refused", "answer lost", "unavailable", "busy", "undecided", "returned"
]
"""What becomes of the first call for an operation; a refund that is returned is done at first."""


class Processor(Protocol):
    """A processor, what tests tell it, and the truth about money."""

    charges: PaymentGateway
    operations: OperationGateway

    def payment(
        self, payment_id: str, charged: Charged = "approved", *, capture: Capture = "automatic"
    ) -> Payment:
        """Return a payment that will be charged so."""
        ...

    def operation(
        self, payment: Payment, kind: OperationKind, name: str, performed: Performed = "done"
    ) -> Operation:
        """Return an operation on a charged payment that will be carried out so."""
        ...

    def wait(self) -> None:
        """Let time pass until what was undecided is decided, and refunds have come back."""
        ...

    def taken(self, payment: Payment) -> int:
        """Return how often money was taken or is held for a payment."""
        ...

    def moved(self, payment: Payment) -> int:
        """Return how many operations have moved money of a payment."""
        ...


def _payment(content: Content) -> Payment:
    return Payment(
        content=content,
        status=PaymentStatus.PENDING,
        version=1,
        content_hash=content.hash,
        source="api",
        correlation_id="request-1",
        created_at=CREATED_AT,
        updated_at=CREATED_AT,
        audit_hash="0" * 64,
    )


def operation_of(payment: Payment, kind: OperationKind, name: str, amount_minor: int) -> Operation:
    request = OperationRequest(
        kind=kind,
        payment_id=payment.payment_id,
        operation_id=name,
        source="api",
        correlation_id="request-2",
        amount_minor=amount_minor,
    )
    return Operation.requested(request, amount_minor=amount_minor, rest_minor=0, at=CREATED_AT)


class CountingLedger(SandboxLedger):
    """The sandbox's memory, which counts the payments that it approved."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud.dynamodb, TABLES.processing_status)
        self.approved: list[str] = []

    def decide(self, payment: Payment, verdict: Verdict) -> Verdict:
        """Count what is decided by this very call."""
        before = self.verdict(payment.payment_id)
        kept = super().decide(payment, verdict)
        if before is None and hasattr(kept, "reference"):
            self.approved.append(payment.payment_id)
        return kept


class CountingOperationLedger(SandboxOperationLedger):
    """The sandbox's memory of operations, which counts those that it carried out."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud.dynamodb, TABLES.processing_status)
        self.done: list[OperationRef] = []

    def do(self, which: OperationRef) -> None:
        """Count what is done by this very call."""
        if not self.is_done(which):
            self.done.append(which)
        super().do(which)


_AMOUNTS: Final[dict[Charged, int]] = {
    "approved": 10000,
    "declined": 40001,
    "unavailable": 50001,
    "answer lost": 50002,
    "busy": 50005,
    "undecided": 50006,
}
_OPERATION_AMOUNTS: Final[dict[Performed, int]] = {
    "done": 500,
    "refused": 60001,
    "answer lost": 60002,
    "returned": 60003,
    "undecided": 60004,
    "busy": 60005,
    "unavailable": 60006,
}


class SandboxProcessor:
    """The sandbox: amounts say what becomes of a payment or an operation."""

    def __init__(self, cloud: Cloud) -> None:
        self._ledger = CountingLedger(cloud)
        self._operations = CountingOperationLedger(cloud)
        self.charges: PaymentGateway = SandboxGateway(self._ledger)
        self.operations: OperationGateway = SandboxOperations(self._operations)

    def payment(
        self, payment_id: str, charged: Charged = "approved", *, capture: Capture = "automatic"
    ) -> Payment:
        """See :class:`Processor`."""
        return _payment(Content(payment_id, _AMOUNTS[charged], "USD", 2, None, None, capture))

    def operation(
        self, payment: Payment, kind: OperationKind, name: str, performed: Performed = "done"
    ) -> Operation:
        """See :class:`Processor`."""
        return operation_of(payment, kind, name, _OPERATION_AMOUNTS[performed])

    def wait(self) -> None:
        """See :class:`Processor`."""

    def taken(self, payment: Payment) -> int:
        """See :class:`Processor`."""
        return self._ledger.approved.count(payment.payment_id)

    def moved(self, payment: Payment) -> int:
        """See :class:`Processor`."""
        return sum(which.payment_id == payment.payment_id for which in self._operations.done)


_FAULTS: Final[dict[str, Fault]] = {
    "answer lost": Fault.LOSE,
    "unavailable": Fault.REFUSE,
    "busy": Fault.RATE_LIMITED,
    "undecided": Fault.UNDECIDED,
}


class StripeProcessor:
    """Stripe, at its double: cards and faults say what becomes of a payment or an operation."""

    def __init__(self, _: Cloud) -> None:
        self.stripe = Stripe()
        self.charges: PaymentGateway = self.stripe.gateway
        client = StripeClient(self.stripe.transport, self.stripe.read_key, live=False)
        self.operations: OperationGateway = StripeOperations(client, environment=ENVIRONMENT)

    def payment(
        self, payment_id: str, charged: Charged = "approved", *, capture: Capture = "automatic"
    ) -> Payment:
        """See :class:`Processor`."""
        if charged in _FAULTS:
            self.stripe.plan(_FAULTS[charged], "confirm", payment_id=payment_id, seconds=3600)
        card = (
            "pm_card_visa_chargeDeclinedInsufficientFunds"
            if charged == "declined"
            else "pm_card_visa"
        )
        return self.stripe.payment(payment_id, processor_payment_method=card, capture=capture)

    def operation(
        self, payment: Payment, kind: OperationKind, name: str, performed: Performed = "done"
    ) -> Operation:
        """See :class:`Processor`."""
        operation = operation_of(payment, kind, name, 500)
        self._card_of(payment, performed)
        if performed in _FAULTS and performed != "undecided":
            self.stripe.plan(_FAULTS[performed], kind.value)
        if performed == "refused":
            return replace(operation, amount_minor=payment.amount_minor + 10)
        return operation

    def _card_of(self, payment: Payment, performed: Performed) -> None:
        """Make the charged card one whose refunds are decided later, or come back."""
        cards = {"undecided": "pm_card_pendingRefund", "returned": "pm_card_refundFail"}
        if performed in cards:
            self.stripe.double.account.reissue(payment.gateway_reference or "", cards[performed])

    def wait(self) -> None:
        """See :class:`Processor`."""
        self.stripe.double.move_clock(25 * 3600)

    def taken(self, payment: Payment) -> int:
        """See :class:`Processor`."""
        money = self.stripe.double.account.money().get(payment.payment_id, [])
        return sum(not charge["released"] for charge in money)

    def moved(self, payment: Payment) -> int:
        """See :class:`Processor`."""
        money = self.stripe.double.account.money().get(payment.payment_id, [])
        refunds = [
            refund
            for refund in self.stripe.double.account.refunds.values()
            if refund["metadata"].get("payment_id") == payment.payment_id
        ]
        captures = [
            charge for charge in money if charge["captured"] and payment.content.capture == "manual"
        ]
        released = [charge for charge in money if charge["released"]]
        return len(refunds) + len(captures) + len(released)


PROCESSORS: "dict[str, Callable[[Cloud], Processor]]" = {
    "sandbox": SandboxProcessor,
    "stripe": StripeProcessor,
}
