"""What holds for every workflow."""

from typing import Any, get_args, get_type_hints

import pytest

from payments.batches.states import FailStep, FollowStep, PlanStep, RangeStep
from payments.core.executions import ChargeStep, PerformStep
from tests.synth.states import states, tasks
from tests.synth.terraform import Stack

FUNCTIONS = {
    "payment-workflow": "payment-processor",
    "payment-batch-workflow": "batch-processor",
}
"""The function that each workflow calls."""

STEPS: dict[str, Any] = {
    action: step
    for step in (ChargeStep, PerformStep, PlanStep, RangeStep, FollowStep, FailStep)
    for action in get_args(get_type_hints(step)["action"])
}
"""What the functions read of each step."""

pytestmark = [pytest.mark.xdist_group("synth"), pytest.mark.parametrize("workflow", FUNCTIONS)]


def test_executions_are_durable_and_their_names_unique(stack: Stack, workflow: str) -> None:
    """Express workflows do not refuse a second execution of the same name."""
    assert stack.workflow(workflow)["type"] == "STANDARD"


def test_every_task_is_retried_whatever_its_error(stack: Stack, workflow: str) -> None:
    for state in states(stack, workflow).values():
        if state["Type"] == "Task":
            assert state["Retry"][-1]["ErrorEquals"] == ["States.ALL"]
            assert state["Retry"][-1]["MaxAttempts"] > 0


def test_retries_are_scattered_and_their_delays_grow_up_to_a_limit(
    stack: Stack, workflow: str
) -> None:
    for state in states(stack, workflow).values():
        for retrier in state.get("Retry", ()):
            if retrier["MaxAttempts"]:
                assert retrier["BackoffRate"] == 2
                assert retrier["JitterStrategy"] == "FULL"
                assert retrier["MaxDelaySeconds"] > retrier["IntervalSeconds"]


def test_a_task_waits_longer_than_its_function_may_run(stack: Stack, workflow: str) -> None:
    function = stack.function(FUNCTIONS[workflow])
    for task in tasks(stack, workflow, "lambda:invoke").values():
        assert task["TimeoutSeconds"] > function["timeout"]


def test_the_workflow_may_call_one_function(stack: Stack, workflow: str) -> None:
    policy = stack.one("aws_iam_role_policy", name=stack.name(workflow))
    alias = stack.alias(FUNCTIONS[workflow])
    allowed = [s["Resource"] for s in policy.statements if "lambda:InvokeFunction" in s["Action"]]
    assert allowed == [[f"${{{alias.address}.arn}}"]]


def test_the_workflow_has_a_role_that_only_it_may_use(stack: Stack, workflow: str) -> None:
    role = stack.one("aws_iam_role", name=stack.name(workflow))
    (statement,) = role.statements
    for source in statement["Condition"]["ArnLike"]["aws:SourceArn"]:
        machine = source.removesuffix("/*")  # what runs the items of its Map
        assert machine.endswith(f":stateMachine:{stack.name(workflow)}")
    assert "aws:SourceAccount" in statement["Condition"]["StringEquals"]
    assert stack.workflow(workflow)["role_arn"] == f"${{{role.address}.arn}}"


def test_the_workflow_waits_for_what_its_role_may_do(stack: Stack, workflow: str) -> None:
    policy = stack.one("aws_iam_role_policy", name=stack.name(workflow))
    assert stack.workflow(workflow)["depends_on"] == [policy.address]


def test_the_log_of_the_workflow_holds_errors_and_no_payments(stack: Stack, workflow: str) -> None:
    machine = stack.workflow(workflow)
    group = stack.one(
        "aws_cloudwatch_log_group", name=f"/aws/vendedlogs/states/{stack.name(workflow)}"
    )
    assert machine["logging_configuration"] == {
        "level": "ERROR",
        "include_execution_data": False,
        "log_destination": f"${{{group.address}.arn}}:*",
    }
    assert machine["tracing_configuration"] == {"enabled": True}


def test_a_step_gives_its_function_what_that_reads_and_no_more(stack: Stack, workflow: str) -> None:
    steps = tasks(stack, workflow, "lambda:invoke")
    assert steps
    for state in steps.values():
        payload = state["Parameters"]["Payload"]
        given = {name.removesuffix(".$") for name in payload}
        assert given == set(get_type_hints(STEPS[payload["action"]]))
