"""The queue's consumer and the workflow's steps, as Lambda calls them."""

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from payment_processor import dispatch, run_step, sweep
from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueue
from payments.aws.sandbox_ledger import SandboxLedger
from payments.aws.workflows import Workflow
from payments.core.faults import InvalidMessage, PaymentNotFound
from payments.core.messages import decode_message, encode_message
from payments.flows.charge import PaymentProcessing
from payments.flows.dispatch import PaymentDispatch
from payments.flows.sweep import PaymentSweep
from payments.gateways.sandbox import SandboxGateway
from tests.unit.aws_events import load
from tests.unit.cloud import TABLES, Cloud, Started, add_open_index, payment_request


def sqs_event(*bodies: str) -> dict[str, Any]:
    [record] = load("sqs_messages")["Records"]
    return {
        "Records": [
            {**record, "messageId": f"message-{number}", "body": body}
            for number, body in enumerate(bodies)
        ]
    }


def failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


class TestMessages:
    """Messages of the payment events queue."""

    def test_a_real_event_starts_the_workflow(
        self, store: PaymentStore, queue: PaymentQueue
    ) -> None:
        workflow = Started()
        answer = dispatch(load("sqs_messages"), PaymentDispatch(store, workflow), queue)
        assert answer == {"batchItemFailures": []}
        assert workflow.started == ["pay_123456"]

    def test_one_poisonous_message_of_ten_fails_alone(
        self, store: PaymentStore, queue: PaymentQueue
    ) -> None:
        workflow = Started()
        event = load("sqs_one_poison_of_ten")
        answer = dispatch(event, PaymentDispatch(store, workflow), queue)
        assert failed(answer) == [event["Records"][6]["messageId"]]
        assert len(workflow.started) == 9

    def test_no_messages_are_no_failures(self, store: PaymentStore, queue: PaymentQueue) -> None:
        answer = dispatch({"Records": []}, PaymentDispatch(store, Started()), queue)
        assert failed(answer) == []

    def test_a_message_survives_being_written_and_read(self) -> None:
        request = payment_request(source="batch:b:7")
        assert decode_message(encode_message(request)) == request

    def test_a_message_fails_alone(self, store: PaymentStore, queue: PaymentQueue) -> None:
        workflow = Started(deaf_to=frozenset({"pay_2"}))
        bodies = [encode_message(payment_request(f"pay_{number}")) for number in (1, 2, 3)]
        answer = dispatch(sqs_event(*bodies), PaymentDispatch(store, workflow), queue)
        assert failed(answer) == ["message-1"]
        assert workflow.started == ["pay_1", "pay_3"]

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "not json",
            "[]",
            "null",
            "{}",
            "[" * 100_000,
            json.dumps({"payment_id": "pay_1"}),
            json.dumps({**json.loads(encode_message(payment_request())), "amount_minor": 1.5}),
            json.dumps({**json.loads(encode_message(payment_request())), "amount_minor": True}),
            json.dumps({**json.loads(encode_message(payment_request())), "amount_minor": -1}),
            json.dumps({**json.loads(encode_message(payment_request())), "payment_id": "a b"}),
            json.dumps({**json.loads(encode_message(payment_request())), "currency": "usd"}),
            json.dumps({**json.loads(encode_message(payment_request())), "exponent": 5}),
            json.dumps({**json.loads(encode_message(payment_request())), "exponent": "2"}),
        ],
    )
    def test_a_message_that_is_none_fails_and_starts_nothing(
        self, body: str, store: PaymentStore, queue: PaymentQueue
    ) -> None:
        with pytest.raises(InvalidMessage):
            decode_message(body)
        workflow = Started()
        answer = dispatch(sqs_event(body), PaymentDispatch(store, workflow), queue)
        assert failed(answer) == ["message-0"]
        assert workflow.started == []

    def test_a_hopeless_message_comes_back_at_once_and_another_after_its_timeout(
        self, store: PaymentStore, queue: PaymentQueue, cloud: Cloud
    ) -> None:
        cloud.sqs.send_message(QueueUrl=cloud.queue_url, MessageBody="hopeless")
        cloud.sqs.send_message(
            QueueUrl=cloud.queue_url, MessageBody=encode_message(payment_request("pay_2"))
        )
        received = cloud.sqs.receive_message(QueueUrl=cloud.queue_url, MaxNumberOfMessages=10)
        event = {
            "Records": [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                }
                for message in received["Messages"]
            ]
        }
        workflow = Started(deaf_to=frozenset({"pay_2"}))
        answer = dispatch(event, PaymentDispatch(store, workflow), queue)
        assert len(failed(answer)) == 2
        assert [message["Body"] for message in cloud.messages()] == ["hopeless"]

    def test_a_conflicting_row_is_done_with(self, store: PaymentStore, queue: PaymentQueue) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        row = encode_message(payment_request(amount_minor=1, source="batch:b:2"))
        workflow = Started()
        assert failed(dispatch(sqs_event(row), PaymentDispatch(store, workflow), queue)) == []
        assert workflow.started == []


