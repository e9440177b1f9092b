"""The payment workflow carries on with what one try could not finish, and settles what stays unknown."""

import json
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


NOT_REACHED = (
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
)
"""What says nothing of the processor: the function did not run, or nobody knows whether it did."""

PATHS = (("Charge", "Settle"), ("Perform",))
"""The ways through the workflow."""


def test_a_payment_is_charged_and_only_an_unknown_outcome_is_settled(stack: Stack) -> None:
    charge, settle = (state(stack, name) for name in ("Charge", "Settle"))
    choice = state(stack, definition(stack, WORKFLOW)["StartAt"])
    assert choice["Default"] == "Charge"
    assert set(states(stack, WORKFLOW)) == {"What", "Perform", "Charge", "Settle"}
    assert charge["Catch"] == [
        {"ErrorEquals": ["GatewayUnavailable"], "ResultPath": "$.error", "Next": "Settle"}
    ]
    assert charge["End"] is settle["End"] is True


def test_an_operation_is_performed_until_there_is_an_outcome_and_never_settled(
    stack: Stack,
) -> None:
    choice = state(stack, definition(stack, WORKFLOW)["StartAt"])
    assert choice["Choices"] == [{"Variable": "$.operation", "IsPresent": True, "Next": "Perform"}]
    perform = state(stack, "Perform")
    assert perform["End"] is True
    assert "Catch" not in perform
    never, *retries = perform["Retry"]
    assert never == {"ErrorEquals": ["PaymentNotFound", "OperationNotFound"], "MaxAttempts": 0}
    assert retries == [
        retry("GatewayRefused", 60, 1000, 900),
        retry("ChargePending", 60, 1000, 3600),
        retry("States.ALL", 5, 1000, 300),
    ]
    payload = perform["Parameters"]["Payload"]
    assert (payload["action"], payload["operation.$"]) == ("perform", "$.operation")
    assert payload["operation_id.$"] == "$.operation_id"


def test_a_charge_is_retried_by_what_is_known_of_it(stack: Stack) -> None:
    assert state(stack, "Charge")["Retry"] == [
        NEVER,
        retry("GatewayUnavailable", 2, 6, 60),
        retry("GatewayRefused", 60, 1000, 900),
        retry("ChargePending", 60, 1000, 3600),
        {**retry("", 2, 1000, 300), "ErrorEquals": list(NOT_REACHED)},
        retry("States.ALL", 5, 1000, 300),
    ]


@pytest.mark.parametrize(
    "error",
    [*NOT_REACHED, "GatewayRefused", "ChargePending", "GatewayBusy", "ServiceUnavailable"],
)
def test_our_own_outage_is_not_the_customers(stack: Stack, error: str) -> None:
    """Whatever is no unknown outcome is tried for days, and never leads to settling."""
    charge = state(stack, "Charge")
    assert all(error not in caught["ErrorEquals"] for caught in charge["Catch"])
    assert all("States.ALL" not in caught["ErrorEquals"] for caught in charge["Catch"])
    retrier = next(
        each for each in charge["Retry"] if {error, "States.ALL"} & set(each["ErrorEquals"])
    )
    assert retrier["MaxAttempts"] * retrier["MaxDelaySeconds"] > 2 * 24 * 3600


def test_an_unclear_charge_is_settled_by_asking_again_and_never_by_guessing(stack: Stack) -> None:
    settle = state(stack, "Settle")
    assert settle["Retry"] == [NEVER, retry("States.ALL", 5, 1000, 300)]
    assert "Catch" not in settle


def test_all_retries_together_fit_into_the_history_of_an_execution(stack: Stack) -> None:
    """See https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html."""
    attempts = max(
        sum(retrier["MaxAttempts"] + 1 for name in path for retrier in state(stack, name)["Retry"])
        for path in PATHS
    )
    # Each is scheduled, started and failed.
    assert 3 * attempts < 25_000


def test_the_payment_processor_hears_of_an_execution_that_died(stack: Stack) -> None:
    """No catcher sees a time-out of the whole, a stop by hand, or a state that grew too large."""
    machine, function = stack.workflow(WORKFLOW), stack.function("payment-processor")
    alias = stack.alias("payment-processor")
    rule = stack.one("aws_cloudwatch_event_rule", name=stack.name("payment-workflow-deaths"))
    assert json.loads(rule["event_pattern"]) == {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "stateMachineArn": [f"${{{machine.address}.arn}}"],
            "status": ["FAILED", "TIMED_OUT", "ABORTED"],
        },
    }
    target = stack.one("aws_cloudwatch_event_target", rule=f"${{{rule.address}.name}}")
    assert target["arn"] == f"${{{alias.address}.arn}}"
    permission = stack.one("aws_lambda_permission", source_arn=f"${{{rule.address}.arn}}")
    assert permission["function_name"] == f"${{{function.address}.function_name}}"


def test_the_workflow_may_do_nothing_but_call_its_function(stack: Stack) -> None:
    policy = stack.one("aws_iam_role_policy", name=stack.name(WORKFLOW))
    sids = {statement["Sid"] for statement in policy.statements}
    assert sids == {"CallPaymentProcessor", "WriteTraces", "DeliverLogs"}


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
    longest = max(
        sum(
            retrier["MaxAttempts"]
            * (retrier.get("MaxDelaySeconds", 0) + state(stack, name).get("TimeoutSeconds", 0))
            for name in path
            for retrier in state(stack, name)["Retry"]
        )
        for path in PATHS
    )
    assert limit > longest


def test_the_payment_processor_knows_the_workflow_it_starts(stack: Stack) -> None:
    """It is named there before it exists, since the workflow calls the function."""
    variables = stack.function("payment-processor")["environment"]["variables"]
    machine = stack.workflow(WORKFLOW)
    assert variables["PAYMENT_WORKFLOW_ARN"].endswith(f":stateMachine:{machine['name']}")
