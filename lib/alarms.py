"""One way to make an alarm, and the alarms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from cdktf_cdktf_provider_aws.sfn_state_machine import SfnStateMachine
from constructs import Construct

from lib.api import Api
from lib.batch_workflow import BatchWorkflow
from lib.compute import Compute
from lib.config import StackConfig, Workflow
from lib.function import PythonFunction
from lib.messaging import Messaging
from lib.workflow import PaymentWorkflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One CloudWatch metric of one resource."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: Literal["Sum", "Maximum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Fires when ``metric`` reaches ``threshold`` within ``period_seconds``."""

    name: str
    description: str
    metric: Metric = field(repr=False)
    threshold: int
    period_seconds: int


def add_alarm(
    scope: Construct, alarm: Alarm, *, config: StackConfig, messaging: Messaging
) -> CloudwatchMetricAlarm:
    """Make the alarm ``{name}-{suffix}``, which tells the topic when it fires and when it ends."""
    return CloudwatchMetricAlarm(
        scope,
        alarm.name,
        alarm_name=config.name(alarm.name),
        alarm_description=alarm.description,
        namespace=alarm.metric.namespace,
        metric_name=alarm.metric.name,
        dimensions=alarm.metric.dimensions,
        statistic=alarm.metric.statistic,
        period=alarm.period_seconds,
        evaluation_periods=1,
        threshold=alarm.threshold,
        comparison_operator="GreaterThanOrEqualToThreshold",
        treat_missing_data="notBreaching",
        alarm_actions=[messaging.topic.arn],
        ok_actions=[messaging.topic.arn],
    )


def function_errors(function: PythonFunction) -> Alarm:
    """5 errors within 10 minutes; every function has this one."""
    return Alarm(
        name=f"{function.short_name}-errors",
        description=(
            f"{function.short_name} failed 5 times or more within 10 minutes. Events are retried "
            "and nothing is lost yet. First: read the newest ERROR lines of the function's log "
            "group; if a deployment preceded them, roll it back."
        ),
        metric=Metric(
            namespace="AWS/Lambda",
            name="Errors",
            dimensions={"FunctionName": function.resource.function_name},
            statistic="Sum",
        ),
        threshold=5,
        period_seconds=600,
    )


def api_server_errors(api: Api) -> Alarm:
    """10 answers of the 5xx kind within 10 minutes."""
    return Alarm(
        name="payment-api-5xx",
        description=(
            "The API answered 10 requests or more with 5xx within 10 minutes: clients are told to "
            "retry, and no payment was promised to them. First: look at the errors of api-handler "
            "and at the health of DynamoDB and SQS."
        ),
        metric=Metric(
            namespace="AWS/ApiGateway",
            name="5XXError",
            dimensions={"ApiName": api.rest_api.name, "Stage": api.stage.stage_name},
            statistic="Sum",
        ),
        threshold=10,
        period_seconds=600,
    )


def queue_alarms(messaging: Messaging) -> tuple[Alarm, ...]:
    """Any dead letter, and events that wait too long."""
    return (
        Alarm(
            name="payment-events-dlq-messages",
            description=(
                "At least one message could not be handled after 5 receives, or an uploaded file "
                "could not be carried through: payments wait for a person. First: read the "
                "message in the dead-letter queue. A payment: look for its id in the "
                "payment-processor log, mend the cause, then redrive the queue. A file (bucket "
                "and key): look for its batch id in the batch-processor log, mend the cause, "
                "upload the file again, whose queued rows are recognised, and delete the message."
            ),
            metric=_queue_metric(
                messaging.dead_letter_queue.name, "ApproximateNumberOfMessagesVisible"
            ),
            threshold=1,
            period_seconds=60,
        ),
        Alarm(
            name="payment-events-age",
            description=(
                "The oldest payment event has waited 15 minutes or more: payments are accepted "
                "but not processed. First: look whether payment-processor is throttled or "
                "failing, and whether its event source mapping is enabled."
            ),
            metric=_queue_metric(messaging.events_queue.name, "ApproximateAgeOfOldestMessage"),
            threshold=900,
            period_seconds=60,
        ),
    )


def payment_workflow_alarms(workflow: PaymentWorkflow) -> tuple[Alarm, ...]:
    """Executions that ended without an announced outcome."""
    return _workflow_alarms(
        Workflow.PAYMENT,
        workflow.state_machine,
        meaning="the outcome of its payment is unknown or was not announced",
        action="open the execution, whose name is the payment id, look at its last error, and "
        "redrive it once the cause is gone",
    )


def batch_workflow_alarms(workflow: BatchWorkflow) -> tuple[Alarm, ...]:
    """Executions that ended before their file was carried through."""
    return _workflow_alarms(
        Workflow.BATCH,
        workflow.state_machine,
        meaning="rows of its file are not queued, or nobody follows those that are",
        action="open the execution, whose name is the batch id, look at its last error, and "
        "upload the file again once the cause is gone: rows that were queued are recognised",
    )


def _workflow_alarms(
    workflow: Workflow, state_machine: SfnStateMachine, *, meaning: str, action: str
) -> tuple[Alarm, ...]:
    return tuple(
        Alarm(
            name=f"{workflow}-{name}",
            description=(
                f"At least one execution of {workflow} {what}: {meaning}. First: {action}."
            ),
            metric=Metric(
                namespace="AWS/States",
                name=metric_name,
                dimensions={"StateMachineArn": state_machine.arn},
                statistic="Sum",
            ),
            threshold=1,
            period_seconds=60,
        )
        for name, metric_name, what in (
            ("failures", "ExecutionsFailed", "failed"),
            ("timeouts", "ExecutionsTimedOut", "ran out of time"),
        )
    )


def _queue_metric(queue_name: str, name: str) -> Metric:
    return Metric(
        namespace="AWS/SQS",
        name=name,
        dimensions={"QueueName": queue_name},
        statistic="Maximum",
    )


def all_alarms(
    *,
    messaging: Messaging,
    compute: Compute,
    workflow: PaymentWorkflow,
    batch_workflow: BatchWorkflow,
    api: Api,
) -> tuple[Alarm, ...]:
    """Return every alarm of an environment."""
    return (
        *(function_errors(function) for function in compute.functions),
        *queue_alarms(messaging),
        api_server_errors(api),
        *payment_workflow_alarms(workflow),
        *batch_workflow_alarms(batch_workflow),
    )
