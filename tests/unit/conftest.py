"""AWS in process (moto), and the real services and adapters on it."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "test")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "payments-test")

from payments.aws.batches import BatchStore
from payments.aws.dry_runs import DryRunStore
from payments.aws.lists import PaymentLists
from payments.aws.objects import ObjectStore
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import MessageQueue, PaymentQueues
from payments.aws.sandbox_ledger import SandboxLedger, SandboxOperationLedger
from payments.batches.steps import BatchProcessing, Portions
from payments.flows.charge import Charging
from payments.flows.delivery import Delivery, OperationDelivery
from payments.flows.intake import PaymentIntake
from payments.flows.listing import PaymentListing
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.refund_rows import RefundRowDelivery
from payments.flows.review import RefundReviews, Reviews, WaitingList
from payments.flows.sweep import OperationSweep, RefundReviewSweep
from payments.gateways.sandbox import SandboxGateway
from payments.gateways.sandbox_operations import SandboxOperations
from payments.runtime.api_handler import Services
from payments.runtime.payment_processor import Deliveries
from tests.unit.cloud import TABLES, Cloud, Started, add_due_index, create_table


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """One empty AWS account a test."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        _one_call_at_a_time(dynamodb)
        for name, keys in (
            (TABLES.payments, {"payment_id": "S"}),
            (TABLES.processing_status, {"entity_id": "S", "sequence": "N"}),
            (TABLES.audit_logs, {"payment_id": "S", "sequence": "N"}),
            (TABLES.operations, {"payment_id": "S", "operation": "S"}),
        ):
            create_table(dynamodb, name, keys)
        s3 = boto3.client("s3")
        for bucket in ("files", "results"):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        sqs = boto3.client("sqs")
        events, rows, dead_letters = (
            sqs.create_queue(QueueName=f"{name}-dev")["QueueUrl"]
            for name in ("payment-events", "payment-rows", "payment-events-dlq")
        )
        yield Cloud(dynamodb, sqs, s3, events, rows, dead_letters)


def _one_call_at_a_time(client: Any) -> None:
    """Give moto the atomic transactions of DynamoDB; it copies and swaps whole tables."""
    call, lock = client._make_api_call, threading.Lock()

    def call_alone(*arguments: Any) -> Any:
        with lock:
            return call(*arguments)

    client._make_api_call = call_alone


@pytest.fixture
def store(cloud: Cloud) -> PaymentStore:
    """The real store on an empty account."""
    return PaymentStore(cloud.dynamodb, TABLES, sleep=lambda _: None)


@pytest.fixture
def events(cloud: Cloud) -> MessageQueue:
    """The queue of payments by API."""
    return MessageQueue(cloud.sqs, cloud.events_url, sleep=lambda _: None)


@pytest.fixture
def rows(cloud: Cloud) -> MessageQueue:
    """The queue of rows."""
    return MessageQueue(cloud.sqs, cloud.rows_url, sleep=lambda _: None)


@pytest.fixture
def queues(events: MessageQueue, rows: MessageQueue) -> PaymentQueues:
    """Both queues of payments."""
    return PaymentQueues(events, rows)


@pytest.fixture
def intake(store: PaymentStore, queues: PaymentQueues) -> PaymentIntake:
    """The service behind the API on an empty account."""
    return PaymentIntake(store, queues)


@pytest.fixture
def services(
    cloud: Cloud,
    intake: PaymentIntake,
    operation_intake: OperationIntake,
    batch_store: BatchStore,
    store: PaymentStore,
    operation_store: OperationStore,
    queues: PaymentQueues,
) -> Services:
    """What requests are answered with, on an empty account."""
    lists = PaymentLists(cloud.dynamodb, TABLES.payments, sleep=lambda _: None)
    return Services(
        intake=intake,
        operations=operation_intake,
        listing=PaymentListing(lists, batch_store),
        batches=batch_store,
        reviews=Reviews(store, queues),
        refund_reviews=RefundReviews(store, operation_store, queues),
        waiting=WaitingList(store, operation_store, lists),
    )


