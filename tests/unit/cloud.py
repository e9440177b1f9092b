"""One empty AWS account in process, and what tests ask of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payments.aws.lists import TIME_INDEX
from payments.aws.operations import DUE_INDEX
from payments.aws.payments import HELD_INDEX, OPEN_INDEX, PaymentStore, Tables
from payments.batches.batch import Batch, ObjectVersion
from payments.batches.states import Followed, Plan
from payments.batches.steps import BatchProcessing
from payments.core.content import Content
from payments.core.faults import ExecutionsSpent, ServiceUnavailable
from payments.core.messages import PaymentMessage, decode_message
from payments.core.money import EXPONENTS
from payments.core.payment import Payment, PaymentRequest
from payments.flows.charge import Witness
from payments.gateways.port import (
    CANCELLED,
    Approved,
    ChargeOutcome,
    Declined,
    Prepared,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

TABLES = Tables(
    payments="payments", processing_status="status", audit_logs="audit", operations="operations"
)

BATCH_ID = f"batch_{'0' * 32}"
ROW = f"batch:{BATCH_ID}:2"
OTHER_ROW = f"batch:{BATCH_ID}:3"

WITNESS = Witness(actor="payment-processor", request_id="invocation-1", attempt=0)
AT = "2026-01-01T00:00:00.000000Z"


@dataclass(frozen=True)
class Cloud:
    """Clients of one empty AWS account, with the tables, queues and buckets of the stack."""

    dynamodb: "DynamoDBClient"
    sqs: "SQSClient"
    s3: "S3Client"
    events_url: str
    rows_url: str
    dead_letters_url: str

    def messages(self) -> list[dict[str, Any]]:
        """Take every message of a payment: those that came by API, then those of rows."""
        return [*self.taken(self.events_url), *self.taken(self.rows_url)]

    def taken(self, queue_url: str) -> list[dict[str, Any]]:
        """Take every message from a queue."""
        messages: list[dict[str, Any]] = []
        while received := self.sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            messages.extend(dict(message) for message in received)
            for message in received:
                self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def attributes(self, queue_url: str) -> dict[str, int]:
        """Return how many messages of a queue can be received, are delayed, and are hidden."""
        answer = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])
        told: Mapping[Any, str] = answer["Attributes"]
        return {
            name: int(told[f"ApproximateNumberOfMessages{name}"])
            for name in ("", "Delayed", "NotVisible")
        }

    def upload(self, content: bytes, key: str = "payments.csv") -> Batch:
        """Put a batch file into the bucket and return the batch that it becomes."""
        stored = self.s3.put_object(Bucket="files", Key=key, Body=content)
        return Batch(ObjectVersion("files", key, stored["VersionId"]))

    def items(self, table: str) -> list[dict[str, Any]]:
        """Return every raw item of a table."""
        return list(self.dynamodb.scan(TableName=table)["Items"])


@dataclass
class Started:
    """Notes what was started, and which subjects only once; does not answer for ``deaf_to``.

    ``is_spent``: no subject has an execution left.
    """

    deaf_to: frozenset[str] = frozenset()
    is_spent: bool = False
    started: list[str] = field(default_factory=list)
    once: list[str] = field(default_factory=list)
    inputs: list[Mapping[str, Any]] = field(default_factory=list)

    def start_once(self, subject: str, workflow_input: Mapping[str, Any]) -> None:
        self.once.append(subject)
        self.inputs.append(workflow_input)

    def ensure_running(self, subject: str, workflow_input: Mapping[str, Any]) -> None:
        if subject in self.deaf_to:
            raise ServiceUnavailable("no answer")
        if self.is_spent:
            raise ExecutionsSpent("none is left")
        self.started.append(subject)
        self.inputs.append(workflow_input)


class FailingQueue:
    """A queue that takes nothing, for the reason that it is given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def send(self, payment: Payment) -> None:
        raise self._error

    def send_payments(self, payments: Iterable[Payment]) -> int:
        raise self._error


class ScriptedGateway:
    """Answers each verb as the test says, and notes the calls; an error is raised."""

    def __init__(
        self,
        *,
        prepare: Prepared | Declined | Exception = Prepared("ref"),  # noqa: B008 - frozen
        charge: ChargeOutcome | Exception = Approved("ref"),  # noqa: B008 - frozen
        cancel: ChargeOutcome | Exception = Declined(CANCELLED),  # noqa: B008 - frozen
        look_up: ChargeOutcome | Prepared | Exception = Approved("ref"),  # noqa: B008 - frozen
    ) -> None:
        self.answers = {
            "prepare": prepare,
            "charge": charge,
            "cancel": cancel,
            "look_up": look_up,
        }
        self.calls: list[str] = []
        self.seen: list[Payment] = []

    def prepare(self, payment: Payment) -> Prepared | Declined:
        answer: Prepared | Declined = self._answer("prepare", payment)
        return answer

    def charge(self, payment: Payment) -> ChargeOutcome:
        answer: ChargeOutcome = self._answer("charge", payment)
        return answer

    def cancel(self, payment: Payment) -> ChargeOutcome:
        answer: ChargeOutcome = self._answer("cancel", payment)
        return answer

    def look_up(self, payment: Payment) -> ChargeOutcome | Prepared:
        answer: ChargeOutcome | Prepared = self._answer("look_up", payment)
        return answer

    def _answer(self, verb: str, payment: Payment) -> Any:
        self.calls.append(verb)
        self.seen.append(payment)
        answer = self.answers[verb]
        if isinstance(answer, Exception):
            raise answer
        return answer


