"""``make cost-record``: run real payments in process and write down every call they make.

Three functions, as they are deployed, work on moto's DynamoDB, SQS and S3; the states of the
workflow call them in turn as Step Functions would when nothing fails. What is written down per
payment: the calls by service and operation, DynamoDB's units by AWS's rules of rounding, bytes in
messages and logs, and invocations of each function.
"""

import contextlib
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws

from benchmarks.measurement import REPOSITORY
from local import surroundings
from payments.aws.keys import SANDBOX_OPERATION_PREFIX, SANDBOX_PREFIX

RECORD: Final = REPOSITORY / "benchmarks/recorded.json"
API_PAYMENTS: Final = 100
BATCH_PAYMENTS: Final = 100

_ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "recording",
    "AWS_SECRET_ACCESS_KEY": "recording",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_SERVICE_NAME": "recording",
    "POWERTOOLS_METRICS_NAMESPACE": "payments-recording",
    "PAYMENTS_TABLE": "payments",
    "PROCESSING_STATUS_TABLE": "processing-status",
    "AUDIT_LOGS_TABLE": "audit-logs",
    "PAYMENT_OPERATIONS_TABLE": "payment-operations",
    "PAYMENT_PROCESSOR": "sandbox",
    "REVIEW_ABOVE": "",
    "BATCH_RESULTS_BUCKET": "results",
    "BATCH_WORKFLOW_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:batch",
    "PAYMENT_WORKFLOW_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:payment",
}
_QUEUES: Final = (
    "PAYMENT_EVENTS_QUEUE_URL",
    "PAYMENT_ROWS_QUEUE_URL",
    "PAYMENT_EVENTS_DLQ_URL",
    "ANNOUNCEMENTS_DLQ_URL",
)
_TABLES: Final = {
    "payments": {"payment_id": "S"},
    "processing-status": {"entity_id": "S", "sequence": "N"},
    "audit-logs": {"payment_id": "S", "sequence": "N"},
    "payment-operations": {"payment_id": "S", "operation": "S"},
}
_WRITE_UNIT: Final = 1024
_READ_UNIT: Final = 4096


class Recorder:
    """Counts what goes over the wire of every client that is made while it records."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._stored: dict[str, dict[str, int]] = {}
        """The bytes of each attribute of each item that was written."""
        self._due: dict[str, Any] = {}
        """When each operation is looked at again."""

    def watch(self, client: Any) -> Any:
        """Count the calls of a client; executions are started nowhere."""
        events = client.meta.events
        events.register("provide-client-params.*.*", self._on_call)
        events.register_first("before-send.sfn.StartExecution", _started)
        return client

    def _on_call(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        service = model.service_model.service_name
        self.counts[f"{service}.{model.name}"] += 1
        if model.name == "TransactWriteItems":
            for action in params["TransactItems"]:
                [(kind, write)] = action.items()
                self._count_write(write, self._size_of_write(kind, write), transactional=True)
        elif model.name in {"PutItem", "UpdateItem"}:
            kind = model.name.removesuffix("Item")
            self._count_write(params, self._size_of_write(kind, params), transactional=False)
        elif model.name in {"GetItem", "Query"}:
            # All that is read here fits into one unit; consistent reads cost a whole one.
            self.counts["dynamodb read units"] += 1

    def _count_write(self, write: Mapping[str, Any], size: int, *, transactional: bool) -> None:
        table = write["TableName"]
        key = str(write.get("Key", ""))
        if SANDBOX_PREFIX in key or SANDBOX_OPERATION_PREFIX in key:
            # The sandbox's memory, which a real payment processor keeps for itself.
            self.counts["sandbox writes, left out"] += 1
            return
        units = -(-size // _WRITE_UNIT) * (2 if transactional else 1)
        self.counts[f"dynamodb write units of {table}"] += units
        self.counts["dynamodb bytes written"] += size
        # Into the index of open payments, and out of it; between the two its keys stay.
        if "open_shard" in str(write.get("Item", "")) or "open_shard" in str(
            write.get("UpdateExpression", "")
        ):
            self.counts[f"dynamodb write units of {table} index"] += 1
        self._count_due(write)
        # Into the index of all payments by time, where it stays as it is.
        if "time_shard" in write.get("Item", {}):
            self.counts[f"dynamodb write units of {table} by-time index"] += 1

    def _count_due(self, write: Mapping[str, Any]) -> None:
        """Count what moves in the index of operations that are due: out of one place, into another."""
        item = write.get("Item", {})
        if "operation" not in item:
            return
        key = _key_of(write["TableName"], item)
        before, after = self._due.get(key), item.get("due_at")
        self._due[key] = after
        if before != after:
            moves = (before is not None) + (after is not None)
            self.counts[f"dynamodb write units of {write['TableName']} index"] += moves

    def _size_of_write(self, kind: str, write: Mapping[str, Any]) -> int:
        """Return how many bytes an item has after a write, or a few more.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
        """
        if kind == "ConditionCheck":
            return (
                sum(self._stored.get(_key_of(write["TableName"], write["Key"]), {}).values()) or 1
            )
        if kind == "Put":
            sizes = {name: _size(name, value) for name, value in write["Item"].items()}
            key = _key_of(write["TableName"], write["Item"])
        else:
            key = _key_of(write["TableName"], write["Key"])
            changes = {
                name.removeprefix(":"): value
                for name, value in write.get("ExpressionAttributeValues", {}).items()
            }
            sizes = self._stored.get(key, {}) | {
                name: _size(name, value) for name, value in changes.items()
            }
        self._stored[key] = sizes
        return sum(sizes.values())


def _key_of(table: str, item: Mapping[str, Any]) -> str:
    return json.dumps([table, *(item.get(name) for name in _TABLES[table])])


def _size(name: str, value: Any) -> int:
    # JSON has the text of a value, and some signs more than are stored.
    return len(name) + len(json.dumps(value))


def _started(**_: Any) -> AWSResponse:
    body = json.dumps({"executionArn": "arn:aws:states:::execution:x:y", "startDate": 0})
    return AWSResponse("https://states", 200, HTTPHeaders(), _Body(body.encode()))


class _Body(io.BytesIO):
    """What botocore reads an answer from."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


