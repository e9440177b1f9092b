"""Adapter: the queues of payments (SQS). Every AWS failure is ``ServiceUnavailable``."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import batched
from typing import TYPE_CHECKING, Final

from payments.aws.failures import unavailable
from payments.core.faults import ServiceUnavailable
from payments.core.messages import (
    Backlog,
    Message,
    encode_message,
    message_of,
    operation_message,
)
from payments.core.operation import Operation
from payments.core.payment import API, Payment

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

CALLS_IN_FLIGHT: Final = 32
"""How many calls to a queue wait for their answer at the same time.

As many as keep one core at work while SQS takes 10 ms for each; more only wait for the core.
"""

# The most that SendMessageBatch takes.
_MESSAGES_PER_CALL = 10
_SEND_ATTEMPTS = 6
_BACKOFF_SECONDS = 0.1


class MessageQueue:
    """One queue."""

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

    def is_called(self, name: str) -> bool:
        """Say whether this is the name of the queue."""
        return self._url.rpartition("/")[2] == name

    def send(self, body: str, *, delay_seconds: int = 0, reason: str | None = None) -> None:
        """Make one message durable in the queue.

        Args:
            body: the encoded message.
            delay_seconds: until when nobody receives it, 900 at most.
            reason: why it is here, as the message attribute ``reason``.
        """
        attributes = {} if reason is None else {"reason": reason}
        with unavailable("the message could not be queued"):
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                DelaySeconds=delay_seconds,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in attributes.items()
                },
            )

    def send_all(self, messages: Iterable[str], *, calls_in_flight: int = CALLS_IN_FLIGHT) -> int:
        """Make every message durable in the queue: ten to a call, many calls concurrently.

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

    def waiting(self) -> int:
        """Return about how many messages wait to be received."""
        return self.backlog().waiting

    def backlog(self) -> Backlog:
        """Return about how many messages wait in the queue."""
        with unavailable("the length of the queue could not be read"):
            answer = self._client.get_queue_attributes(
                QueueUrl=self._url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesDelayed",
                ],
            )
        attributes = answer["Attributes"]
        return Backlog(
            waiting=int(attributes["ApproximateNumberOfMessages"]),
            delayed=int(attributes["ApproximateNumberOfMessagesDelayed"]),
        )

    def hide(self, receipt_handle: str, seconds: int) -> None:
        """Let a message that was received be delivered again after so many seconds."""
        with unavailable("the message could not be hidden"):
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )

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


class PaymentQueues:
    """The queues of payments: customers' payments never wait for the rows of a file."""

    def __init__(self, events: MessageQueue, rows: MessageQueue) -> None:
        self._events = events
        self._rows = rows

    def send(self, payment: Payment) -> None:
        """Make a payment durable in its queue."""
        self.send_again(message_of(payment))

    def send_operation(self, operation: Operation, *, tries: int = 0) -> None:
        """Make an operation durable in its queue."""
        self.send_again(operation_message(operation, tries))

    def send_again(self, message: Message, *, delay_seconds: int = 0) -> None:
        """Make a message durable in the queue that it belongs to."""
        queue = self._events if message.source == API else self._rows
        queue.send(encode_message(message), delay_seconds=delay_seconds)

    def backlogs(self) -> tuple[Backlog, Backlog]:
        """Return about how many payments by API wait, and how many rows."""
        return self._events.backlog(), self._rows.backlog()

    def send_payments(self, payments: Iterable[Payment]) -> int:
        """Make many payments durable in their queues; return how many.

        Raises:
            ServiceUnavailable: not all were sent, and which ones is unknown.
        """
        by_queue: dict[MessageQueue, list[str]] = {self._events: [], self._rows: []}
        for payment in payments:
            queue = self._events if payment.source == API else self._rows
            by_queue[queue].append(encode_message(message_of(payment)))
        return sum(
            queue.send_all(messages, calls_in_flight=1) for queue, messages in by_queue.items()
        )