def calls_of(client: Any) -> list[str]:
    """Return a list that grows by the name of each operation that a client is asked for."""
    calls: list[str] = []

    def note(model: Any, **_: Any) -> None:
        calls.append(model.name)

    client.meta.events.register("before-call.*.*", note)
    return calls


def payment_content(payment_id: str, amount_minor: int, currency: str) -> Content:
    """Return a content in a currency that is on today's list."""
    return Content(payment_id, amount_minor, currency, EXPONENTS[currency])


def payment_request(
    payment_id: str = "pay_1",
    amount_minor: int = 9999,
    currency: str = "USD",
    source: str = "api",
    correlation_id: str = "request-1",
) -> PaymentRequest:
    """Return a valid request; name only what the test is about."""
    return PaymentRequest(
        payment_content(payment_id, amount_minor, currency), source, correlation_id
    )


def payment_message(body: str) -> PaymentMessage:
    """Return a message of the queue, which must be about a payment."""
    message = decode_message(body)
    assert isinstance(message, PaymentMessage)
    return message


def planned(batches: BatchProcessing, batch: Batch, size: int) -> Plan:
    """Plan a batch, call by call, to the end of its file."""
    plan = batches.plan(batch, size)
    while not plan["planned"]:
        plan = batches.plan(batch, size, plan)
    return plan


def process(batches: BatchProcessing, batch: Batch, size: int) -> Followed:
    """Take a batch through its workflow's steps, once each, up to the first look at its end."""
    plan = planned(batches, batch, size)
    for part in plan["ranges"]:
        batches.process_range(batch, plan["columns"], part)
    followed = batches.follow(batch, 0)
    while followed.get("wait_seconds") == 0:
        followed = batches.follow(batch, 0, followed["reported"])
    return followed


def create_table(dynamodb: "DynamoDBClient", name: str, keys: dict[str, str]) -> None:
    """Create a table from its keys in order, each with its type (``S`` or ``N``)."""
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": key, "AttributeType": kind}  # type: ignore[typeddict-item]  # "S" or "N"
            for key, kind in keys.items()
        ],
        KeySchema=[
            {"AttributeName": key, "KeyType": role}  # type: ignore[typeddict-item]  # in this order
            for key, role in zip(keys, ("HASH", "RANGE"), strict=False)
        ],
    )


def add_due_index(dynamodb: "DynamoDBClient") -> None:
    """Give the table of operations its sparse index."""
    dynamodb.update_table(
        TableName=TABLES.operations,
        AttributeDefinitions=[
            {"AttributeName": "due_shard", "AttributeType": "N"},
            {"AttributeName": "due_at", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": DUE_INDEX,
                    "KeySchema": [
                        {"AttributeName": "due_shard", "KeyType": "HASH"},
                        {"AttributeName": "due_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            }
        ],
    )


def add_open_index(dynamodb: "DynamoDBClient", table: str) -> None:
    """Give the payments table its sparse index, which few tests need and moto takes time for."""
    _add_index(dynamodb, table, OPEN_INDEX, ("open_shard", "accepted_at"))


def add_held_index(dynamodb: "DynamoDBClient", table: str) -> None:
    """Give the payments table its sparse index of authorisations."""
    _add_index(dynamodb, table, HELD_INDEX, ("held_shard", "capture_before"))


def add_indexes(dynamodb: "DynamoDBClient", table: str) -> None:
    """Give the payments table both its indexes."""
    add_open_index(dynamodb, table)
    _add_index(dynamodb, table, TIME_INDEX, ("time_shard", "created_at"), "currency", "source")


def _add_index(
    dynamodb: "DynamoDBClient", table: str, name: str, key: tuple[str, str], *include: str
) -> None:
    shard, at = key
    dynamodb.update_table(
        TableName=table,
        AttributeDefinitions=[
            {"AttributeName": shard, "AttributeType": "N"},
            {"AttributeName": at, "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": name,
                    "KeySchema": [
                        {"AttributeName": shard, "KeyType": "HASH"},
                        {"AttributeName": at, "KeyType": "RANGE"},
                    ],
                    "Projection": (
                        {"ProjectionType": "INCLUDE", "NonKeyAttributes": include}
                        if include
                        else {"ProjectionType": "KEYS_ONLY"}
                    ),
                }
            }
        ],
    )


def statuses(store: PaymentStore, payment_id: str = "pay_1") -> list[str]:
    """Return every status that a payment has had, oldest first."""
    return [entry.status.value for entry in store.history(payment_id)]


def repeat_committed_writes(cloud: Cloud) -> None:
    """Send every transaction twice, as the SDK does when the first answer is lost."""
    write = cloud.dynamodb.transact_write_items

    def write_twice(**arguments: object) -> object:
        write(**arguments)  # type: ignore[arg-type]  # passed through
        return write(**arguments)  # type: ignore[arg-type]  # passed through

    cloud.dynamodb.transact_write_items = write_twice  # type: ignore[method-assign,assignment]  # the fault