@contextlib.contextmanager
def _cloud(recorder: Recorder) -> Iterator[SimpleNamespace]:
    """An empty account in process, and the functions on it."""
    surroundings.forget_aws(os.environ)
    os.environ.update(_ENVIRONMENT)
    with mock_aws():
        dynamodb, sqs, s3 = boto3.client("dynamodb"), boto3.client("sqs"), boto3.client("s3")
        for table, keys in _TABLES.items():
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": kind}  # type: ignore[typeddict-item]  # "S" or "N"
                    for name, kind in keys.items()
                ],
                KeySchema=[
                    {"AttributeName": name, "KeyType": role}  # type: ignore[typeddict-item]  # in this order
                    for name, role in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
            )
        for bucket in ("files", "results"):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for variable in _QUEUES:
            os.environ[variable] = sqs.create_queue(QueueName=variable.lower())["QueueUrl"]
        topic = boto3.client("sns").create_topic(Name="notifications")
        os.environ["NOTIFICATIONS_TOPIC_ARN"] = topic["TopicArn"]
        from payments.runtime import clients as runtime_clients  # noqa: PLC0415 - reads the above

        make = runtime_clients.client
        clients: dict[str, Any] = {}

        def watched(service: str) -> Any:
            if service not in clients:
                clients[service] = recorder.watch(make(service))
            return clients[service]

        runtime_clients.client = watched  # type: ignore[assignment]  # stands in for it
        import api_handler  # noqa: PLC0415 - they take the function that is set above
        import batch_processor  # noqa: PLC0415 - likewise
        import event_publisher  # noqa: PLC0415 - likewise
        import payment_processor  # noqa: PLC0415 - likewise

        # One message after the other, so that each run counts the same.
        payment_processor._pool = ThreadPoolExecutor(1)  # type: ignore[misc]  # noqa: SLF001 - it is

        yield SimpleNamespace(
            sqs=sqs,
            s3=s3,
            dynamodb=dynamodb,
            queue_urls=[os.environ[variable] for variable in _QUEUES[:2]],
            handlers={
                "api-handler": api_handler.handler,
                "batch-processor": batch_processor.handler,
                "payment-processor": payment_processor.handler,
                "event-publisher": event_publisher.handler,
            },
        )


