"""What the payment processor runs on."""

from dataclasses import dataclass
from functools import cache

from payments.aws.queue import MessageQueue, PaymentQueues
from payments.aws.turns import Turns
from payments.core.messages import Message, OperationMessage, PaymentMessage, RefundRowMessage
from payments.flows.charge import Charging, Witness
from payments.flows.delivery import Delivery, OperationDelivery, Verdict
from payments.flows.hints import Hints
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.refund_rows import RefundRowDelivery
from payments.flows.sweep import ExpirySweep, OperationSweep, PaymentSweep, RefundReviewSweep
from payments.gateways.port import Hint, RefundHint
from payments.runtime.clients import client
from payments.runtime.processor import (
    hint_of,
    operation_gateway,
    payment_gateway,
    processor_rate,
)
from payments.runtime.queues import message_queue, payment_queues
from payments.runtime.settings import review_limits, setting
from payments.runtime.stores import operation_store, payment_store
from payments.runtime.workflows import workflow_of
from payments.telemetry.metrics import count_operation, count_payment

__all__ = ["Hint", "RefundHint", "charging", "deliveries", "hint_of", "payment_sweep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """What messages are handled with."""

    delivery: Delivery
    operations: OperationDelivery
    refund_rows: RefundRowDelivery
    queues: PaymentQueues
    dead_letters: MessageQueue
    events: MessageQueue
    rows: MessageQueue
    turns: Turns | None = None
    """Hands out turns, where the processor takes only so many payments a second."""

    def deliver(self, message: Message, witness: Witness, *, is_first: bool) -> Verdict:
        """Handle a message of any kind."""
        match message:
            case PaymentMessage():
                return self.delivery.deliver(message, witness, is_first=is_first)
            case OperationMessage():
                return self.operations.deliver(message, witness, is_first=is_first)
            case RefundRowMessage():
                return self.refund_rows.deliver(message, witness)

    def queue_of(self, arn: str) -> MessageQueue:
        """Return the queue that a message came from."""
        return self.events if self.events.is_called(arn.rpartition(":")[2]) else self.rows


@cache
def _turns() -> Turns | None:
    rate = processor_rate()
    if rate is None:
        return None
    return Turns(client("dynamodb"), setting("PROCESSING_STATUS_TABLE"), per_second=rate)


@cache
def deliveries() -> Deliveries:
    """Return what messages are handled with."""
    operations = OperationDelivery(performing(), workflow_of("PAYMENT_WORKFLOW_ARN"))
    return Deliveries(
        delivery=Delivery(
            payment_store(),
            charging(),
            workflow_of("PAYMENT_WORKFLOW_ARN"),
            tally=count_payment,
            limits=review_limits(),
        ),
        operations=operations,
        refund_rows=RefundRowDelivery(operation_intake(), operation_store(), operations),
        queues=payment_queues(),
        dead_letters=message_queue("PAYMENT_EVENTS_DLQ_URL"),
        events=message_queue("PAYMENT_EVENTS_QUEUE_URL"),
        rows=message_queue("PAYMENT_ROWS_QUEUE_URL"),
        turns=_turns(),
    )


@cache
def charging() -> Charging:
    """Return the rules of charging, on the processor of this environment."""
    return Charging(payment_store(), payment_gateway(), tally=count_payment)


@cache
def performing() -> Performing:
    """Return the rules of refunds, captures and cancellations, on the same processor."""
    return Performing(
        payment_store(),
        operation_store(),
        operation_gateway(),
        tally=count_operation,
        payment_tally=count_payment,
    )


@cache
def operation_sweep() -> OperationSweep:
    """Return what finds operations that are stuck or to be looked at again."""
    return OperationSweep(operation_store(), payment_queues())


@cache
def expiry_sweep() -> ExpirySweep:
    """Return what releases authorisations that have expired."""
    return ExpirySweep(payment_store(), operation_store(), operation_intake())


@cache
def hints() -> Hints:
    """Return what looks up what the processor tells of."""
    return Hints(charging(), performing(), operation_intake())


@cache
def operation_intake() -> OperationIntake:
    """Return what accepts operations."""
    return OperationIntake(
        payment_store(),
        operation_store(),
        payment_queues(),
        tally=count_operation,
        payment_tally=count_payment,
        limits=review_limits(),
    )


@cache
def refund_review_sweep() -> RefundReviewSweep:
    """Return what ends reviews of refunds that nobody decided."""
    return RefundReviewSweep(payment_store(), operation_store(), tally=count_operation)


@cache
def payment_sweep() -> PaymentSweep:
    """Return what finds stuck payments."""
    return PaymentSweep(payment_store(), payment_queues(), tally=count_payment, line=_turns())