@pytest.fixture
def objects(cloud: Cloud) -> ObjectStore:
    """The real object store on an empty account."""
    return ObjectStore(cloud.s3)


@pytest.fixture
def batch_store(cloud: Cloud) -> BatchStore:
    """What is known of batches, on an empty account."""
    return BatchStore(cloud.dynamodb, TABLES.processing_status)


@pytest.fixture
def dry_runs(cloud: Cloud) -> DryRunStore:
    """What dry runs ask and remember, on an empty account."""
    return DryRunStore(
        cloud.dynamodb,
        payments_table=TABLES.payments,
        processing_status_table=TABLES.processing_status,
        operations_table=TABLES.operations,
        sleep=lambda _: None,
    )


@pytest.fixture
def batches(
    objects: ObjectStore, rows: MessageQueue, batch_store: BatchStore, dry_runs: DryRunStore
) -> BatchProcessing:
    """The steps of a batch's workflow on an empty account, 50 bytes or so to a range."""
    return BatchProcessing(
        objects,
        rows,
        batch_store,
        dry_runs,
        "results",
        portions=Portions(range_bytes=50, plan_bytes=200),
    )


@pytest.fixture
def ledger(cloud: Cloud) -> SandboxLedger:
    """The sandbox's memory on an empty account."""
    return SandboxLedger(cloud.dynamodb, TABLES.processing_status)


@pytest.fixture
def charging(store: PaymentStore, ledger: SandboxLedger) -> Charging:
    """The real rules of charging, on the sandbox."""
    return Charging(store, SandboxGateway(ledger, sleep=lambda _: None))


@pytest.fixture
def workflow() -> Started:
    """A workflow that notes what is started."""
    return Started()


@pytest.fixture
def dead_letters(cloud: Cloud) -> MessageQueue:
    """The queue of what nobody can handle."""
    return MessageQueue(cloud.sqs, cloud.dead_letters_url)


@pytest.fixture
def operation_store(cloud: Cloud) -> OperationStore:
    """The real store of operations on an empty account."""
    return OperationStore(cloud.dynamodb, TABLES, sleep=lambda _: None)


@pytest.fixture
def operation_intake(
    store: PaymentStore, operation_store: OperationStore, queues: PaymentQueues
) -> OperationIntake:
    """What accepts operations, on an empty account."""
    return OperationIntake(store, operation_store, queues)


@pytest.fixture
def performing(store: PaymentStore, operation_store: OperationStore, cloud: Cloud) -> Performing:
    """The real rules of operations, on the sandbox."""
    ledger = SandboxOperationLedger(cloud.dynamodb, TABLES.processing_status)
    return Performing(store, operation_store, SandboxOperations(ledger))


@pytest.fixture
def operation_sweep(
    operation_store: OperationStore, queues: PaymentQueues, cloud: Cloud
) -> OperationSweep:
    """What finds operations that are due."""
    add_due_index(cloud.dynamodb)
    return OperationSweep(operation_store, queues)


@pytest.fixture
def refund_reviews(store: PaymentStore, operation_store: OperationStore) -> RefundReviewSweep:
    """What ends reviews of refunds."""
    return RefundReviewSweep(store, operation_store)


@pytest.fixture
def deliveries(
    delivery: Delivery,
    performing: Performing,
    operation_intake: OperationIntake,
    operation_store: OperationStore,
    workflow: Started,
    queues: PaymentQueues,
    dead_letters: MessageQueue,
    cloud: Cloud,
) -> Deliveries:
    """What messages are handled with, on an empty account and the sandbox."""
    operations = OperationDelivery(performing, workflow)
    return Deliveries(
        delivery=delivery,
        operations=operations,
        refund_rows=RefundRowDelivery(operation_intake, operation_store, operations),
        queues=queues,
        dead_letters=dead_letters,
        events=MessageQueue(cloud.sqs, cloud.events_url),
        rows=MessageQueue(cloud.sqs, cloud.rows_url),
    )


@pytest.fixture
def delivery(store: PaymentStore, charging: Charging, workflow: Started) -> Delivery:
    """The real rules for a message, on the sandbox."""
    return Delivery(store, charging, workflow)
