"""What the payment processor runs on."""

from functools import cache

from payments.aws.sandbox_ledger import SandboxLedger
from payments.flows.charge import PaymentProcessing
from payments.flows.dispatch import PaymentDispatch
from payments.flows.sweep import PaymentSweep
from payments.gateways.sandbox import SandboxGateway
from payments.runtime.clients import client
from payments.runtime.queues import payment_queue
from payments.runtime.settings import setting
from payments.runtime.stores import payment_store
from payments.runtime.workflows import workflow_of
from payments.telemetry.metrics import count_payment

__all__ = ["payment_dispatch", "payment_processing", "payment_queue", "payment_sweep"]


@cache
def payment_dispatch() -> PaymentDispatch:
    """Return the service behind the queue."""
    workflow = workflow_of("PAYMENT_WORKFLOW_ARN")
    return PaymentDispatch(payment_store(), workflow, tally=count_payment)


@cache
def payment_processing() -> PaymentProcessing:
    """Return the service behind the workflow's steps."""
    ledger = SandboxLedger(client("dynamodb"), setting("PROCESSING_STATUS_TABLE"))
    return PaymentProcessing(payment_store(), SandboxGateway(ledger), tally=count_payment)


@cache
def payment_sweep() -> PaymentSweep:
    """Return what finds stuck payments."""
    return PaymentSweep(payment_store(), payment_queue())
