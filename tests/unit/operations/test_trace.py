"""Following one payment: what the tables and its workflow know, in the order it happened."""

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest

from operations.cli import main
from operations.timeline import Timeline, _told_by
from payments.aws.payments import PaymentStore, Tables, payment_item
from payments.aws.sandbox_ledger import SandboxLedger
from payments.core.executions import execution_name
from payments.core.operation import Operation, OperationStatus
from payments.core.payment import PaymentStatus, ProcessorAnswer
from payments.core.review import Decision, Person, Review
from payments.flows.charge import Charging, Witness
from payments.gateways.failures import CARD_DECLINED
from payments.gateways.port import Declined
from payments.gateways.sandbox import SandboxGateway
from tests.unit.cloud import AT, Cloud, ScriptedGateway, create_table, payment_request
from tests.unit.trails import REFUND, Trail, completed

TABLES = Tables(
    payments="payments-test",
    processing_status="status",
    audit_logs="audit-logs-test",
    operations="payment-operations-test",
)


@pytest.fixture
def traced(cloud: Cloud) -> Cloud:
    """One payment that was declined, and its execution."""
    create_table(cloud.dynamodb, TABLES.payments, {"payment_id": "S"})
    create_table(cloud.dynamodb, TABLES.audit_logs, {"payment_id": "S", "sequence": "N"})
    workflows = boto3.client("stepfunctions")
    machine = workflows.create_state_machine(
        name="payment-workflow-test",
        definition=json.dumps({"StartAt": "Charge", "States": {"Charge": {"Type": "Succeed"}}}),
        roleArn="arn:aws:iam::123456789012:role/workflow",
    )["stateMachineArn"]
    for number in (1, 2):
        name = execution_name("pay_1", number)
        execution = workflows.start_execution(stateMachineArn=machine, name=name, input="{}")
        workflows.stop_execution(executionArn=execution["executionArn"])
    store = PaymentStore(cloud.dynamodb, TABLES)
    store.create(payment_request(amount_minor=40001), actor="api", at="2026-01-01T00:00:00Z")
    ledger = SandboxLedger(cloud.dynamodb, TABLES.processing_status)
    witness = Witness(actor="payment-workflow-test:pay_1", request_id="invocation-1", attempt=1)
    Charging(store, SandboxGateway(ledger)).charge_by_id("pay_1", witness)
    return cloud


@pytest.mark.usefixtures("traced")
def test_a_payment_is_told_from_acceptance_to_its_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["trace", "--env", "test", "pay_1"]) == 0
    told = capsys.readouterr().out
    positions = [told.index(status) for status in ("PENDING", "PROCESSING", "FAILED  ")]
    assert positions == sorted(positions)
    for part in (
        "400.01 USD",
        "correlation id request-1",
        "insufficient_funds",
        "attempt 2",
        "by payment-workflow-test:pay_1, attempt 2",
        "reference sandbox_pay_1",
        "execution: started",
        "execution 2: started",
        "announcement payment.failed, event id pay_1:3",
        "The audit chain of 3 records holds.",
    ):
        assert part in " ".join(told.split()), part


def test_what_the_processor_called_it_is_told(
    traced: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    store = PaymentStore(traced.dynamodb, TABLES)
    store.create(payment_request("pay_2"), actor="api", at="2026-01-01T00:00:00Z")
    gateway = ScriptedGateway(
        charge=Declined(CARD_DECLINED, ProcessorAnswer("do_not_honor", "req_1"))
    )
    witness = Witness(actor="payment-processor", request_id="invocation-1", attempt=0)
    Charging(store, gateway).charge_by_id("pay_2", witness)
    main(["trace", "--env", "test", "pay_2"])
    told = " ".join(capsys.readouterr().out.split())
    assert "card_declined, the processor's code do_not_honor and request req_1" in told


@pytest.mark.usefixtures("traced")
def test_an_unknown_payment_is_said_to_be_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--env", "test", "pay_none"]) == 1
    assert "No payment 'pay_none' in 'test'" in capsys.readouterr().err


def test_a_broken_chain_is_named(traced: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    key = {"payment_id": {"S": "pay_1"}, "sequence": {"N": "2"}}
    traced.dynamodb.delete_item(TableName=TABLES.audit_logs, Key=key)
    assert main(["trace", "--env", "test", "pay_1"]) == 1
    assert "pay_1 record 3: record 2 was expected here" in capsys.readouterr().out


RECORD_FIELDS = (
    *("at", "created_at", "to", "from", "actor", "attempt", "hash", "previous_hash"),
    *("event_type", "failure_code", "postings"),
)
PAYMENT_FIELDS = (
    *("status", "amount_minor", "exponent", "currency", "source", "correlation_id"),
    *("created_at", "audit_hash"),
)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"N": "1.5"},
        {"S": "[/bold]"},
        {"NULL": True},
        {"L": [{"N": "1"}]},
        {"M": {"a": {"SS": ["b"]}}},
        {"B": b"bytes"},
    ],
    ids=lambda value: next(iter(value or {"missing": None})),
)
def test_what_is_damaged_is_named_and_never_ends_in_a_stack_trace(
    traced: Cloud, capsys: pytest.CaptureFixture[str], value: dict[str, object] | None
) -> None:
    for table, names, fault in (
        (TABLES.audit_logs, RECORD_FIELDS, "pay_1 record 3"),
        (TABLES.payments, PAYMENT_FIELDS, "pay_1: {name}"),
    ):
        item = traced.items(table)[-1]
        for name in names:
            changed = {each: told for each, told in {**item, name: value}.items() if told}
            traced.dynamodb.put_item(TableName=table, Item=changed)
            assert main(["trace", "--env", "test", "pay_1"]) == 1
            told = " ".join(capsys.readouterr().out.split())
            assert fault.format(name=name) in told, name
        traced.dynamodb.put_item(TableName=table, Item=item)
    assert main(["trace", "--env", "test", "pay_1"]) == 0


