"""What on-call relies on: dead letters, alarms, the audit trail, TLS, and a stack that settles."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from local import surroundings
from tests.e2e.environment import Environment, Notifications, eventually


def test_a_message_that_cannot_be_handled_is_set_aside_and_raises_the_alarm(
    environment: Environment, alarms: Notifications
) -> None:
    outputs, clients = environment.outputs, environment.clients
    clients.sqs.send_message(
        QueueUrl=outputs["payment_events_queue_url"], MessageBody="not a payment"
    )

    def dead_letter() -> dict[str, str] | None:
        received = clients.sqs.receive_message(
            QueueUrl=outputs["payment_events_dlq_url"], MessageAttributeNames=["reason"]
        ).get("Messages", [])
        return next(
            (
                {
                    "body": message["Body"],
                    "reason": message["MessageAttributes"]["reason"]["StringValue"],
                }
                for message in received
            ),
            None,
        )

    assert eventually(dead_letter, patience=90) == {
        "body": "not a payment",
        "reason": "InvalidMessage: the message is not JSON",
    }

    alarm = f"payment-events-dlq-messages-{environment.suffix}"
    [described] = clients.cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    # The emulator emits no SQS metrics: what CloudWatch would be told is told here.
    clients.cloudwatch.put_metric_data(
        Namespace=described["Namespace"],
        MetricData=[
            {
                "MetricName": described["MetricName"],
                "Dimensions": described["Dimensions"],
                "Timestamp": datetime.now(UTC),
                "Value": 1,
            }
        ],
    )
    raised = alarms.matching(lambda event: event.get("AlarmName") == alarm, patience=90)
    assert raised["NewStateValue"] == "ALARM"


def test_the_audit_trail_of_all_that_was_paid_is_whole(environment: Environment) -> None:
    environment.api.submit({"payment_id": "audited", "amount": 1, "currency": "USD"})
    environment.api.final("audited")
    verified = subprocess.run(
        [sys.executable, "-m", "operations", "--env", environment.suffix, "audit", "verify"],
        env=surroundings.for_operations(os.environ) | environment.aws_access,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "the audit trail is whole" in verified.stdout


def test_no_role_may_change_the_audit_trail(environment: Environment) -> None:
    table = environment.outputs["audit_logs_table"]
    resource = environment.clients.dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    policy = environment.clients.dynamodb.get_resource_policy(ResourceArn=resource)["Policy"]
    assert '"Effect":"Deny"' in policy
    assert "dynamodb:DeleteItem" in policy
    assert "dynamodb:UpdateItem" in policy


def test_plain_http_is_not_served(environment: Environment) -> None:
    plain = environment.api.base_url.replace("https://", "http://")
    with pytest.raises(OSError, match=r".+"):
        urllib.request.urlopen(f"{plain}/payments/pay_1", timeout=5)  # noqa: S310 - must fail


def test_a_key_that_nobody_has_is_refused(environment: Environment) -> None:
    stranger = environment.client("dynamodb", access_key="AKIASTRANGER", secret_key="guess")
    with pytest.raises(ClientError):
        stranger.scan(TableName=environment.outputs["payments_table"])
