"""One way to make a state machine, and the states that both workflows are made of."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import CloudwatchEventTarget
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from cdktf_cdktf_provider_aws.sfn_state_machine import (
    SfnStateMachine,
    SfnStateMachineLoggingConfiguration,
    SfnStateMachineTracingConfiguration,
)
from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from constructs import Construct

from lib.config import Workflow
from lib.environment import Environment
from lib.kit.arns import Arns
from lib.kit.function import PythonFunction
from lib.kit.iam import Statement, compact_json
from lib.kit.role import ServiceRole

# X-Ray has no resources: https://docs.aws.amazon.com/step-functions/latest/dg/xray-iam.html
_WRITE_WORKFLOW_TRACES: Final = Statement(
    sid="WriteTraces",
    actions=(
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    ),
    resources=("*",),
)

# Log deliveries have no resources: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
_DELIVER_LOGS: Final = Statement(
    sid="DeliverLogs",
    actions=(
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
    ),
    resources=("*",),
)


def state_machine_arn(workflow: Workflow, environment: Environment) -> str:
    """Return the ARN of a workflow by its name, for parts that are made before the workflow."""
    return environment.arn("states", f"stateMachine:{workflow}")


def may_run(workflow: Workflow, environment: Environment) -> tuple[Statement, ...]:
    """Allow a role to start executions of a workflow."""
    return (
        Statement(
            sid="StartWorkflow",
            actions=("states:StartExecution",),
            resources=(state_machine_arn(workflow, environment),),
        ),
    )


def add_state_machine(
    scope: Construct,
    workflow: Workflow,
    *,
    environment: Environment,
    definition: Mapping[str, Any],
    permissions: Sequence[Statement],
    runs_maps: bool = False,
) -> SfnStateMachine:
    """Make the Standard workflow ``{workflow}-{suffix}`` with its log group and its role.

    ``permissions`` are those that its states need; logs and traces come with every workflow.
    ``runs_maps`` says that one of its states is a distributed Map, whose items are executions of
    the same state machine.
    """
    machine_arn = state_machine_arn(workflow, environment)
    log_group = CloudwatchLogGroup(
        scope,
        "log-group",
        name=environment.config.workflow_log_group(workflow),
        retention_in_days=environment.profile.log_retention_days,
        kms_key_id=environment.key.arn,
    )
    role = ServiceRole(
        scope,
        "role",
        environment=environment,
        name=workflow,
        service="states.amazonaws.com",
        trust_conditions={
            # Items of a Map run under the ARN of the state machine and the Map's label.
            "ArnLike": {
                "aws:SourceArn": [machine_arn, *([f"{machine_arn}/*"] if runs_maps else [])]
            },
            "StringEquals": {"aws:SourceAccount": environment.arns.account},
        },
        permissions=[
            *permissions,
            *(_run_map_items(workflow, environment) if runs_maps else ()),
            _WRITE_WORKFLOW_TRACES,
            _DELIVER_LOGS,
        ],
    )
    return SfnStateMachine(
        scope,
        "state-machine",
        name=environment.name(workflow),
        type="STANDARD",
        role_arn=role.role.arn,
        definition=compact_json(definition),
        logging_configuration=SfnStateMachineLoggingConfiguration(
            level="ERROR",
            include_execution_data=False,  # it would log payments
            log_destination=f"{log_group.arn}:*",
        ),
        tracing_configuration=SfnStateMachineTracingConfiguration(enabled=True),
        depends_on=[role.policy],
    )


def _run_map_items(workflow: Workflow, environment: Environment) -> tuple[Statement, ...]:
    """See https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html."""
    name = environment.name(workflow)
    return (
        Statement(
            sid="StartMapItems",
            actions=("states:StartExecution",),
            resources=(state_machine_arn(workflow, environment),),
        ),
        Statement(
            sid="WatchMapItems",
            actions=("states:DescribeExecution", "states:StopExecution"),
            resources=(
                environment.arns.of("states", f"execution:{name}:*"),
                environment.arns.of("states", f"execution:{name}/*"),
            ),
        ),
    )


def tell_of_deaths(
    scope: Construct,
    workflow: Workflow,
    *,
    environment: Environment,
    state_machine: SfnStateMachine,
    function: PythonFunction,
) -> None:
    """Let a function hear of each execution that died.

    No catcher sees a time-out of the whole execution, a stop by hand, or a state that grew too
    large: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    rule = CloudwatchEventRule(
        scope,
        "deaths",
        name=environment.name(f"{workflow}-deaths"),
        description=f"Executions of {workflow} that failed, timed out or were stopped",
        event_pattern=compact_json(
            {
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
                "detail": {
                    "stateMachineArn": [state_machine.arn],
                    "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                },
            }
        ),
    )
    LambdaPermission(
        scope,
        "deaths-may-invoke",
        function_name=function.name,
        qualifier=function.qualifier,
        action="lambda:InvokeFunction",
        principal="events.amazonaws.com",
        source_arn=rule.arn,
        source_account=environment.arns.account,
    )
    CloudwatchEventTarget(scope, "tell", rule=rule.name, arn=function.arn)


def invoke_task(
    function: PythonFunction, arns: Arns, *, payload: Mapping[str, Any], timeout_seconds: int
) -> dict[str, Any]:
    """Return a task that calls a function and waits for its answer."""
    return {
        "Type": "Task",
        "Resource": f"arn:{arns.partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": function.arn, "Payload": payload},
        "TimeoutSeconds": timeout_seconds,
    }


def publish_task(
    topic: SnsTopic, arns: Arns, *, message: str, attributes: Mapping[str, str], attempts: int
) -> dict[str, Any]:
    """Return a task that announces something, so many times at most, and keeps its input.

    ``message`` and the values of ``attributes``, by which subscribers filter, are paths.
    """
    return {
        "Type": "Task",
        "Resource": f"arn:{arns.partition}:states:::sns:publish",
        "Parameters": {
            "TopicArn": topic.arn,
            "Message.$": message,
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue.$": path}
                for name, path in attributes.items()
            },
        },
        "ResultPath": None,
        "Retry": [retry("States.ALL", seconds=2, attempts=attempts, at_most_seconds=300)],
    }


def retry(*errors: str, seconds: int, attempts: int, at_most_seconds: int) -> dict[str, Any]:
    """Return a retrier whose delays double, up to a limit, and are scattered below that."""
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": seconds,
        "BackoffRate": 2,
        "MaxAttempts": attempts,
        "MaxDelaySeconds": at_most_seconds,
        "JitterStrategy": "FULL",
    }
