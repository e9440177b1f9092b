"""Adapters: the payment events queue (SQS) and the workflows (Step Functions)."""

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from payments.errors import FieldError, InvalidMessage, ServiceUnavailable
from payments.models import Payment, PaymentRequest
from payments.money import EXPONENTS
from payments.validation import PAYMENT_ID

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef
    from mypy_boto3_stepfunctions import SFNClient

_MAX_RESTARTS = 20

# The most that SendMessageBatch takes.
_MESSAGES_PER_CALL = 10
_SEND_ATTEMPTS = 6
_BACKOFF_SECONDS = 0.1


def encode_message(request: PaymentRequest | Payment) -> str:
    """Return the queue message of a payment: flat JSON, amount in minor units."""
    return json.dumps(
        {
            "payment_id": request.payment_id,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "source": request.source,
            "correlation_id": request.correlation_id,
        },
        separators=(",", ":"),
    )


def decode_message(body: str) -> PaymentRequest:
    """Read a queue message back.

    Raises:
        InvalidMessage: it is no payment message; the faults are named, the content is not.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidMessage("the message is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidMessage("the message is not a JSON object")
    faults = _message_faults(document)
    if faults:
        raise InvalidMessage("; ".join(f"{fault.field} {fault.message}" for fault in faults))
    return PaymentRequest(
        payment_id=document["payment_id"],
        amount_minor=document["amount_minor"],
        currency=document["currency"],
        source=document["source"],
        correlation_id=document["correlation_id"],
    )


def _message_faults(document: dict[str, Any]) -> list[FieldError]:
    faults = [
        FieldError(name, "invalid_type", "must be a string that is not empty")
        for name in ("payment_id", "currency", "source", "correlation_id")
        if not (isinstance(document.get(name), str) and document[name])
    ]
    amount = document.get("amount_minor")
    if type(amount) is not int or amount <= 0:
        faults.append(FieldError("amount_minor", "invalid_type", "must be a positive integer"))
    if not faults and not PAYMENT_ID.fullmatch(document["payment_id"]):
        faults.append(FieldError("payment_id", "invalid_format", "is not a payment id"))
    if not faults and document["currency"] not in EXPONENTS:
        faults.append(FieldError("currency", "unknown_currency", "is not an ISO 4217 code in use"))
    return faults


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
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=encode_message(payment))
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable("the payment could not be queued") from error

    def send_payments(self, payments: Iterable[Payment]) -> int:
        """Make many payments durable in the queue.

        Returns and raises as :meth:`send_all`.
        """
        return self.send_all(map(encode_message, payments), calls_in_flight=1)

    def send_all(self, messages: Iterable[str], *, calls_in_flight: int) -> int:
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
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                cause = error
                continue
            # A call that succeeds may still have refused some of its messages.
            pending = {failed["Id"]: pending[failed["Id"]] for failed in answer.get("Failed", [])}
            if not pending:
                return len(messages)
        raise ServiceUnavailable("messages could not be queued") from cause

    def release(self, receipt_handle: str) -> None:
        """Let a message that was received be delivered again at once."""
        try:
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=0
            )
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable("the message could not be released") from error


class Workflow:
    """A Step Functions state machine. Every AWS failure is a :class:`ServiceUnavailable`."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def ensure_running(self, name: str, workflow_input: Mapping[str, Any]) -> None:
        """Start the one execution of a name, unless it runs or has succeeded.

        Step Functions itself refuses a second execution of a name. Only after one that died
        (failed, aborted, timed out) is there a next, ``{name}.2``.
        """
        for restart in range(1, _MAX_RESTARTS + 1):
            # No name has a point, so no restart can take another's name.
            execution = name if restart == 1 else f"{name}.{restart}"
            if self._start(execution, workflow_input) or not self._has_died(execution):
                return
        raise ServiceUnavailable(f"the workflow died {_MAX_RESTARTS} times")

    def _start(self, execution: str, workflow_input: Mapping[str, Any]) -> bool:
        try:
            self._client.start_execution(
                stateMachineArn=self._arn, name=execution, input=json.dumps(workflow_input)
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable("the workflow could not be started") from error
        return True

    def _has_died(self, execution: str) -> bool:
        arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{execution}"
        try:
            answer = self._client.describe_execution(executionArn=arn)
        except self._client.exceptions.ExecutionDoesNotExist:
            # DescribeExecution is eventually consistent: it was started a moment ago.
            return False
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable("the workflow could not be looked up") from error
        return answer["status"] in {"FAILED", "TIMED_OUT", "ABORTED"}
