"""The state machine that takes one batch file from uploaded to every payment final."""

from typing import Any, Final

from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from constructs import Construct

from lib.config import Workflow
from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.functions.batch_processor import BATCH_TIMEOUT_SECONDS
from lib.functions.compute import Compute
from lib.kit.arns import Arns
from lib.kit.function import PythonFunction
from lib.kit.iam import Statement
from lib.kit.state_machine import (
    add_state_machine,
    invoke_task,
    publish_task,
    retry,
    tell_of_deaths,
)

TASK_TIMEOUT_SECONDS: Final = BATCH_TIMEOUT_SECONDS + 10
RANGES_AT_ONCE: Final = 10
"""So few that the rows of these ranges and a full queue are paid before SQS drops any of them."""

EXECUTION_TIMEOUT_SECONDS: Final = 14 * 24 * 3600
"""Ten days longer than a row waits in its queue: a batch that is still open then needs on-call."""


class BatchWorkflow(Construct):
    """Plan, process the ranges of the file, and follow its payments to the last one's end."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        messaging: Messaging,
        compute: Compute,
    ) -> None:
        super().__init__(scope, id_)
        self.state_machine = add_state_machine(
            self,
            Workflow.BATCH,
            environment=environment,
            definition=definition(compute.batch_processor, messaging, environment.arns),
            permissions=[
                Statement(
                    sid="CallBatchProcessor",
                    actions=("lambda:InvokeFunction",),
                    resources=(compute.batch_processor.arn,),
                ),
                Statement(sid="Notify", actions=("sns:Publish",), resources=(messaging.topic.arn,)),
                Statement(
                    sid="SetAsideFailedBatchesAndNews",
                    actions=("sqs:SendMessage",),
                    resources=(
                        messaging.dead_letter_queue.arn,
                        messaging.announcements_dead_letter_queue.arn,
                    ),
                ),
                environment.encryption.use_through("sns", "sqs"),
            ],
            runs_maps=True,
        )
        tell_of_deaths(
            self,
            Workflow.BATCH,
            environment=environment,
            state_machine=self.state_machine,
            function=compute.batch_processor,
        )


_RETRY: Final = [retry("States.ALL", seconds=2, attempts=8, at_most_seconds=120)]


def definition(batch_processor: PythonFunction, messaging: Messaging, arns: Arns) -> dict[str, Any]:
    """Return the workflow in the Amazon States Language.

    Its input is a ``BatchInput``, and its steps and their answers are in the same module
    (``payments.batches.states``). If an execution for the batch died, the batch is only failed. A refused file and a declined payment are successes of the workflow; it
    fails only if the file could not be carried through, and then it is set aside with all that
    another try needs.
    """
    return {
        "Comment": "One batch file, from uploaded to every payment final",
        "StartAt": "Died",
        "TimeoutSeconds": EXECUTION_TIMEOUT_SECONDS,
        "States": {
            "Died": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.error", "IsPresent": True, "Next": "RecordFailure"}],
                "Default": "BeginToPlan",
            },
            "BeginToPlan": {
                "Type": "Pass",
                "Parameters": {"batch.$": "$.batch", "size.$": "$.size", "plan": {"answer": None}},
                "Next": "Plan",
            },
            # A huge file is read through in several calls; each goes on where the last one ended.
            "Plan": {
                **_step(
                    batch_processor,
                    arns,
                    {"action": "plan", "size.$": "$.size", "before.$": "$.plan.answer"},
                ),
                "ResultPath": "$.plan",
                "Catch": _caught("RecordFailure"),
                "Next": "Planned",
            },
            "Planned": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Variable": "$.plan.answer.planned",
                        "BooleanEquals": True,
                        "Next": "AnnounceStart",
                    }
                ],
                "Default": "Plan",
            },
            # An announcement never delays money: if it fails, the rows are queued all the same.
            "AnnounceStart": {
                **_announcement(messaging, arns, "$.plan.answer.notification", attempts=5),
                "Catch": _passed_over("SetNewsAside"),
                "Next": "Ranges",
            },
            "SetNewsAside": {
                **_set_aside(
                    arns,
                    messaging.announcements_dead_letter_queue,
                    {"MessageBody.$": "$.plan.answer.notification"},
                    attempts=5,
                ),
                "Catch": _passed_over("Ranges"),
                "Next": "Ranges",
            },
            "Ranges": {
                **_ranges(batch_processor, arns),
                "Catch": _caught("RecordFailure"),
                "Next": "BeginToFollow",
            },
            # The plan of a large file is large, and nobody needs it any more.
            "BeginToFollow": {
                "Type": "Pass",
                "Parameters": {
                    "batch.$": "$.batch",
                    "size.$": "$.size",
                    "progress": {
                        "answer": {"wait_seconds": 0, "reported": {"shards": 0, "files": 0}}
                    },
                },
                "Next": "Follow",
            },
            "Follow": {
                **_step(
                    batch_processor,
                    arns,
                    {
                        "action": "follow",
                        "waited_seconds.$": "$.progress.answer.wait_seconds",
                        "reported.$": "$.progress.answer.reported",
                    },
                ),
                "ResultPath": "$.progress",
                "Catch": _caught("RecordFailure"),
                "Next": "Settled",
            },
            "Settled": {
                "Type": "Choice",
                "Choices": [
                    {
                        "Variable": "$.progress.answer.settled",
                        "BooleanEquals": True,
                        "Next": "AnnounceEnd",
                    }
                ],
                "Default": "Wait",
            },
            "Wait": {
                "Type": "Wait",
                "SecondsPath": "$.progress.answer.wait_seconds",
                "Next": "Follow",
            },
            # The batch has ended and its record says how; only the announcement can still fail.
            "AnnounceEnd": {
                **_announcement(messaging, arns, "$.progress.answer.notification"),
                "Catch": _caught("SetAside"),
                "End": True,
            },
            **_failure(batch_processor, messaging, arns),
        },
    }


def _ranges(batch_processor: PythonFunction, arns: Arns) -> dict[str, Any]:
    """Return the Map over the ranges: none of a refused file, each retried for itself.

    A range waits while the queue behind it is full.
    """
    invocation = invoke_task(
        batch_processor,
        arns,
        payload={
            "action": "range",
            "batch.$": "$.batch",
            "columns.$": "$.columns",
            "range.$": "$.range",
        },
        timeout_seconds=TASK_TIMEOUT_SECONDS,
    )
    return {
        "Type": "Map",
        "ItemsPath": "$.plan.answer.ranges",
        "ItemSelector": {
            "batch.$": "$.batch",
            "columns.$": "$.plan.answer.columns",
            "range.$": "$$.Map.Item.Value",
        },
        "MaxConcurrency": RANGES_AT_ONCE,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Range",
            "States": {
                "Range": {
                    **invocation,
                    "ResultSelector": {"wait_seconds.$": "$.Payload.wait_seconds"},
                    "ResultPath": "$.answer",
                    "Retry": [retry("States.ALL", seconds=5, attempts=6, at_most_seconds=120)],
                    "Next": "Queued",
                },
                "Queued": {
                    "Type": "Choice",
                    "Choices": [
                        {
                            "Variable": "$.answer.wait_seconds",
                            "NumericGreaterThan": 0,
                            "Next": "WaitForRoom",
                        }
                    ],
                    "Default": "Done",
                },
                "WaitForRoom": {
                    "Type": "Wait",
                    "SecondsPath": "$.answer.wait_seconds",
                    "Next": "Range",
                },
                # What all ranges know together might not fit into the state.
                "Done": {"Type": "Succeed", "OutputPath": None},
            },
        },
        "ResultPath": None,
    }


def _failure(
    batch_processor: PythonFunction, messaging: Messaging, arns: Arns
) -> dict[str, dict[str, Any]]:
    """Return the way out: what cannot be recorded or announced is still set aside."""
    set_aside_anyway = _passed_over("SetAside")
    return {
        "RecordFailure": {
            **_step(batch_processor, arns, {"action": "fail"}),
            "ResultPath": "$.failure",
            "Catch": set_aside_anyway,
            "Next": "AnnounceFailure",
        },
        "AnnounceFailure": {
            **_announcement(messaging, arns, "$.failure.answer.notification"),
            "Catch": set_aside_anyway,
            "Next": "SetAside",
        },
        "SetAside": {
            **_set_aside(
                arns,
                messaging.dead_letter_queue,
                {"MessageBody": {"batch.$": "$.batch", "size.$": "$.size", "error.$": "$.error"}},
                attempts=20,
            ),
            "Next": "Fail",
        },
        "Fail": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
    }


def _step(batch_processor: PythonFunction, arns: Arns, payload: dict[str, Any]) -> dict[str, Any]:
    task = invoke_task(
        batch_processor,
        arns,
        payload={"batch.$": "$.batch", **payload},
        timeout_seconds=TASK_TIMEOUT_SECONDS,
    )
    return {**task, "ResultSelector": {"answer.$": "$.Payload"}, "Retry": _RETRY}


def _announcement(
    messaging: Messaging, arns: Arns, notification: str, *, attempts: int = 20
) -> dict[str, Any]:
    return publish_task(
        messaging.topic,
        arns,
        message=notification,
        attributes={"event_type": f"{notification}.event_type"},
        attempts=attempts,
    )


def _set_aside(
    arns: Arns, queue: SqsQueue, message: dict[str, Any], *, attempts: int
) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:{arns.partition}:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": queue.url, **message},
        "ResultPath": None,
        "Retry": [retry("States.ALL", seconds=2, attempts=attempts, at_most_seconds=300)],
    }


def _caught(state: str) -> list[dict[str, Any]]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": state}]


def _passed_over(state: str) -> list[dict[str, Any]]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": state}]