class _Run:
    """One kind of payments, from their beginning to their announcement."""

    def __init__(self, cloud: SimpleNamespace, recorder: Recorder, log: io.StringIO) -> None:
        self._cloud = cloud
        self._recorder = recorder
        self._log = log
        self._announced = 0

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        context = SimpleNamespace(
            function_name=function,
            memory_limit_in_mb=512,
            invoked_function_arn=f"arn:aws:lambda:us-east-1:123456789012:function:{function}",
            aws_request_id="4f8e6f0e-7b1c-4c8e-9d0a-0123456789ab",
            get_remaining_time_in_millis=lambda: 30_000,
        )
        self._recorder.counts[f"invocations of {function}"] += 1
        before = self._log.tell()
        answer = self._cloud.handlers[function](event, context)
        self._recorder.counts["bytes logged"] += self._log.tell() - before
        return answer

    def pay_over_http(self, payments: int) -> None:
        event = json.loads((REPOSITORY / "tests/events/api_post_payment.json").read_text())
        for number in range(payments):
            event["body"] = json.dumps(
                {"payment_id": f"pay_{number:09}", "amount": "99.99", "currency": "USD"}
            )
            answer = self.invoke("api-handler", event)
            if answer["statusCode"] != 202:  # noqa: PLR2004 - accepted
                raise RuntimeError(answer["body"])
        # Under load, the mapping takes ten messages at a time.
        self.work_off_queues()
        self.announce()

    def refund_over_http(self, refunds: int) -> None:
        for number in range(refunds):
            event = {
                "httpMethod": "POST",
                "resource": "/payments/{payment_id}/refunds",
                "pathParameters": {"payment_id": f"pay_{number:09}"},
                "headers": {"Content-Type": "application/json"},
                "body": json.dumps({"refund_id": "refund_1", "amount": "9.99"}),
            }
            answer = self.invoke("api-handler", event)
            if answer["statusCode"] != 202:  # noqa: PLR2004 - accepted
                raise RuntimeError(answer["body"])
        self.work_off_queues()
        self.announce()

    def pay_by_file(self, rows: int) -> None:
        lines = [f"row_{number:09},{number}.50,EUR" for number in range(1, rows + 1)]
        self.send("a.csv", ["payment_id,amount,currency", *lines])

    def refund_by_file(self, rows: int) -> None:
        lines = [f"row_{number:09},refund_1,1.00," for number in range(1, rows + 1)]
        self.send("refunds/a.csv", ["payment_id,refund_id,amount,reason", *lines])

    def send(self, key: str, lines: list[str]) -> None:
        """Carry a file through, from its upload to its end."""
        body = "\n".join(lines).encode()
        version = self._cloud.s3.put_object(Bucket="files", Key=key, Body=body)["VersionId"]
        batch = {"batch_id": "", "bucket": "files", "key": key, "version_id": version}
        plan = self.invoke(
            "batch-processor", {"action": "plan", "batch": batch, "size": len(body), "before": None}
        )
        for part in plan["ranges"]:
            step = {"action": "range", "batch": batch, "columns": plan["columns"], "range": part}
            self.invoke("batch-processor", step)
        self.work_off_queues()
        self.announce()
        follow = {
            "action": "follow",
            "batch": batch,
            "waited_seconds": 0,
            "reported": {"shards": 0, "files": 0},
        }
        if not self.invoke("batch-processor", follow)["settled"]:
            raise RuntimeError("the batch did not come to its end")

    def work_off_queues(self) -> None:
        for url in self._cloud.queue_urls:
            while messages := self._cloud.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10
            ).get("Messages"):
                self._work_off(url, messages)

    def _work_off(self, url: str, messages: list[Any]) -> None:
        # Lambda's own poller receives and deletes ten at once.
        self._recorder.counts["sqs.ReceiveMessage"] += 1
        self._recorder.counts["sqs.DeleteMessageBatch"] += 1
        records = [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {"ApproximateReceiveCount": "1"},
                "eventSourceARN": f"arn:aws:sqs:us-east-1:1:{url.rpartition('/')[2]}",
            }
            for message in messages
        ]
        answer = self.invoke("payment-processor", {"Records": records})
        if answer["batchItemFailures"]:
            raise RuntimeError("a message was not handled")
        for message in messages:
            self._cloud.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            self._recorder.counts["message bytes"] += len(message["Body"])

    def announce(self) -> None:
        """Let the stream bring every record that is an event to the publisher, 100 at a time."""
        items = self._cloud.dynamodb.scan(TableName="audit-logs")["Items"]
        events = [item for item in items if "event_type" in item][self._announced :]
        self._announced += len(events)
        for chunk in batched(events, 100):
            records = [
                {
                    "eventName": "INSERT",
                    "dynamodb": {"SequenceNumber": str(number), "NewImage": item},
                }
                for number, item in enumerate(chunk)
            ]
            if self.invoke("event-publisher", {"Records": records})["batchItemFailures"]:
                raise RuntimeError("an event was not announced")


def record() -> dict[str, dict[str, float]]:
    """Return the counts per payment and per refund, by API and by file."""
    recorder = Recorder()
    recorded: dict[str, dict[str, float]] = {}
    # From before the functions are imported: their logger keeps the stream that it finds.
    with contextlib.redirect_stdout(io.StringIO()) as log, _cloud(recorder) as cloud:
        run = _Run(cloud, recorder, log)
        run.pay_over_http(API_PAYMENTS)
        recorded["api"] = _per_payment(recorder.counts, API_PAYMENTS)
        recorder.counts.clear()
        run.pay_by_file(BATCH_PAYMENTS)
        recorded["batch"] = _per_payment(recorder.counts, BATCH_PAYMENTS)
        recorder.counts.clear()
        run.refund_over_http(API_PAYMENTS)
        recorded["refund"] = _per_payment(recorder.counts, API_PAYMENTS)
        recorder.counts.clear()
        run.refund_by_file(BATCH_PAYMENTS)
        recorded["refund row"] = _per_payment(recorder.counts, BATCH_PAYMENTS)
    return recorded


def _per_payment(counts: Counter[str], payments: int) -> dict[str, float]:
    return {name: round(count / payments, 3) for name, count in sorted(counts.items())}


def main() -> int:
    """Record, and write the record into the repository."""
    RECORD.write_text(f"{json.dumps(record(), indent=2)}\n")
    print(f"Written to {Path(RECORD).relative_to(REPOSITORY)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
