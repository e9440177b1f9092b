"""What the API handler runs on."""

from functools import cache

from payments.flows.intake import PaymentIntake
from payments.runtime.batch_records import batch_store
from payments.runtime.queues import payment_queues
from payments.runtime.stores import payment_store
from payments.telemetry.metrics import count_payment

__all__ = ["batch_store", "payment_intake"]


@cache
def payment_intake() -> PaymentIntake:
    """Return the service behind the API."""
    return PaymentIntake(payment_store(), payment_queues(), tally=count_payment)
