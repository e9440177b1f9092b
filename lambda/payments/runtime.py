"""What a function runs on: settings from its environment, AWS clients, logger."""

import json
import os
from functools import cache, partial
from typing import Any, Final

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from payments.batch import CALLS_IN_FLIGHT, BatchProcessing
from payments.batch_store import BatchStore
from payments.events import PaymentQueue, Workflow
from payments.gateway import SandboxGateway
from payments.objects import ObjectStore
from payments.service import PaymentDispatch, PaymentIntake, PaymentProcessing, PaymentSweep
from payments.store import PaymentStore, SandboxLedger, Tables
from payments.tally import count_payment
from payments.tracing import annotate

_POWERTOOLS: Final = frozenset(
    {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}
)
_TABLES: Final = frozenset({"PAYMENTS_TABLE", "PROCESSING_STATUS_TABLE", "AUDIT_LOGS_TABLE"})

SETTINGS: Final[dict[str, frozenset[str]]] = {
    "api-handler": _POWERTOOLS | _TABLES | {"PAYMENT_EVENTS_QUEUE_URL"},
    "batch-processor": _POWERTOOLS
    | {
        "PROCESSING_STATUS_TABLE",
        "PAYMENT_EVENTS_QUEUE_URL",
        "BATCH_RESULTS_BUCKET",
        "BATCH_WORKFLOW_ARN",
    },
    "payment-processor": _POWERTOOLS
    | _TABLES
    | {"PAYMENT_EVENTS_QUEUE_URL", "PAYMENT_WORKFLOW_ARN"},
}
"""The environment variables that each function reads; the stack sets exactly these."""

# All but ASCII is escaped: some readers of logs end lines at U+2028, or heed what turns text around.
logger = Logger(json_serializer=partial(json.dumps, default=str, separators=(",", ":")))


def about_payment(payment_id: str) -> None:
    """Let log lines and the trace from here on be found by a payment's id."""
    logger.append_keys(payment_id=payment_id)
    annotate("payment_id", payment_id)


# One answer that takes too long must leave time for another try within a function's timeout.
_CLIENT_CONFIG: Final = Config(
    connect_timeout=1,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=CALLS_IN_FLIGHT,
)


@cache
def payment_intake() -> PaymentIntake:
    """Return the service behind the API."""
    return PaymentIntake(_payment_store(), payment_queue(), tally=count_payment)


@cache
def payment_dispatch() -> PaymentDispatch:
    """Return the service behind the queue."""
    workflow = _workflow("PAYMENT_WORKFLOW_ARN")
    return PaymentDispatch(_payment_store(), workflow, tally=count_payment)


@cache
def payment_processing() -> PaymentProcessing:
    """Return the service behind the workflow's steps."""
    ledger = SandboxLedger(_client("dynamodb"), _setting("PROCESSING_STATUS_TABLE"))
    return PaymentProcessing(_payment_store(), SandboxGateway(ledger), tally=count_payment)


@cache
def payment_sweep() -> PaymentSweep:
    """Return what finds stuck payments."""
    return PaymentSweep(_payment_store(), payment_queue())


@cache
def batch_workflow() -> Workflow:
    """Return the workflow that carries a batch through."""
    return _workflow("BATCH_WORKFLOW_ARN")


@cache
def batch_processing() -> BatchProcessing:
    """Return the service behind the steps of a batch's workflow."""
    return BatchProcessing(
        ObjectStore(_client("s3")), payment_queue(), batch_store(), _setting("BATCH_RESULTS_BUCKET")
    )


@cache
def batch_store() -> BatchStore:
    """Return what is known of batches."""
    return BatchStore(_client("dynamodb"), _setting("PROCESSING_STATUS_TABLE"))


@cache
def payment_queue() -> PaymentQueue:
    """Return the queue of payment events."""
    return PaymentQueue(_client("sqs"), _setting("PAYMENT_EVENTS_QUEUE_URL"))


@cache
def _payment_store() -> PaymentStore:
    tables = Tables(
        payments=_setting("PAYMENTS_TABLE"),
        processing_status=_setting("PROCESSING_STATUS_TABLE"),
        audit_logs=_setting("AUDIT_LOGS_TABLE"),
    )
    return PaymentStore(_client("dynamodb"), tables)


def _workflow(setting: str) -> Workflow:
    return Workflow(_client("stepfunctions"), _setting(setting))


@cache
def _client(service: Any) -> Any:
    return boto3.client(service, config=_CLIENT_CONFIG)


def _setting(name: str) -> str:
    return os.environ[name]
