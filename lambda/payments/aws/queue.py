"""Adapter: the queue of payment events (SQS). Every AWS failure is ``ServiceUnavailable``."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import batched
from typing import TYPE_CHECKING, Final

from payments.aws.failures import unavailable
from payments.core.faults import ServiceUnavailable
from payments.core.messages import encode_message
from payments.core.payment import Payment

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef


CALLS_IN_FLIGHT: Final = 32
"""How many calls to the queue wait for their answer at the same time.

As many as keep one core at work while SQS takes 10 ms for each; more only wait for the core.
"""

# The most that SendMessageBatch takes.
_MESSAGES_PER_CALL = 10

_SEND_ATTEMPTS = 6

_BACKOFF_SECONDS = 0.1


class PaymentQueue:
    """The queue of payment events. Every AWS failure is a :class:`ServiceUnavailable`."""

    def __init__(
        self,
        client: "SQSClient",
        queue_url: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._url = queue_url
        self._sleep = sleep

    def send(self, payment: Payment) -> None:
        """Make a payment durable in the queue."""
        with unavailable("the payment could not be queued"):
            self._client.send_message(QueueUrl=self._url, MessageBody=encode_message(payment))

    def send_payments(self, payments: Iterable[Payment]) -> int:
        """Make many payments durable in the queue.

        Returns and raises as :meth:`send_all`.
        """
        return self.send_all(map(encode_message, payments), calls_in_flight=1)

    def send_all(self, messages: Iterable[str], *, calls_in_flight: int = CALLS_IN_FLIGHT) -> int:
        """Make every message durable in the queue: ten to a call, many calls at once.

        Args:
            messages: encoded messages, taken one call ahead at most.
            calls_in_flight: how many calls may wait for their answer at the same time.

        Returns:
            How many were sent.

        Raises:
            ServiceUnavailable: some could not be sent after several tries; which ones is unknown,
                so send all again: a payment that is queued twice is still one payment.
        """
        sent = 0
        with ThreadPoolExecutor(calls_in_flight) as pool:
            calls: set[Future[int]] = set()
            for chunk in batched(messages, _MESSAGES_PER_CALL):
                if len(calls) >= calls_in_flight:
                    done, calls = wait(calls, return_when=FIRST_COMPLETED)
                    sent += sum(call.result() for call in done)
                calls.add(pool.submit(self._send_chunk, chunk))
            return sent + sum(call.result() for call in calls)

    def _send_chunk(self, messages: Sequence[str]) -> int:
        pending = {str(number): message for number, message in enumerate(messages)}
        cause: Exception | None = None
        for attempt in range(_SEND_ATTEMPTS):
            if attempt:
                self._sleep(random.uniform(0, _BACKOFF_SECONDS * 2**attempt))
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {"Id": key, "MessageBody": body} for key, body in pending.items()
            ]
            try:
                with unavailable("no message of a call was queued"):
                    answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            except ServiceUnavailable as error:
                cause = error
                continue
            # A call that succeeds may still have refused some of its messages.
            pending = {failed["Id"]: pending[failed["Id"]] for failed in answer.get("Failed", [])}
            if not pending:
                return len(messages)
        raise ServiceUnavailable("messages could not be queued") from cause

    def release(self, receipt_handle: str) -> None:
        """Let a message that was received be delivered again at once."""
        with unavailable("the message could not be released"):
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=0
            )
