"""The alarms."""

from typing import Final

from cdktf_cdktf_provider_aws.sfn_state_machine import SfnStateMachine
from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue

from lib.config import Function, StackConfig, Workflow
from lib.edge.api import Api
from lib.foundation.messaging import WAITING_SECONDS, Messaging
from lib.kit.alarm import Alarm, Metric
from lib.kit.function import PythonFunction
from lib.watch.watched import Watched
from lib.workflows.batch import BatchWorkflow
from lib.workflows.payment import PaymentWorkflow
from lib.workflows.sweep import SWEEP_MINUTES


def function_errors(function: PythonFunction) -> Alarm:
    """5 errors within 10 minutes, failed messages included; every function has this one."""
    return Alarm(
        name=f"{function.short_name}-errors",
        description=(
            f"{function.short_name} failed, or could not handle a message or record, 5 times or more "
            "within 10 minutes. Events are retried and nothing is lost yet. First: read the newest ERROR lines of the function's log "
            "group; if a deployment preceded them, roll it back."
        ),
        metric=Metric(
            namespace="AWS/Lambda",
            name="Errors",
            dimensions={"FunctionName": function.name},
            statistic="Sum",
        ),
        added=[
            Metric(
                namespace="AWS/Lambda",
                name="FailedInvokeEventCount",
                dimensions={"EventSourceMappingUUID": mapping.uuid},
                statistic="Sum",
            )
            for mapping in function.event_sources
        ],
        threshold=5,
        period_seconds=600,
    )


def function_throttles(function: PythonFunction) -> Alarm:
    """Any refused invocation within 5 minutes; every function has this one."""
    return Alarm(
        name=f"{function.short_name}-throttles",
        description=(
            f"Lambda refused to run {function.short_name} at least once within 5 minutes, for want "
            "of concurrency: requests wait or are answered with an error, and nothing is lost. "
            "First: compare the account's concurrent executions with its limit, and ask AWS for "
            "more if the traffic is real."
        ),
        metric=Metric(
            namespace="AWS/Lambda",
            name="Throttles",
            dimensions={"FunctionName": function.name},
            statistic="Sum",
        ),
        threshold=1,
        period_seconds=300,
    )


def api_latency(api: Api) -> Alarm:
    """The slowest hundredth of requests takes three seconds or more."""
    return Alarm(
        name="payment-api-latency",
        description=(
            "One request in a hundred took 3 seconds or more within 5 minutes: clients wait, and "
            "may give up and ask again, which is safe. First: look on the dashboard whether "
            "api-handler itself is slow; if so, look at a slow trace for the call that takes long."
        ),
        metric=Metric(
            namespace="AWS/ApiGateway",
            name="Latency",
            dimensions={"ApiName": api.rest_api.name, "Stage": api.stage.stage_name},
            statistic="p99",
        ),
        threshold=3000,
        period_seconds=300,
    )


def _of_sweep(config: StackConfig, name: str) -> Metric:
    """Return what the sweep counted: the most of any one sweep."""
    return Metric(
        namespace=config.metrics_namespace,
        name=name,
        dimensions={"service": Function.PAYMENT_PROCESSOR},
        statistic="Maximum",
    )


def stuck_payments(config: StackConfig) -> Alarm:
    """The sweep found payments that are not final 15 minutes after they were accepted."""
    return Alarm(
        name="payments-stuck",
        description=(
            "At least one payment is still open 15 minutes after it was accepted, and was put back "
            "on its queue; or no sweep has told anything for 10 minutes. First: find 'payment is "
            "stuck' in the log of payment-processor and follow the id with payments trace; many "
            "of them mean that the processor or the queue's consumer is down. Nothing in the log: "
            "look whether the schedule payment-sweep is enabled."
        ),
        metric=_of_sweep(config, "StuckPayments"),
        threshold=1,
        # Two sweeps, so that none that comes a little late ends the alarm.
        period_seconds=2 * SWEEP_MINUTES * 60,
        silence_fires=True,
    )


_OPERATIONS_SECONDS: Final = 2 * 15 * 60
"""An open operation is looked at every 15 minutes: twice as long, so that no alarm flutters."""


