"""One AWS account in process, with the functions as they are wired in production, and its contents."""

import importlib
import json
import os
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import boto3
import moto.sqs.models
from moto import mock_aws
from moto.moto_api._internal import mock_random

import payments.core.clock
import payments.runtime
from lib.config import VERSION
from payments.telemetry.logs import logger
from tests.unit.cloud import TABLES, add_due_index, add_held_index, add_indexes, create_table

type State = dict[str, Any]
"""What an account holds, as JSON: the items of each table, ``objects`` and ``executions``."""

KEYS: Final = {
    TABLES.payments: {"payment_id": "S"},
    TABLES.processing_status: {"entity_id": "S", "sequence": "N"},
    TABLES.audit_logs: {"payment_id": "S", "sequence": "N"},
    TABLES.operations: {"payment_id": "S", "operation": "S"},
}
QUEUES: Final = {
    "PAYMENT_EVENTS_QUEUE_URL": "payment-events-dev",
    "PAYMENT_ROWS_QUEUE_URL": "payment-rows-dev",
    "PAYMENT_EVENTS_DLQ_URL": "payment-events-dlq-dev",
    "ANNOUNCEMENTS_DLQ_URL": "payment-announcements-dlq-dev",
}
MACHINES: Final = {
    "PAYMENT_WORKFLOW_ARN": "payment-workflow",
    "BATCH_WORKFLOW_ARN": "payment-batch-workflow",
}
FILES, RESULTS = "files", "results"

_ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "payments-test",
    "PAYMENTS_TABLE": TABLES.payments,
    "PROCESSING_STATUS_TABLE": TABLES.processing_status,
    "AUDIT_LOGS_TABLE": TABLES.audit_logs,
    "PAYMENT_OPERATIONS_TABLE": TABLES.operations,
    "BATCH_RESULTS_BUCKET": RESULTS,
    "PAYMENT_PROCESSOR": "sandbox",
    "REVIEW_ABOVE": "USD=10000.00",
}


