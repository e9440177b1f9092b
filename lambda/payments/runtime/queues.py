"""The queue of payment events."""

from functools import cache

from payments.aws.queue import PaymentQueue
from payments.runtime.clients import client
from payments.runtime.settings import setting


@cache
def payment_queue() -> PaymentQueue:
    """Return the queue of payment events."""
    return PaymentQueue(client("sqs"), setting("PAYMENT_EVENTS_QUEUE_URL"))