def stuck_operations(config: StackConfig) -> Alarm:
    """The sweep found operations that are still open 15 minutes after it looked at them."""
    return Alarm(
        name="operations-stuck",
        description=(
            "At least one refund, capture or cancellation is still open 15 minutes after it was "
            "accepted, and was put back on its queue. What it reserved stays reserved, and nothing "
            "is done twice. First: find 'operation is stuck' in the log of payment-processor, and "
            "follow the payment with payments trace: a refund may be waiting for the bank."
        ),
        metric=_of_sweep(config, "StuckOperations"),
        threshold=1,
        period_seconds=_OPERATIONS_SECONDS,
    )


def refused_releases(config: StackConfig) -> Alarm:
    """Authorisations have expired, and the processor refused to release them."""
    return Alarm(
        name="releases-refused",
        description=(
            "At least one authorisation was not captured in time, and the processor refused to "
            "release it: the customer's money may still be held, and the payment stays AUTHORIZED. "
            "It is asked again once a day. First: find 'release was refused' in the log of "
            "payment-processor; payments trace shows the processor's reason."
        ),
        metric=_of_sweep(config, "RefusedReleases"),
        threshold=1,
        period_seconds=2 * SWEEP_MINUTES * 60,
    )


def late_reviews(config: StackConfig) -> Alarm:
    """Payments wait for a second person for more than four hours."""
    return Alarm(
        name="reviews-late",
        description=(
            "At least one payment waits for a decision for more than four hours; after 72 it fails. "
            "First: payments review list shows what waits; ask an approver who did not submit it."
        ),
        metric=_of_sweep(config, "LateReviews"),
        threshold=1,
        period_seconds=2 * SWEEP_MINUTES * 60,
    )


def processor_refusals(config: StackConfig) -> tuple[Alarm, ...]:
    """The processor does not accept us; only a real one can refuse."""
    if config.stripe is None:
        return ()
    return (
        Alarm(
            name="payment-processor-refusals",
            description=(
                "The processor did not accept us at least once within 5 minutes: no key, a wrong "
                "or revoked one, or an answer that is not what was asked for. Payments wait, "
                "nobody is declined, and all goes on by itself once it is fixed. First: payments "
                "processor status, and the reason in the log lines 'payment waits'."
            ),
            metric=Metric(
                namespace=config.metrics_namespace,
                name="ProcessorRefusals",
                dimensions={"service": Function.PAYMENT_PROCESSOR},
                statistic="Sum",
            ),
            threshold=1,
            period_seconds=300,
        ),
    )


def processor_failures(messaging: Messaging) -> Alarm:
    """A sweep, or the news of a dead workflow, that the payment processor failed to handle."""
    return Alarm(
        name="payment-processor-failures-messages",
        description=(
            "payment-processor failed to handle a sweep for stuck payments, or the news that a "
            "workflow died, three times: payments may be stuck. First: read the message, whose "
            "responsePayload names the error, and the ERROR lines of payment-processor's log; fix "
            "the cause, then purge the queue: the next sweep finds all that is stuck."
        ),
        metric=_queue_metric(messaging.failures_queue.name, "ApproximateNumberOfMessagesVisible"),
        threshold=1,
        period_seconds=60,
    )


def announcement_alarms(messaging: Messaging, publisher: PythonFunction) -> tuple[Alarm, ...]:
    """Events that are announced late, or could not be announced."""
    return (
        Alarm(
            name="payment-announcements-dlq-messages",
            description=(
                "At least one event could not be announced in 12 hours, or a record could not be "
                "read, or the start of a batch was not announced: no money is at risk, but "
                "subscribers do not know of something. First: read the message. Fix the cause, "
                "announce the time in question again with payments republish, then purge the "
                "queue."
            ),
            metric=_queue_metric(
                messaging.announcements_dead_letter_queue.name,
                "ApproximateNumberOfMessagesVisible",
            ),
            threshold=1,
            period_seconds=60,
        ),
        Alarm(
            name="event-publisher-age",
            description=(
                "The oldest record that event-publisher works on is 15 minutes old or more: "
                "payments go on, but subscribers hear of them late. First: look at the ERROR lines "
                "of event-publisher's log, and whether SNS refuses its events."
            ),
            metric=Metric(
                namespace="AWS/Lambda",
                name="IteratorAge",
                dimensions={"FunctionName": publisher.name},
                statistic="Maximum",
            ),
            threshold=900_000,
            period_seconds=300,
        ),
    )


