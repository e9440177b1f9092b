"""What the roles are for, each scenario with payments and files of its own.

Where it can, a scenario calls a function directly with the event it would get: the function acts by
its own role all the same, and a refusal shows at once instead of after its retries.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from local.api import PaymentsApi
from local.deployment import Deployment
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore, Tables
from payments.batches.batch import Batch, ObjectVersion
from payments.core.asking import Asked
from payments.core.clock import utc_now, utc_text
from payments.core.content import Capture, Content, RefundContent
from payments.core.messages import PaymentMessage, encode_message, refund_row_message
from payments.core.operation import OperationKind
from payments.core.payment import PaymentRequest
from payments.core.review import ReviewLimits
from payments.flows.operations import OperationIntake
from tests.e2e.environment import Environment, eventually

PATIENCE: Final = 20.0
"""Seconds for what takes a few when everything is allowed."""
WORKFLOW_PATIENCE: Final = 120.0
"""Seconds for a whole workflow, which is slow on a busy machine, and slow is not refused."""

_STREAM_EVENT: Final = Path(__file__).parents[1] / "events/dynamodb_stream.json"

REFUNDS_CSV: Final = "payment_id,refund_id,amount,reason\n"
CSV: Final = "payment_id,amount,currency\n"

_LONG_AGO: Final = utc_text(datetime(2026, 1, 1, tzinfo=UTC))
"""When a payment was accepted that a sweep finds stuck."""


class Scenarios:
    """Every scenario in one deployed environment; each raises if it did not come to its end."""

    def __init__(self, deployment: Deployment) -> None:
        self._environment = Environment(deployment)
        self._outputs = self._environment.outputs
        self._clients = self._environment.clients
        self._api = PaymentsApi(deployment.api_url_by_path, authority=deployment.emulator.authority)
        tables = Tables(
            payments=self._outputs["payments_table"],
            processing_status=self._outputs["processing_status_table"],
            audit_logs=self._outputs["audit_logs_table"],
            operations=self._outputs["payment_operations_table"],
        )
        self._store = PaymentStore(self._clients.dynamodb, tables)
        self._operations = OperationStore(self._clients.dynamodb, tables)

    def of_role(self, role: str) -> tuple[Callable[[], None], ...]:
        """Return the scenarios that need something of a role, the quickest first."""
        return {
            "api-handler": (
                self.pays_over_http,
                self.looks_a_batch_up,
                self.lists_payments,
                self.refunds_over_http,
                self.lists_what_waits_for_a_person,
                self.cancels_the_row_of_a_file,
                self.sends_the_row_of_a_file_again,
            ),
            "batch-processor": (
                self.carries_a_file_through,
                self.tells_what_a_file_would_not_pay,
                self.tells_what_a_file_would_not_refund,
                self.tells_that_a_file_is_gone,
                self.records_a_failed_batch,
                self.starts_a_batch_twice,
            ),
            "payment-processor": (
                self.charges,
                self.settles,
                self.handles_a_row_twice,
                self.refunds_a_row_and_refuses_one,
                self.sends_again_what_is_busy,
                self.hands_over_to_the_workflow,
                self.performs_a_refund,
                self.sweeps,
                self.releases_what_has_expired,
                self.sets_a_hopeless_message_aside,
            ),
            "event-publisher": (self.announces, self.sets_a_damaged_record_aside),
            "payment-sweep": (self.sweeps_by_schedule,),
            "payment-workflow": (self.carries_a_payment_on,),
            "payment-batch-workflow": (
                self.pays_a_file_to_the_end,
                self.sets_a_hopeless_batch_aside,
            ),
        }[role]

    # --- API handler

    def pays_over_http(self) -> None:
        payment = _payment()
        assert self._api.submit(payment).status == 202
        assert self._api.submit(payment).status == 200
        answer = self._api.payment(str(payment["payment_id"]))
        assert answer.status == 200
        assert answer.json()["history"]

    def looks_a_batch_up(self) -> None:
        assert self._api.request("GET", f"/batches/batch_{'0' * 32}").status == 404

    def lists_payments(self) -> None:
        """By both indexes: of all payments, and of those that are open."""
        self._stored(100)
        for query in ("limit=1", "status=PENDING"):
            answer = self._api.request("GET", f"/payments?{query}")
            assert answer.status == 200, answer.json()
            assert answer.json()["data"]

    def refunds_over_http(self) -> None:
        payment_id = self._charged(100)
        path, refund = f"/payments/{payment_id}/refunds", {"refund_id": "r1", "amount": "0.40"}
        assert self._api.request("POST", path, body=refund).status == 202
        assert self._api.request("POST", path, body=refund).status == 200
        assert self._api.request("GET", f"{path}/r1").status == 200
        assert self._api.payment(payment_id).json()["operations"]

    def lists_what_waits_for_a_person(self) -> None:
        """A refund, which is in an index of its own, and its payment."""
        # What waits for a person goes to no queue.
        queue: Any = None
        careful = OperationIntake(
            self._store, self._operations, queue, limits=ReviewLimits({"USD": 1})
        )
        refund = Asked(
            kind=OperationKind.REFUND,
            payment_id=self._charged(100),
            operation_id="r1",
            source="api",
            correlation_id="iam-mutants",
        )
        assert careful.refund(refund)[0].status == "IN_REVIEW"
        answer = self._api.request("GET", "/reviews")
        assert answer.status == 200, answer.json()
        assert refund.payment_id in {each["payment_id"] for each in answer.json()["data"]}

    def cancels_the_row_of_a_file(self) -> None:
        payment_id = self._stored(100, source=_new_row())
        answer = self._api.request("POST", f"/payments/{payment_id}/cancel", body={})
        assert answer.status == 200, answer.json()

    def sends_the_row_of_a_file_again(self) -> None:
        """A payment that nobody works on yet goes back to the queue that it came from."""
        payment = _payment()
        self._stored(100, source=_new_row(), payment_id=str(payment["payment_id"]))
        assert self._api.submit(payment).status == 200

    # --- batch processor

    def carries_a_file_through(self) -> None:
        """One row is paid, one is rejected, and one is not paid: every kind of report."""
        paid = f"{_new_id()},1.00,USD\n"
        batch, size = self._upload("by-hand.csv", f"{CSV}{paid}{paid}a b,1,USD\n")
        plan = self._step(batch, action="plan", size=size, before=None)
        [part] = plan["ranges"]
        self._step(batch, action="range", columns=plan["columns"], range=part)

        reported = {"shards": 0, "files": 0}

        def settled() -> dict[str, Any] | None:
            answer = self._step(batch, action="follow", waited_seconds=1, reported=reported)
            reported.update(answer.get("reported", {}))
            return answer if answer["settled"] else None

        announced = eventually(settled, patience=PATIENCE)["notification"]["batch"]
        ended = json.loads(self._read(announced["reports"]["summary"]))
        assert (ended["completed"], ended["duplicate"], ended["rejected"]) == (1, 1, 1)
        for report in (*ended["reports"]["rejected"], *ended["reports"]["not_paid"]):
            assert self._read(report)

    def tells_what_a_file_would_not_pay(self) -> None:
        """In a dry run: of a payment that is there, and of a row that is there twice."""
        rows = f"{self._stored(100)},1.00,USD\n" + 2 * f"{_new_id()},1.00,USD\n"
        batch, size = self._upload("dry-run/by-hand.csv", CSV + rows)
        plan = self._step(batch, action="plan", size=size, before=None)
        [part] = plan["ranges"]
        self._step(batch, action="range", columns=plan["columns"], range=part)
        reported = {"shards": 0, "files": 0}
        ended = self._step(batch, action="follow", waited_seconds=1, reported=reported)
        told = json.loads(self._read(ended["notification"]["batch"]["reports"]["summary"]))
        assert (told["accepted"], told["duplicate"]) == (3, 2)

    def tells_what_a_file_would_not_refund(self) -> None:
        """In a dry run: of one that is allowed, once more, and more than is left."""
        payment_id = self._stored(9999)
        self._finish("charge", payment_id)
        rows = (
            2 * f"{payment_id},r1,1.00,\n" + f"{payment_id},r2,99.00,\n" + f"{_new_id()},r1,1.00,\n"
        )
        batch, size = self._upload("dry-run/refunds/by-hand.csv", REFUNDS_CSV + rows)
        plan = self._step(batch, action="plan", size=size, before=None)
        [part] = plan["ranges"]
        self._step(batch, action="range", columns=plan["columns"], range=part)
        reported = {"shards": 0, "files": 0}
        ended = self._step(batch, action="follow", waited_seconds=1, reported=reported)
        told = json.loads(self._read(ended["notification"]["batch"]["reports"]["summary"]))
        assert (told["accepted"], told["duplicate"], told["refused"]) == (4, 1, 2)

    def tells_that_a_file_is_gone(self) -> None:
        batch, size = self._upload("gone.csv", CSV)
        source = batch.source
        self._clients.s3.delete_object(
            Bucket=source.bucket, Key=source.key, VersionId=source.version_id
        )
        assert self._step(batch, action="plan", size=size, before=None)["ranges"] == []

    def records_a_failed_batch(self) -> None:
        # Of no upload, which would start a workflow that ends it otherwise.
        batch = Batch(ObjectVersion(self._outputs["batch_bucket"], "failed.csv", _new_id()))
        notification = self._step(batch, action="fail")["notification"]
        assert notification["batch"]["status"] == "FAILED"

    def starts_a_batch_twice(self) -> None:
        batch, size = self._upload("dry-run/twice.csv", f"{CSV}{_new_id()},1.00,USD\n")
        uploaded = {
            "key": batch.source.key,
            "size": size,
            "versionId": batch.source.version_id,
        }
        event = {"Records": [{"s3": {"bucket": {"name": batch.source.bucket}, "object": uploaded}}]}
        for _ in range(2):
            self._invoke("batch-processor", event)

    # --- payment processor

    def charges(self) -> None:
        assert self._finish("charge", self._stored(9999))["status"] == "COMPLETED"

    def settles(self) -> None:
        """Of a row of a batch, whose end is counted."""
        payment_id = self._stored(50003, source=f"batch:batch_{'0' * 32}:2")
        assert self._finish("settle", payment_id)["status"] == "FAILED"

    def sweeps(self) -> None:
        self._stored(100, at=_LONG_AGO)
        assert self._invoke("payment-processor", {"action": "sweep"})["stuck"] >= 1

    def performs_a_refund(self) -> None:
        payment_id = self._charged(100)
        refund = {"refund_id": "r1", "amount": "0.40"}
        path = f"/payments/{payment_id}/refunds"
        assert self._api.request("POST", path, body=refund).status == 202
        done = self._finish("perform", payment_id, operation="refund", operation_id="r1")
        assert done["status"] == "COMPLETED"

    def releases_what_has_expired(self) -> None:
        """The authorisation's time is over, says the table; the sweep looks whether it was released."""
        payment_id = self._stored(100, capture="manual")
        assert self._finish("charge", payment_id)["status"] == "AUTHORIZED"
        self._clients.dynamodb.update_item(
            TableName=self._outputs["payments_table"],
            Key={"payment_id": {"S": payment_id}},
            UpdateExpression="SET capture_before = :past",
            ExpressionAttributeValues={":past": {"S": _LONG_AGO}},
        )
        assert self._invoke("payment-processor", {"action": "sweep"})["expired"] >= 1

    def handles_a_row_twice(self) -> None:
        """Once as itself, once more as itself, and once as another row's duplicate."""
        payment_id, row = _new_id(), _new_row()
        for source in (row, row, _new_row()):
            self._handle(_message(payment_id, 100, source))

    def refunds_a_row_and_refuses_one(self) -> None:
        """Of a file: one that is allowed, and more than is left."""
        payment_id = self._stored(9999)
        self._finish("charge", payment_id)
        for line, amount in ((2, "60.00"), (3, "60.00")):
            content = RefundContent(payment_id, f"r{line}", amount)
            batch_id = f"batch_{uuid.uuid4().hex}"
            self._handle(encode_message(refund_row_message(batch_id, line, content)))
        payment = self._store.get(payment_id)
        assert payment is not None
        assert (payment.amounts.refunded, payment.amounts.refundable) == (6000, 3999)

    def sends_again_what_is_busy(self) -> None:
        """To each of the queues; the sandbox is busy once for this amount."""
        for source in (_new_row(), "api"):
            payment_id = self._stored(50005, source=source)
            self._handle(_message(payment_id, 50005, source))

    def hands_over_to_the_workflow(self) -> None:
        """The sandbox is unavailable once for this amount."""
        self._handle(_message(_new_id(), 50001, _new_row()))

    def sets_a_hopeless_message_aside(self) -> None:
        text = f"no payment {uuid.uuid4().hex}"
        self._handle(text)
        self._dead_letter(lambda body: body == text, patience=PATIENCE)

    # --- event publisher

    def announces(self) -> None:
        self._publish(self._event())

    def sets_a_damaged_record_aside(self) -> None:
        event = self._event()
        del event["Records"][-1]["dynamodb"]["NewImage"]["to"]
        self._publish(event)

    # --- schedule

    def sweeps_by_schedule(self) -> None:
        """The same target by the same role, but now and once."""
        scheduler = self._environment.client("scheduler")
        deployed = scheduler.get_schedule(Name=f"payment-sweep-{self._environment.suffix}")
        payment_id = self._stored(100, at=_LONG_AGO)
        scheduler.create_schedule(
            Name=f"at-once-{uuid.uuid4().hex}",
            ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
            ActionAfterCompletion="DELETE",
            FlexibleTimeWindow=deployed["FlexibleTimeWindow"],
            Target=deployed["Target"],
        )
        assert self._api.final(payment_id, patience=WORKFLOW_PATIENCE)["status"] == "COMPLETED"

    # --- workflows

    def carries_a_payment_on(self) -> None:
        """The sandbox is unavailable once for this amount, so that one try is not enough."""
        payment = _payment(amount="500.01")
        assert self._api.submit(payment).status == 202
        final = self._api.final(str(payment["payment_id"]), patience=WORKFLOW_PATIENCE)
        assert final["status"] == "COMPLETED"

        def succeeded() -> bool | None:
            return self._execution("payment_workflow_arn", str(payment["payment_id"])) or None

        eventually(succeeded, patience=WORKFLOW_PATIENCE)

    def pays_a_file_to_the_end(self) -> None:
        batch, _ = self._upload("to-the-end.csv", f"{CSV}{_new_id()},1.00,USD\n")

        def succeeded() -> bool | None:
            return self._execution("batch_workflow_arn", batch.batch_id) or None

        eventually(succeeded, patience=WORKFLOW_PATIENCE)

    def sets_a_hopeless_batch_aside(self) -> None:
        """Its input has no size, so that its first state fails; no retry helps."""
        name = f"hopeless-{uuid.uuid4().hex}"
        self._clients.stepfunctions.start_execution(
            stateMachineArn=self._outputs["batch_workflow_arn"],
            name=name,
            input=json.dumps(
                {
                    "batch": {
                        "batch_id": name,
                        "bucket": "none",
                        "key": "none.csv",
                        "version_id": "0",
                    },
                    "size": "none",
                }
            ),
        )
        self._dead_letter(lambda body: name in body, patience=WORKFLOW_PATIENCE)

    # --- what they are made of

    def _upload(self, key: str, text: str) -> tuple[Batch, int]:
        """Put a file into the batch bucket; the workflow that it starts does the same as we do."""
        bucket, body = self._outputs["batch_bucket"], text.encode()
        stored = self._clients.s3.put_object(Bucket=bucket, Key=key, Body=body)
        return Batch(ObjectVersion(bucket, key, stored["VersionId"])), len(body)

    def _read(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = self._clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def _stored(
        self,
        amount_minor: int,
        *,
        source: str = "api",
        at: str | None = None,
        payment_id: str | None = None,
        capture: Capture = "automatic",
    ) -> str:
        """Store a payment that nobody works on."""
        content = Content(payment_id or _new_id(), amount_minor, "USD", exponent=2, capture=capture)
        request = PaymentRequest(content, source, "iam-mutants")
        self._store.create(request, actor="iam-mutants", at=at or utc_now())
        return request.payment_id

    def _charged(self, amount_minor: int) -> str:
        payment_id = self._stored(amount_minor)
        assert self._finish("charge", payment_id)["status"] == "COMPLETED"
        return payment_id

    def _finish(self, action: str, payment_id: str, **more: str) -> dict[str, Any]:
        event = {
            "action": action,
            "payment_id": payment_id,
            "correlation_id": "iam-mutants",
            "execution_arn": "arn:aws:states:::execution:iam-mutants:iam-mutants",
            "attempt": 0,
            **more,
        }
        return self._invoke("payment-processor", event)

    def _handle(self, body: str) -> None:
        """Have the payment processor handle a message; whatever it may not do is a failure."""
        record = {
            "messageId": "1",
            "receiptHandle": "none",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSourceARN": f"arn:aws:sqs:::payment-rows-{self._environment.suffix}",
        }
        answer = self._invoke("payment-processor", {"Records": [record]})
        assert answer == {"batchItemFailures": []}, answer

    def _event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(_STREAM_EVENT.read_text())
        return event

    def _publish(self, event: Mapping[str, Any]) -> None:
        answer = self._invoke("event-publisher", event)
        assert answer == {"batchItemFailures": []}, answer

    def _step(self, batch: Batch, **event: Any) -> dict[str, Any]:
        return self._invoke("batch-processor", {"batch": batch.to_dict(), **event})

    def _invoke(self, function: str, event: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._clients.functions.invoke(
            FunctionName=f"{function}-{self._environment.suffix}", Payload=json.dumps(event)
        )
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in dict(answer), payload
        return payload

    def _execution(self, workflow: str, name: str) -> bool:
        machine = self._outputs[workflow].replace(":stateMachine:", ":execution:")
        client = self._clients.stepfunctions
        try:
            described = client.describe_execution(executionArn=f"{machine}:{name}")
        except client.exceptions.ExecutionDoesNotExist:
            return False
        assert described["status"] in {"RUNNING", "SUCCEEDED"}, described
        return described["status"] == "SUCCEEDED"

    def _dead_letter(self, is_wanted: Callable[[str], bool], *, patience: float) -> None:
        """Wait for a dead letter and take it away; all others are left-overs and go, too."""
        deadline = time.monotonic() + patience
        url = self._outputs["payment_events_dlq_url"]
        while time.monotonic() < deadline:
            received = self._clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            for message in received.get("Messages", []):
                self._clients.sqs.delete_message(
                    QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]
                )
                if is_wanted(message["Body"]):
                    return
            time.sleep(0.2)
        raise TimeoutError(f"no dead letter within {patience:.0f} s")


def _new_id() -> str:
    return f"pay_{uuid.uuid4().hex}"


def _new_row() -> str:
    return f"batch:batch_{uuid.uuid4().hex}:2"


def _message(payment_id: str, amount_minor: int, source: str) -> str:
    content = Content(payment_id, amount_minor, "USD", exponent=2)
    return encode_message(PaymentMessage(PaymentRequest(content, source, "iam-mutants")))


def _payment(amount: str = "1.00") -> dict[str, object]:
    return {"payment_id": _new_id(), "amount": amount, "currency": "USD"}