@dataclass(slots=True)
class Account:
    """An account, and a clock that stands still between invocations."""

    clients: Any
    urls: dict[str, str]
    machines: dict[str, str]
    now: datetime = field(default=datetime(2026, 1, 1, tzinfo=UTC))

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function; return its answer, or the name of its error as Step Functions sees it."""
        handler = importlib.import_module(function.replace("-", "_")).handler
        context = SimpleNamespace(
            function_name=function,
            memory_limit_in_mb=512,
            invoked_function_arn=f"arn:aws:lambda:us-east-1:123456789012:function:{function}",
            aws_request_id="4f8e6f0e-7b1c-4c8e-9d0a-0123456789ab",
            get_remaining_time_in_millis=lambda: 30_000,
        )
        clock = SimpleNamespace(now=lambda _zone: self.now)
        with patch.object(payments.core.clock, "datetime", clock):
            try:
                # As JSON, so that nothing but JSON passes between functions and AWS.
                return json.loads(json.dumps(handler(json.loads(json.dumps(event)), context)))
            except Exception as error:  # noqa: BLE001 - a function may raise whatever it likes
                return {"raised": type(error).__name__}

    def state(self) -> State:
        """Return all that the account holds."""
        tables = {
            table: sorted(self.clients.dynamodb.scan(TableName=table)["Items"], key=json.dumps)
            for table in KEYS
        }
        return tables | {
            "objects": list(self.objects()),
            "executions": list(self.executions()),
        }

    def executions(self) -> Iterator[dict[str, str]]:
        """Yield what was started, the newest last."""
        for name, arn in self.machines.items():
            listed = self.clients.sfn.list_executions(stateMachineArn=arn)["executions"]
            for each in sorted(listed, key=lambda execution: execution["startDate"]):
                described = self.clients.sfn.describe_execution(executionArn=each["executionArn"])
                yield {"machine": name, "name": each["name"], "input": described["input"]}

    def objects(self) -> Iterator[dict[str, str]]:
        """Yield every object, with its version and its text."""
        s3 = self.clients.s3
        for bucket in (FILES, RESULTS):
            for each in s3.list_object_versions(Bucket=bucket).get("Versions", ()):
                which = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
                found = s3.get_object(**which)
                yield which | {"Body": found["Body"].read().decode()}

    def load(self, state: State) -> None:
        """Put into an empty account what another one held."""
        for table in KEYS:
            for item in state[table]:
                self.clients.dynamodb.put_item(TableName=table, Item=item)
        for each in state["objects"]:
            # A batch is known by the version of its file.
            with patch.object(mock_random, "uuid4", return_value=each["VersionId"]):
                self.clients.s3.put_object(
                    Bucket=each["Bucket"], Key=each["Key"], Body=each["Body"].encode()
                )
        for each in state["executions"]:
            self.clients.sfn.start_execution(
                stateMachineArn=self.machines[each["machine"]],
                name=each["name"],
                input=each["input"],
            )

    def sent(self) -> dict[str, list[str]]:
        """Take every message from every queue, those that are put off included."""
        found: dict[str, list[str]] = {}
        for name, url in self.urls.items():
            # A message may be put off for minutes: only moto's own list has it now.
            queue = self.clients.queue(url)
            bodies = [message.body for message in queue._messages]
            queue._messages.clear()
            queue.pending_messages.clear()
            if bodies:
                found[name] = bodies
        return found


@contextmanager
def account() -> Iterator[Account]:
    """Open an empty account, on which the functions run."""
    with patch.dict(os.environ, _ENVIRONMENT), mock_aws():
        dynamodb = boto3.client("dynamodb")
        for table, keys in KEYS.items():
            create_table(dynamodb, table, keys)
        add_indexes(dynamodb, TABLES.payments)
        add_held_index(dynamodb, TABLES.payments)
        add_due_index(dynamodb)
        s3, sqs, sns = boto3.client("s3"), boto3.client("sqs"), boto3.client("sns")
        for bucket in (FILES, RESULTS):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        urls = {}
        for variable, name in QUEUES.items():
            os.environ[variable] = urls[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
        urls["announced"] = sqs.create_queue(QueueName="announced")["QueueUrl"]
        topic = os.environ["NOTIFICATIONS_TOPIC_ARN"] = sns.create_topic(Name="news")["TopicArn"]
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint="arn:aws:sqs:us-east-1:123456789012:announced",
            Attributes={"RawMessageDelivery": "true"},
        )
        sfn, machines = boto3.client("stepfunctions"), {}
        for variable, name in MACHINES.items():
            machines[name] = os.environ[variable] = sfn.create_state_machine(
                name=name,
                definition=json.dumps(
                    {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}
                ),
                roleArn="arn:aws:iam::123456789012:role/workflow",
            )["stateMachineArn"]
        # Versions of objects are drawn; a recording that is made again differs only where it must.
        mock_random.seed(VERSION)
        level = logger.log_level
        logger.setLevel("CRITICAL")
        _forget_wiring()
        try:
            yield Account(
                SimpleNamespace(dynamodb=dynamodb, s3=s3, sfn=sfn, queue=_moto_queue),
                urls,
                machines,
            )
        finally:
            _forget_wiring()
            logger.setLevel(level)


def _moto_queue(url: str) -> Any:
    backend = moto.sqs.models.sqs_backends["123456789012"]["us-east-1"]
    return backend.queues[url.rpartition("/")[2]]


def _forget_wiring() -> None:
    """Let the functions make their clients and stores anew, as in a new execution environment."""
    for each in pkgutil.iter_modules(payments.runtime.__path__):
        module = importlib.import_module(f"payments.runtime.{each.name}")
        for name in dir(module):
            if hasattr(found := getattr(module, name), "cache_clear"):
                found.cache_clear()
