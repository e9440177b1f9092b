"""How an environment is, from AWS in process."""

import boto3
import pytest

from operations.console.health import QUEUES, Health
from payments.aws.payments import PaymentStore, Tables
from payments.core.messages import PaymentMessage, encode_message
from tests.unit.cloud import Cloud, add_open_index, create_table, payment_request

TABLES = Tables(
    payments="payments-test",
    processing_status="status",
    audit_logs="audit-logs-test",
    operations="operations",
)


@pytest.fixture
def health(cloud: Cloud) -> Health:
    """The health of an environment with a payment that is stuck and another environment beside it."""
    create_table(cloud.dynamodb, TABLES.payments, {"payment_id": "S"})
    create_table(cloud.dynamodb, TABLES.audit_logs, {"payment_id": "S", "sequence": "N"})
    add_open_index(cloud.dynamodb, TABLES.payments)
    store = PaymentStore(cloud.dynamodb, TABLES)
    store.create(payment_request("pay_old"), actor="api", at="2026-01-01T00:00:00.000000Z")
    store.create(payment_request("pay_new"), actor="api", at="2999-01-01T00:00:00.000000Z")
    cloudwatch = boto3.client("cloudwatch")
    for name, state in (("b-test", "OK"), ("c-test", "ALARM"), ("a-prod", "ALARM")):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="n",
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            AlarmDescription="Look.",
        )
        cloudwatch.set_alarm_state(
            AlarmName=name,
            StateValue=state,  # type: ignore[arg-type]  # one of these
            StateReason="a test",
        )
    for name in QUEUES:
        cloud.sqs.create_queue(QueueName=f"{name}-test")
    return Health("test")


def test_the_alarms_of_the_environment_are_told_those_that_fire_first(health: Health) -> None:
    assert [(alarm.name, alarm.state) for alarm in health.alarms()] == [("c", "ALARM"), ("b", "OK")]


def test_payments_that_are_stuck_are_told_and_no_others(health: Health) -> None:
    assert [each.payment_id for each in health.stuck()] == ["pay_old"]


def test_queues_and_dead_letters_are_told_and_the_letters_stay(
    cloud: Cloud, health: Health
) -> None:
    url = cloud.sqs.get_queue_url(QueueName="payment-events-dlq-test")["QueueUrl"]
    body = encode_message(PaymentMessage(payment_request("pay_9")))
    cloud.sqs.send_message(
        QueueUrl=url,
        MessageBody=body,
        MessageAttributes={"reason": {"StringValue": "Poison: x", "DataType": "String"}},
    )
    cloud.sqs.send_message(QueueUrl=url, MessageBody="<b>poison</b>")
    for _ in range(2):
        waiting = {queue.name: queue.waiting for queue in health.queues()}
        assert waiting["payment-events-dlq"] == 2
        assert waiting["payment-events"] == 0
        told = {letter.what.partition(":")[0]: letter.reason for letter in health.dead_letters()}
        assert told == {
            "payment pay_9, from payment-events": "Poison: x",
            "nothing that can be put back": "",
        }