def test_a_payment_without_any_record_is_told(
    traced: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    for sequence in ("1", "2", "3"):
        key = {"payment_id": {"S": "pay_1"}, "sequence": {"N": sequence}}
        traced.dynamodb.delete_item(TableName=TABLES.audit_logs, Key=key)
    assert main(["trace", "--env", "test", "pay_1"]) == 1
    assert "pay_1: has no audit records" in capsys.readouterr().out


@pytest.mark.usefixtures("cloud")
def test_an_environment_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--env", "none", "pay_1"]) == 2
    assert "'none' cannot be read" in capsys.readouterr().err


def test_a_refund_is_told_as_one_and_not_as_a_status_of_the_payment() -> None:
    trail = completed()
    trail.refund("r1", 100, OperationStatus.COMPLETED)
    told = [moment for record in trail.records for moment in _told_by(record)]
    assert [moment.what for moment in told] == [
        "PENDING",
        "PROCESSING",
        "COMPLETED",
        "announcement",
        "refund PENDING",
        "refund COMPLETED",
        "announcement",
    ]
    assert told[4].detail.startswith("r1, 1.00 USD, by ")
    assert ", posts 1.00 USD from refunds_pending to client; audit record 4" in told[4].detail
    assert ", posts 99.99 USD from client to processor; audit record 3" in told[2].detail
    assert "posts" not in told[0].detail


def test_what_became_of_the_money_is_told() -> None:
    trail = completed()
    trail.refund("r1", 100, OperationStatus.COMPLETED)
    trail.refund("r2", 50)
    item = payment_item(trail.payment)
    right = "authorized 99.99, captured 99.99, refunded 1.00, refunds pending 0.50"
    assert amounts_of(item) == f"{right}, refundable 98.49 USD"
    for damaged in ({**item, "captured_minor": "x"}, {**item, "exponent": None}):
        assert amounts_of(damaged) == "amounts that cannot be read"
    del item["released_minor"]
    assert amounts_of(item) == "amounts that cannot be read"
    assert amounts_of(payment_item(Trail().payment)) == ""


def amounts_of(payment: dict[str, Any]) -> str:
    return Timeline(payment, [], 0, [], []).amounts


def test_a_decision_is_told_with_who_made_it_and_why() -> None:
    trail = Trail(
        PaymentStatus.IN_REVIEW,
        request=replace(
            payment_request(), submitter=Person("AIDAALICE", "alice"), needs_review=True
        ),
    )
    trail.decide(Review.APPROVED, Person("AIDABOB", "bob"))
    *_, decided = (moment for record in trail.records for moment in _told_by(record))
    assert decided.what == "review approved"
    assert decided.detail.startswith("'as agreed' by bob, by api;")


def test_a_decision_about_a_refund_is_told_with_the_refund() -> None:
    trail = completed()
    decision = Decision(Review.APPROVED, Person("AIDABOB", "bob"), "seen", AT, "request-9")
    refund = Operation.requested(REFUND, amount_minor=100, rest_minor=0, at=AT, needs_review=True)
    refund = trail.step(refund, OperationStatus.IN_REVIEW, before=None)
    trail.step(refund, OperationStatus.PENDING, before=refund.status, decision=decision)
    [moment] = _told_by(trail.records[-1])
    assert moment.what == "refund PENDING"
    assert moment.detail.startswith("r1, 1.00 USD, 'seen' by bob, by ")
