"""AWS in process (moto), and the real services and adapters on it."""

import os
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "test")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "payments-test")

from payments.aws.batches import BatchStore
from payments.aws.objects import ObjectStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueue
from payments.aws.sandbox_ledger import SandboxLedger
from payments.batches.steps import BatchProcessing
from payments.flows.charge import PaymentProcessing
from payments.flows.intake import PaymentIntake
from payments.gateways.sandbox import SandboxGateway
from tests.unit.cloud import TABLES, Cloud, create_table


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """One empty AWS account a test."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        for name, keys in (
            (TABLES.payments, {"payment_id": "S"}),
            (TABLES.processing_status, {"entity_id": "S", "sequence": "N"}),
            (TABLES.audit_logs, {"payment_id": "S", "sequence": "N"}),
        ):
            create_table(dynamodb, name, keys)
        s3 = boto3.client("s3")
        for bucket in ("files", "results"):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        sqs = boto3.client("sqs")
        queue_url = sqs.create_queue(QueueName="payment-events")["QueueUrl"]
        yield Cloud(dynamodb, sqs, s3, queue_url)


@pytest.fixture
def store(cloud: Cloud) -> PaymentStore:
    """The real store on an empty account."""
    return PaymentStore(cloud.dynamodb, TABLES, sleep=lambda _: None)


@pytest.fixture
def queue(cloud: Cloud) -> PaymentQueue:
    """The real queue adapter on an empty account."""
    return PaymentQueue(cloud.sqs, cloud.queue_url, sleep=lambda _: None)


@pytest.fixture
def intake(store: PaymentStore, queue: PaymentQueue) -> PaymentIntake:
    """The service behind the API on an empty account."""
    return PaymentIntake(store, queue)


@pytest.fixture
def objects(cloud: Cloud) -> ObjectStore:
    """The real object store on an empty account."""
    return ObjectStore(cloud.s3)


@pytest.fixture
def batch_store(cloud: Cloud) -> BatchStore:
    """What is known of batches, on an empty account."""
    return BatchStore(cloud.dynamodb, TABLES.processing_status)


@pytest.fixture
def batches(objects: ObjectStore, queue: PaymentQueue, batch_store: BatchStore) -> BatchProcessing:
    """The steps of a batch's workflow on an empty account, 50 bytes or so to a range."""
    return BatchProcessing(objects, queue, batch_store, "results", range_bytes=50, plan_bytes=200)


@pytest.fixture
def ledger(cloud: Cloud) -> SandboxLedger:
    """The sandbox's memory on an empty account."""
    return SandboxLedger(cloud.dynamodb, TABLES.processing_status)


@pytest.fixture
def processing(store: PaymentStore, ledger: SandboxLedger) -> PaymentProcessing:
    """The real rules of charging, on the sandbox."""
    return PaymentProcessing(store, SandboxGateway(ledger, sleep=lambda _: None))
