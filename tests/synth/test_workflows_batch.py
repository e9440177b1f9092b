"""The batch workflow plans, processes ranges, follows their payments, and sets aside failures."""

from typing import Any

import pytest

from payments.batches.steps import LONGEST_WAIT_SECONDS
from tests.synth.states import definition, retry, states, tasks
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")

WORKFLOW = "payment-batch-workflow"
INPUT = {"batch", "size"}
# A task takes 5 entries of an execution's history; a choice and a wait take 2 each.
HISTORY_ENTRIES_OF_A_LOOK = 9
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MOST_HISTORY_ENTRIES = 25_000


def state(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = states(stack, WORKFLOW)[name]
    return found


def way(stack: Stack, start: str) -> list[str]:
    """Return the states from one to the end, without errors or detours."""
    names = [start]
    while following := state(stack, names[-1]).get("Next"):
        names.append(following)
    return names


def payload(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = state(stack, name)["Parameters"]["Payload"]
    return found


def test_a_batch_is_planned_announced_processed_and_followed(stack: Stack) -> None:
    died = state(stack, definition(stack, WORKFLOW)["StartAt"])
    assert died["Choices"] == [{"Variable": "$.error", "IsPresent": True, "Next": "RecordFailure"}]
    assert way(stack, died["Default"]) == ["BeginToPlan", "Plan", "Planned"]
    assert way(stack, "AnnounceStart") == [
        "AnnounceStart",
        "Ranges",
        "BeginToFollow",
        "Follow",
        "Settled",
    ]


def test_a_batch_is_followed_until_every_payment_of_it_is_final(stack: Stack) -> None:
    settled, wait = state(stack, "Settled"), state(stack, "Wait")
    assert settled["Choices"] == [
        {
            "Variable": "$.progress.answer.settled",
            "BooleanEquals": True,
            "Next": "AnnounceEnd",
        }
    ]
    assert settled["Default"] == "Wait"
    assert wait["SecondsPath"] == "$.progress.answer.wait_seconds"
    assert wait["Next"] == "Follow"
    assert state(stack, "AnnounceEnd")["End"] is True


def test_no_state_is_out_of_reach(stack: Stack) -> None:
    reached = {definition(stack, WORKFLOW)["StartAt"], "Range"}
    for name in states(stack, WORKFLOW):
        here = state(stack, name)
        branches = [here, *here.get("Choices", ()), *here.get("Catch", ())]
        reached |= {branch["Next"] for branch in branches if "Next" in branch}
        reached |= {here["Default"]} if "Default" in here else set()
    assert reached == set(states(stack, WORKFLOW))


def test_every_step_is_the_batch_processors_and_names_the_batch(stack: Stack) -> None:
    alias = stack.alias("batch-processor")
    steps = tasks(stack, WORKFLOW, "lambda:invoke")
    assert {name: payload(stack, name)["action"] for name in steps} == {
        "Plan": "plan",
        "Range": "range",
        "Follow": "follow",
        "RecordFailure": "fail",
    }
    for name, step in steps.items():
        assert step["Parameters"]["FunctionName"] == f"${{{alias.address}.arn}}"
        assert payload(stack, name)["batch.$"] == "$.batch"


def test_a_step_is_retried_for_a_quarter_of_an_hour(stack: Stack) -> None:
    for name in ("Plan", "Follow", "RecordFailure"):
        assert state(stack, name)["Retry"] == [retry("States.ALL", 2, 8, 120)]


def test_a_file_is_planned_call_by_call_to_its_end(stack: Stack) -> None:
    assert state(stack, "BeginToPlan")["Parameters"]["plan"] == {"answer": None}
    assert payload(stack, "Plan")["before.$"] == "$.plan.answer"
    planned = state(stack, "Planned")
    assert planned["Choices"] == [
        {"Variable": "$.plan.answer.planned", "BooleanEquals": True, "Next": "AnnounceStart"}
    ]
    assert planned["Default"] == "Plan"


def test_reporting_goes_on_where_the_last_look_ended(stack: Stack) -> None:
    assert payload(stack, "Follow")["reported.$"] == "$.progress.answer.reported"


def test_the_plan_is_made_from_the_size_that_the_upload_had(stack: Stack) -> None:
    assert payload(stack, "Plan")["size.$"] == "$.size"
    assert state(stack, "Plan")["ResultPath"] == "$.plan"


def test_ranges_are_a_distributed_map_with_an_explicit_limit(stack: Stack) -> None:
    """Without one, Step Functions starts 10,000 at once."""
    ranges = state(stack, "Ranges")
    assert ranges["ItemProcessor"]["ProcessorConfig"] == {
        "Mode": "DISTRIBUTED",
        "ExecutionType": "STANDARD",
    }
    assert ranges["MaxConcurrency"] == 10
    assert ranges["ItemsPath"] == "$.plan.answer.ranges"


def test_no_range_may_be_missing(stack: Stack) -> None:
    ranges = state(stack, "Ranges")
    assert not [name for name in ranges if name.startswith("Tolerated")]


def test_a_range_gets_what_its_call_needs_and_is_retried_alone(stack: Stack) -> None:
    assert state(stack, "Ranges")["ItemSelector"] == {
        "batch.$": "$.batch",
        "columns.$": "$.plan.answer.columns",
        "range.$": "$$.Map.Item.Value",
    }
    assert payload(stack, "Range") == {
        "action": "range",
        "batch.$": "$.batch",
        "columns.$": "$.columns",
        "range.$": "$.range",
    }
    assert state(stack, "Range")["Retry"] == [retry("States.ALL", 5, 6, 120)]
    assert "Retry" not in state(stack, "Ranges")


def test_answers_of_ranges_are_not_collected(stack: Stack) -> None:
    """Thousands of them might not fit into the 256 KiB of a state."""
    assert state(stack, "Done") == {"Type": "Succeed", "OutputPath": None}
    assert state(stack, "Ranges")["ResultPath"] is None


def test_a_range_waits_for_room_in_the_queue_as_long_as_it_is_told(stack: Stack) -> None:
    assert state(stack, "Range")["Next"] == "Queued"
    assert state(stack, "Queued")["Choices"] == [
        {"Variable": "$.answer.wait_seconds", "NumericGreaterThan": 0, "Next": "WaitForRoom"}
    ]
    assert state(stack, "WaitForRoom") == {
        "Type": "Wait",
        "SecondsPath": "$.answer.wait_seconds",
        "Next": "Range",
    }


def test_following_begins_without_the_plan_and_without_having_waited(stack: Stack) -> None:
    assert state(stack, "BeginToFollow")["Parameters"] == {
        "batch.$": "$.batch",
        "size.$": "$.size",
        "progress": {"answer": {"wait_seconds": 0, "reported": {"shards": 0, "files": 0}}},
    }
    assert payload(stack, "Follow")["waited_seconds.$"] == "$.progress.answer.wait_seconds"
    assert state(stack, "Follow")["ResultPath"] == "$.progress"


def test_a_batch_is_followed_for_longer_than_its_rows_may_be_queued(stack: Stack) -> None:
    queue = stack.one("aws_sqs_queue", name=stack.name("payment-rows"))
    limit = definition(stack, WORKFLOW)["TimeoutSeconds"]
    assert limit == 14 * 24 * 3600
    assert limit > queue["message_retention_seconds"]


def test_the_workflow_may_publish_to_one_topic(stack: Stack) -> None:
    policy = stack.one("aws_iam_role_policy", name=stack.name(WORKFLOW))
    allowed = [s["Resource"] for s in policy.statements if "sns:Publish" in s["Action"]]
    assert allowed == [[f"${{{stack.one('aws_sns_topic').address}.arn}}"]]


def test_following_for_that_long_fits_into_the_history_of_an_execution(stack: Stack) -> None:
    looks = definition(stack, WORKFLOW)["TimeoutSeconds"] / LONGEST_WAIT_SECONDS
    assert looks * HISTORY_ENTRIES_OF_A_LOOK < 0.8 * MOST_HISTORY_ENTRIES


@pytest.mark.parametrize(
    ("name", "notification"),
    [
        ("AnnounceStart", "$.plan.answer.notification"),
        ("AnnounceEnd", "$.progress.answer.notification"),
        ("AnnounceFailure", "$.failure.answer.notification"),
    ],
)
def test_start_end_and_failure_are_announced_with_what_subscribers_filter_by(
    stack: Stack, name: str, notification: str
) -> None:
    topic = stack.one("aws_sns_topic")
    announcement = state(stack, name)
    assert announcement["Resource"] == "arn:aws:states:::sns:publish"
    assert announcement["Parameters"] == {
        "TopicArn": f"${{{topic.address}.arn}}",
        "Message.$": notification,
        "MessageAttributes": {
            "event_type": {"DataType": "String", "StringValue.$": f"{notification}.event_type"}
        },
    }
    # Rows wait behind the news of the start, so it is tried less often.
    tries = 5 if name == "AnnounceStart" else 20
    assert announcement["Retry"] == [retry("States.ALL", 2, tries, 300)]
    assert announcement["ResultPath"] is None


@pytest.mark.parametrize("name", ["Plan", "Ranges", "Follow"])
def test_whatever_fails_is_recorded_as_a_failure_of_the_batch(stack: Stack, name: str) -> None:
    assert state(stack, name)["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "RecordFailure"}
    ]


def test_a_batch_that_has_ended_is_not_recorded_as_failed_because_of_its_announcement(
    stack: Stack,
) -> None:
    assert state(stack, "AnnounceEnd")["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "SetAside"}
    ]


def test_news_of_a_start_that_nobody_takes_is_set_aside_or_else_left_out(stack: Stack) -> None:
    """News never stands before money."""
    assert state(stack, "AnnounceStart")["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "SetNewsAside"}
    ]
    assert state(stack, "SetNewsAside")["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Ranges"}
    ]


@pytest.mark.parametrize("name", ["RecordFailure", "AnnounceFailure"])
def test_a_failure_that_cannot_be_recorded_or_announced_is_set_aside_with_its_first_error(
    stack: Stack, name: str
) -> None:
    assert state(stack, name)["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "SetAside"}
    ]


def test_every_failure_is_set_aside_and_ends_the_execution_as_failed(stack: Stack) -> None:
    assert way(stack, "RecordFailure") == [
        "RecordFailure",
        "AnnounceFailure",
        "SetAside",
        "Fail",
    ]
    assert state(stack, "Fail") == {
        "Type": "Fail",
        "ErrorPath": "$.error.Error",
        "CausePath": "$.error.Cause",
    }


def test_a_failed_batch_is_set_aside_among_the_dead_letters_with_enough_to_try_again(
    stack: Stack,
) -> None:
    dead_letters = stack.one("aws_sqs_queue", name=stack.name("payment-events-dlq"))
    set_aside = state(stack, "SetAside")
    assert set_aside["Resource"] == "arn:aws:states:::sqs:sendMessage"
    assert set_aside["Parameters"]["QueueUrl"] == f"${{{dead_letters.address}.url}}"
    body = set_aside["Parameters"]["MessageBody"]
    assert set(body) == {f"{name}.$" for name in INPUT | {"error"}}
    assert set_aside["Retry"] == [retry("States.ALL", 2, 20, 300)]


def test_the_workflow_may_run_the_items_of_its_map_and_nothing_else(stack: Stack) -> None:
    policy = stack.one("aws_iam_role_policy", name=stack.name(WORKFLOW))
    name = stack.name(WORKFLOW)
    allowed = {
        action: {arn.partition("account_id}:")[2] for arn in statement["Resource"]}
        for statement in policy.statements
        for action in statement["Action"]
        if action.startswith("states:")
    }
    executions = {f"execution:{name}:*", f"execution:{name}/*"}
    assert allowed == {
        "states:StartExecution": {f"stateMachine:{name}"},
        "states:DescribeExecution": executions,
        "states:StopExecution": executions,
    }


def test_the_workflow_may_send_to_the_dead_letter_queues_only(stack: Stack) -> None:
    names = ("payment-events-dlq", "payment-announcements-dlq")
    queues = [stack.one("aws_sqs_queue", name=stack.name(name)).address for name in names]
    policy = stack.one("aws_iam_role_policy", name=stack.name(WORKFLOW))
    (sending,) = (s for s in policy.statements if "sqs:SendMessage" in s["Action"])
    assert sending["Resource"] == [f"${{{address}.arn}}" for address in queues]


def test_the_workflow_uses_the_key_for_what_it_sends(stack: Stack) -> None:
    policy = stack.one("aws_iam_role_policy", name=stack.name(WORKFLOW))
    (use,) = (s for s in policy.statements if "kms:GenerateDataKey" in s["Action"])
    assert use["Condition"]["StringEquals"]["kms:ViaService"] == [
        "sns.eu-central-1.amazonaws.com",
        "sqs.eu-central-1.amazonaws.com",
    ]


def test_the_batch_processor_knows_the_workflow_and_may_start_it(stack: Stack) -> None:
    """It is named there before it exists, since the workflow calls the function."""
    name = stack.name(WORKFLOW)
    variables = stack.function("batch-processor")["environment"]["variables"]
    policy = stack.one("aws_iam_role_policy", name=stack.name("batch-processor"))
    allowed = {
        action: statement["Resource"]
        for statement in policy.statements
        for action in statement["Action"]
        if action.startswith("states:")
    }
    assert variables["BATCH_WORKFLOW_ARN"].endswith(f":stateMachine:{name}")
    assert allowed == {"states:StartExecution": [variables["BATCH_WORKFLOW_ARN"]]}
