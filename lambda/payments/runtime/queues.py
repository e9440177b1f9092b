"""The queues of payments."""

from functools import cache

from payments.aws.queue import MessageQueue, PaymentQueues
from payments.runtime.clients import client
from payments.runtime.settings import setting


@cache
def payment_queues() -> PaymentQueues:
    """Return the queues that payments wait in."""
    return PaymentQueues(
        message_queue("PAYMENT_EVENTS_QUEUE_URL"), message_queue("PAYMENT_ROWS_QUEUE_URL")
    )


def message_queue(variable: str) -> MessageQueue:
    """Return the queue whose URL is in an environment variable."""
    return MessageQueue(client("sqs"), setting(variable))
