"""The state machine that takes one batch file from uploaded to every payment final."""

from typing import Any, Final

from constructs import Construct

from lib.config import Workflow
from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.functions.batch_processor import BATCH_TIMEOUT_SECONDS
from lib.functions.compute import Compute
from lib.kit.arns import Arns
from lib.kit.function import PythonFunction
from lib.kit.iam import Statement
from lib.kit.state_machine import add_state_machine, invoke_task, publish_task, retry

TASK_TIMEOUT_SECONDS: Final = BATCH_TIMEOUT_SECONDS + 10
RANGES_AT_ONCE: Final = 20
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
                    sid="SetAsideFailedBatches",
                    actions=("sqs:SendMessage",),
                    resources=(messaging.dead_letter_queue.arn,),
                ),
                environment.encryption.use_through("sns", "sqs"),
            ],
            runs_maps=True,
        )


_RETRY: Final = [retry("States.ALL", seconds=2, attempts=8, at_most_seconds=120)]


def definition(batch_processor: PythonFunction, messaging: Messaging, arns: Arns) -> dict[str, Any]:
    """Return the workflow in the Amazon States Language.

    Its input is ``{"batch": {"batch_id", "bucket", "key", "version_id"}, "size"}``, the size in
    bytes. A refused file and a declined payment are successes of the workflow; it fails only if
    the file could not be carried through, and then it is set aside with all that another try needs.
    """
    return {
        "Comment": "One batch file, from uploaded to every payment final",
        "StartAt": "BeginToPlan",
        "TimeoutSeconds": EXECUTION_TIMEOUT_SECONDS,
        "States": {
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
            "AnnounceStart": {
                **_announcement(messaging, arns, "$.plan.answer.notification"),
                "Catch": _caught("RecordFailure"),
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
    """Return the Map over the ranges: none of a refused file, each retried for itself."""
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
                    # Answers of all ranges together might not fit into the state.
                    "OutputPath": None,
                    "Retry": [retry("States.ALL", seconds=5, attempts=6, at_most_seconds=120)],
                    "End": True,
                }
            },
        },
        "ResultPath": None,
    }


def _failure(
    batch_processor: PythonFunction, messaging: Messaging, arns: Arns
) -> dict[str, dict[str, Any]]:
    """Return the way out: what cannot be recorded or announced is still set aside."""
    set_aside_anyway = [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "SetAside"}]
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
            "Type": "Task",
            "Resource": f"arn:{arns.partition}:states:::sqs:sendMessage",
            "Parameters": {
                "QueueUrl": messaging.dead_letter_queue.url,
                "MessageBody": {"batch.$": "$.batch", "size.$": "$.size", "error.$": "$.error"},
            },
            "ResultPath": None,
            "Retry": [retry("States.ALL", seconds=2, attempts=20, at_most_seconds=300)],
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


def _announcement(messaging: Messaging, arns: Arns, notification: str) -> dict[str, Any]:
    return publish_task(
        messaging.topic,
        arns,
        message=notification,
        attributes={"event_type": f"{notification}.event_type"},
        attempts=20,
    )


def _caught(state: str) -> list[dict[str, Any]]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": state}]
