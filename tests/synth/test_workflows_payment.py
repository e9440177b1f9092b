"""The payment workflow charges, settles what is unclear, and announces the outcome."""

from typing import Any

import pytest

from tests.synth.states import definition, retry, states
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")

WORKFLOW = "payment-workflow"
NEVER = {"ErrorEquals": ["PaymentNotFound"], "MaxAttempts": 0}


def state(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = states(stack, WORKFLOW)[name]
    return found


def test_there_is_one_way_through_and_one_way_around_a_failed_charge(stack: Stack) -> None:
    charge, settle, notify = (state(stack, name) for name in ("Charge", "Settle", "Notify"))
    assert definition(stack, WORKFLOW)["StartAt"] == "Charge"
    assert len(states(stack, WORKFLOW)) == 3
    assert charge["Next"] == settle["Next"] == "Notify"
    assert charge["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Settle"}
    ]
    assert notify["End"] is True


def test_a_charge_is_retried_with_growing_and_scattered_delays(stack: Stack) -> None:
    assert state(stack, "Charge")["Retry"] == [
        NEVER,
        retry("GatewayUnavailable", 2, 4, 30),
        retry("States.ALL", 2, 6, 60),
    ]


def test_an_unclear_charge_is_settled_by_asking_again_and_never_by_guessing(stack: Stack) -> None:
    settle = state(stack, "Settle")
    assert settle["Retry"] == [NEVER, retry("States.ALL", 5, 1000, 300)]
    assert "Catch" not in settle


def test_an_announcement_is_retried_and_its_failure_is_loud(stack: Stack) -> None:
    notify = state(stack, "Notify")
    assert notify["Retry"] == [retry("States.ALL", 2, 1000, 300)]
    assert "Catch" not in notify


@pytest.mark.parametrize(("name", "action"), [("Charge", "charge"), ("Settle", "settle")])
def test_tasks_tell_the_payment_processor_what_to_do_and_who_asks(
    stack: Stack, name: str, action: str
) -> None:
    alias = stack.alias("payment-processor")
    task = state(stack, name)
    assert task["Resource"] == "arn:aws:states:::lambda:invoke"
    assert task["OutputPath"] == "$.Payload"
    assert task["Parameters"] == {
        "FunctionName": f"${{{alias.address}.arn}}",
        "Payload": {
            "action": action,
            "payment_id.$": "$.payment_id",
            "correlation_id.$": "$.correlation_id",
            "execution_arn.$": "$$.Execution.Id",
            "attempt.$": "$$.State.RetryCount",
        },
    }


def test_a_whole_execution_has_more_time_than_its_retries_can_take(stack: Stack) -> None:
    limit = definition(stack, WORKFLOW)["TimeoutSeconds"]
    longest = sum(
        retrier["MaxAttempts"] * (retrier.get("MaxDelaySeconds", 0) + task.get("TimeoutSeconds", 0))
        for task in states(stack, WORKFLOW).values()
        for retrier in task["Retry"]
    )
    assert limit > longest


def test_the_announcement_carries_what_subscribers_filter_by(stack: Stack) -> None:
    topic = stack.one("aws_sns_topic")
    notify = state(stack, "Notify")
    assert notify["Resource"] == "arn:aws:states:::sns:publish"
    assert notify["Parameters"]["TopicArn"] == f"${{{topic.address}.arn}}"
    assert notify["Parameters"]["Message.$"] == "$.notification"
    assert set(notify["Parameters"]["MessageAttributes"]) == {"event_type", "status", "currency"}


def test_the_payment_processor_knows_the_workflow_it_starts(stack: Stack) -> None:
    """It is named there before it exists, since the workflow calls the function."""
    variables = stack.function("payment-processor")["environment"]["variables"]
    machine = stack.workflow(WORKFLOW)
    assert variables["PAYMENT_WORKFLOW_ARN"].endswith(f":stateMachine:{machine['name']}")
