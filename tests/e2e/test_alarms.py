"""Every alarm fires for its condition, is heard at the encrypted topic, and ends by itself.

All are made to fire at once. Conditions of functions are produced, and so is a payment that is
stuck. The emulator emits no metrics of SQS, API Gateway and Step Functions: what CloudWatch would
be told of them is told here. Nothing is told of a recovery: the condition only ends. The emulator
evaluates no metric math: alarms about a sum of metrics are set and ended by hand, so that of those
only what follows from their state is seen here.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from payments.aws.payments import PaymentStore, Tables
from payments.core.clock import utc_text
from payments.core.content import Content
from payments.core.payment import PaymentRequest
from tests.e2e.environment import Environment, Notifications, eventually

PATIENCE = 120.0


def test_every_alarm_fires_and_recovers_and_both_are_announced(
    environment: Environment, alarms: Notifications, notifications: Notifications
) -> None:
    stuck = _lose_a_message(environment)
    # Another environment in the same account has its own.
    described = [
        alarm
        for alarm in environment.clients.cloudwatch.describe_alarms()["MetricAlarms"]
        if alarm["AlarmName"].endswith(f"-{environment.suffix}")
    ]
    names = {alarm["AlarmName"] for alarm in described}
    with ThreadPoolExecutor(len(described)) as pool:
        list(pool.map(lambda alarm: _hold_until_it_fires(environment, alarm), described))

    def all_heard(state: str, before: str | None = None) -> Callable[[], bool | None]:
        def look() -> bool | None:
            heard = {
                event["AlarmName"]
                for event in alarms.received
                if event["NewStateValue"] == state and before in {None, event["OldStateValue"]}
            }
            return True if names <= heard else None

        return look

    eventually(all_heard("ALARM"), patience=PATIENCE)
    for alarm in filter(_is_sum, described):
        _set(environment, alarm, "OK")
    eventually(all_heard("OK", before="ALARM"), patience=PATIENCE)
    # The sweep that counted the stuck payment has put it back on the queue, too.
    assert environment.api.final(stuck)["status"] == "COMPLETED"
    assert notifications.of(stuck)["event_type"] == "payment.completed"
    assert all("AlarmName" in event for event in alarms.received)
    assert not any("AlarmName" in event for event in notifications.received)


def _lose_a_message(environment: Environment) -> str:
    """Accept a payment twenty minutes ago whose message never reached the queue."""
    outputs = environment.outputs
    tables = Tables(
        payments=outputs["payments_table"],
        processing_status=outputs["processing_status_table"],
        audit_logs=outputs["audit_logs_table"],
        operations=outputs["payment_operations_table"],
    )
    request = PaymentRequest(
        Content("stuck_for_twenty_minutes", 100, "EUR", exponent=2), "api", "request-lost"
    )
    at = utc_text(datetime.now(UTC) - timedelta(minutes=20))
    PaymentStore(environment.clients.dynamodb, tables).create(request, actor="api", at=at)
    return request.payment_id


def _hold_until_it_fires(environment: Environment, alarm: Any) -> None:
    def look() -> bool | None:
        _bring_about(environment, alarm)
        [now] = environment.clients.cloudwatch.describe_alarms(AlarmNames=[alarm["AlarmName"]])[
            "MetricAlarms"
        ]
        return True if now["StateValue"] == "ALARM" else None

    eventually(look, patience=PATIENCE)


def _is_sum(alarm: Any) -> bool:
    return not alarm.get("MetricName")


def _set(environment: Environment, alarm: Any, state: Literal["OK", "ALARM"]) -> None:
    environment.clients.cloudwatch.set_alarm_state(
        AlarmName=alarm["AlarmName"], StateValue=state, StateReason="its condition is told by hand"
    )


def _bring_about(environment: Environment, alarm: Any) -> None:
    if _is_sum(alarm):
        _set(environment, alarm, "ALARM")
        return
    base = alarm["AlarmName"].removesuffix(f"-{environment.suffix}")
    function = f"{base.rpartition('-')[0]}-{environment.suffix}"
    match alarm["Namespace"], alarm["MetricName"]:
        case "AWS/Lambda", "Errors":
            # None of them can make anything of a number.
            _invoke(environment, function, b"5")
        case "AWS/Lambda", "Throttles":
            _throttle(environment, function)
        case _, "StuckPayments":
            sweeper = f"payment-processor-{environment.suffix}"
            _invoke(environment, sweeper, json.dumps({"action": "sweep"}).encode())
        case _:
            _tell(environment, alarm)


def _invoke(environment: Environment, function: str, payload: bytes) -> None:
    # It may be throttled just now, which is another alarm's condition.
    with suppress(ClientError):
        environment.clients.functions.invoke(FunctionName=function, Payload=payload)


def _throttle(environment: Environment, function: str) -> None:
    functions = environment.clients.functions
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    try:
        _invoke(environment, function, b"{}")
    finally:
        functions.delete_function_concurrency(FunctionName=function)


def _tell(environment: Environment, alarm: Any) -> None:
    environment.clients.cloudwatch.put_metric_data(
        Namespace=alarm["Namespace"],
        MetricData=[
            {
                "MetricName": alarm["MetricName"],
                "Dimensions": alarm["Dimensions"],
                "Value": alarm["Threshold"],
            }
        ],
    )