class TestSteps:
    """Steps of the payment workflow."""

    @pytest.fixture
    def processing(self, store: PaymentStore, cloud: Cloud) -> PaymentProcessing:
        ledger = SandboxLedger(cloud.dynamodb, TABLES.processing_status)
        return PaymentProcessing(store, SandboxGateway(ledger))

    def step(self, action: str = "charge", payment_id: str = "pay_1") -> dict[str, Any]:
        return {
            "action": action,
            "payment_id": payment_id,
            "correlation_id": "request-1",
            "execution_arn": "arn:aws:states:us-east-1:123456789012:execution:workflow:pay_1",
            "attempt": 0,
        }

    def test_a_charge_answers_with_the_notification_to_publish(
        self, store: PaymentStore, processing: PaymentProcessing
    ) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        answer = run_step(self.step(), "invocation-1", processing)
        assert (answer["payment_id"], answer["status"]) == ("pay_1", "COMPLETED")
        event = answer["notification"]
        assert event["event_id"] == "pay_1:COMPLETED"
        assert event["event_type"] == "payment.completed"
        assert event["sequence"] == 3
        assert event["correlation_id"] == "request-1"
        assert event["payment"]["amount"] == "99.99"

    def test_a_repeated_step_gives_the_same_notification(
        self, store: PaymentStore, processing: PaymentProcessing
    ) -> None:
        store.create(payment_request(amount_minor=40001), actor="api", at="2026-01-01T00:00:00Z")
        first = run_step(self.step(), "invocation-1", processing)
        assert first["notification"]["event_type"] == "payment.failed"
        assert first["notification"]["payment"]["failure_code"] == "insufficient_funds"
        assert run_step(self.step("settle"), "invocation-2", processing) == first

    def test_an_unknown_payment_stops_the_step(self, processing: PaymentProcessing) -> None:
        with pytest.raises(PaymentNotFound):
            run_step(self.step(payment_id="pay_none"), "invocation-1", processing)


class TestSweep:
    """The schedule's invocation."""

    @pytest.mark.parametrize("stuck", [0, 2])
    def test_it_counts_what_is_stuck_none_included_and_puts_it_back(
        self,
        stuck: int,
        store: PaymentStore,
        queue: PaymentQueue,
        cloud: Cloud,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        add_open_index(cloud.dynamodb, TABLES.payments)
        for number in range(stuck):
            store.create(payment_request(f"pay_{number}"), actor="api", at="2026-01-01T00:00:00Z")
        context: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000)
        assert sweep(PaymentSweep(store, queue), context) == {"stuck": stuck}
        told = json.loads(capsys.readouterr().out.splitlines()[0])
        assert told["StuckPayments"] == [stuck]
        assert told["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
        assert len(cloud.messages()) == stuck


class TestWorkflowExecutions:
    """The one execution of a payment."""

    @pytest.fixture
    def workflow(self, cloud: Cloud) -> Workflow:
        client = boto3.client("stepfunctions")
        self.client = client
        self.arn = client.create_state_machine(
            name="payment-workflow",
            definition=json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/workflow",
        )["stateMachineArn"]
        return Workflow(client, self.arn)

    def executions(self) -> list[str]:
        listed = self.client.list_executions(stateMachineArn=self.arn)["executions"]
        return sorted(execution["name"] for execution in listed)

    def test_a_payment_has_one_execution_however_often_it_is_asked_for(
        self, workflow: Workflow
    ) -> None:
        for correlation_id in ("request-1", "request-2", "request-2"):
            workflow.ensure_running("pay_1", {"correlation_id": correlation_id})
        assert self.executions() == ["pay_1"]

    def test_an_execution_that_died_is_followed_by_another(self, workflow: Workflow) -> None:
        workflow.ensure_running("pay_1", {})
        execution_arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:pay_1"
        self.client.stop_execution(executionArn=execution_arn)
        workflow.ensure_running("pay_1", {})
        workflow.ensure_running("pay_1", {})
        assert self.executions() == ["pay_1", "pay_1.2"]