def undelivered(dead_letter_queue: SqsQueue) -> Alarm:
    """A notification that its subscriber did not take, however often it was tried."""
    return Alarm(
        # The queue's node has its name without the environment's.
        name=f"{dead_letter_queue.node.id}-messages",
        description=(
            "At least one notification could not be delivered to its subscriber: no money is at "
            "risk, but somebody does not know of something. First: fix the endpoint, then send "
            "it the messages of this dead-letter queue."
        ),
        metric=_queue_metric(dead_letter_queue.name, "ApproximateNumberOfMessagesVisible"),
        threshold=1,
        period_seconds=60,
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
    """Any dead letter, and payments by API that wait too long; rows of a file may take hours."""
    return (
        Alarm(
            name="payment-events-dlq-messages",
            description=(
                "At least one message could not be handled, or an uploaded file could not be "
                "carried through: payments wait for a person. First: read the message and its "
                "attribute reason in the dead-letter queue, and look for the payment or batch id "
                "in the log of payment-processor or batch-processor. Fix the cause, then put "
                "payments and files back with payments redrive."
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
                "The oldest payment by API has waited 15 minutes or more: payments are accepted "
                "but not processed. First: look whether payment-processor is throttled or "
                "failing, and whether its event source mapping is enabled."
            ),
            metric=_queue_metric(messaging.events_queue.name, "ApproximateAgeOfOldestMessage"),
            threshold=900,
            period_seconds=60,
        ),
        Alarm(
            name="payment-rows-age",
            description=(
                "The oldest row of a file has waited two days or more: after four SQS drops it, and "
                "its batch never ends. First: look whether payment-processor is throttled or "
                "failing, and how fast the processor lets it go on; upload no more files until the "
                "queue is shorter. A file whose rows were dropped may be uploaded again: what was "
                "paid is recognised."
            ),
            metric=_queue_metric(messaging.rows_queue.name, "ApproximateAgeOfOldestMessage"),
            threshold=WAITING_SECONDS // 2,
            period_seconds=300,
        ),
    )


def payment_workflow_alarms(workflow: PaymentWorkflow) -> tuple[Alarm, ...]:
    """Executions that ended without an outcome."""
    return _workflow_alarms(
        Workflow.PAYMENT,
        workflow.state_machine,
        meaning="the outcome of its payment is not known yet; the payment was put back on its "
        "queue, which starts the next execution",
        action="open the execution and look at its last error; payments trace shows whether the "
        "payment has come to its end since",
    )


def batch_workflow_alarms(workflow: BatchWorkflow) -> tuple[Alarm, ...]:
    """Executions that ended before their file was carried through."""
    return _workflow_alarms(
        Workflow.BATCH,
        workflow.state_machine,
        meaning="rows of its file are not queued, or nobody follows those that are",
        action="open the execution, whose name is the batch id, look at its last error, and "
        "once the cause is gone put the file back with payments redrive: rows that were queued "
        "are recognised",
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


def all_alarms(config: StackConfig, watched: Watched) -> tuple[Alarm, ...]:
    """Return every alarm of an environment."""
    return (
        *(function_errors(function) for function in watched.compute.functions),
        *(function_throttles(function) for function in watched.compute.functions),
        *queue_alarms(watched.messaging),
        api_server_errors(watched.api),
        api_latency(watched.api),
        stuck_payments(config),
        stuck_operations(config),
        refused_releases(config),
        late_reviews(config),
        processor_failures(watched.messaging),
        *processor_refusals(config),
        *announcement_alarms(watched.messaging, watched.compute.event_publisher),
        *(undelivered(queue) for queue in watched.subscriptions.dead_letter_queues),
        *payment_workflow_alarms(watched.workflow),
        *batch_workflow_alarms(watched.batch_workflow),
    )
