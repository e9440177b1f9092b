"""The function that charges payments, invoked by the queue, by a workflow and by the sweep."""

from typing import Final

from cdktf_cdktf_provider_aws.lambda_event_source_mapping import (
    LambdaEventSourceMapping,
    LambdaEventSourceMappingScalingConfig,
)
from cdktf_cdktf_provider_aws.lambda_function_event_invoke_config import (
    LambdaFunctionEventInvokeConfig,
    LambdaFunctionEventInvokeConfigDestinationConfig,
    LambdaFunctionEventInvokeConfigDestinationConfigOnFailure,
)
from constructs import Construct

from lib.config import Function, Profile, StackConfig, Workflow
from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.foundation.secrets import ProcessorKey
from lib.foundation.storage import DUE_OPERATIONS, HELD_PAYMENTS, OPEN_PAYMENTS, Storage
from lib.kit.function import COUNT_EVENTS, FunctionCode, Limits, PythonFunction
from lib.kit.iam import Statement
from lib.kit.state_machine import may_run, state_machine_arn

QUEUE_BATCH_SIZE: Final = 10
ASYNC_RETRIES: Final = 2
ASYNC_EVENT_AGE_SECONDS: Final = 6 * 3600


TURN_SECONDS: Final = 3
"""How long an invocation takes at a limited processor: ten messages wait for their turns, then ask
twice and write. With so many messages in hand, the processor is asked all the time; with more, they
would wait in invocations that are paid by the second."""

_LEAST_CONCURRENCY: Final = 2
"""https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html#events-sqs-max-concurrency"""


def consumption(profile: Profile, rate: int | None) -> tuple[int, int]:
    """Return how many messages an invocation takes of a queue, and how many invocations there are.

    Args:
        profile: what bounds them where the processor does not.
        rate: payments a second that the processor takes, if it is limited.
    """
    if rate is None:
        return QUEUE_BATCH_SIZE, profile.queue_concurrency
    in_hand = rate * TURN_SECONDS
    concurrency = max(_LEAST_CONCURRENCY, -(-in_hand // QUEUE_BATCH_SIZE))
    concurrency = min(concurrency, profile.queue_concurrency)
    return max(1, min(QUEUE_BATCH_SIZE, in_hand // concurrency)), concurrency


def add_payment_processor(
    scope: Construct,
    *,
    environment: Environment,
    code: FunctionCode,
    storage: Storage,
    messaging: Messaging,
    processor_key: ProcessorKey | None,
) -> PythonFunction:
    """Make the function that charges payments, and let messages invoke it."""
    function = PythonFunction(
        scope,
        Function.PAYMENT_PROCESSOR,
        environment=environment,
        code=code,
        description="Charges queued payments, and what a workflow carries on; finds stuck ones",
        limits=Limits(timeout_seconds=30, memory_mb=512),
        variables={
            "REVIEW_ABOVE": environment.config.review_above,
            "PAYMENTS_TABLE": storage.payments_table.name,
            "PROCESSING_STATUS_TABLE": storage.processing_status_table.name,
            "AUDIT_LOGS_TABLE": storage.audit_logs_table.name,
            "PAYMENT_OPERATIONS_TABLE": storage.operations_table.name,
            "PAYMENT_EVENTS_QUEUE_URL": messaging.events_queue.url,
            "PAYMENT_ROWS_QUEUE_URL": messaging.rows_queue.url,
            "PAYMENT_EVENTS_DLQ_URL": messaging.dead_letter_queue.url,
            "PAYMENT_WORKFLOW_ARN": state_machine_arn(Workflow.PAYMENT, environment),
            **_processor_variables(environment.config, processor_key),
        },
        permissions=[
            Statement(
                sid="AddEntries",
                actions=("dynamodb:PutItem",),
                resources=(
                    storage.payments_table.arn,
                    storage.processing_status_table.arn,
                    storage.audit_logs_table.arn,
                    storage.operations_table.arn,
                ),
            ),
            Statement(
                sid="ReadOperations",
                actions=("dynamodb:GetItem",),
                resources=(storage.operations_table.arn,),
            ),
            Statement(
                # A row of a file becomes a refund or is recorded as not paid, never both.
                sid="DecideRowsOnce",
                actions=("dynamodb:ConditionCheckItem",),
                resources=(storage.operations_table.arn, storage.processing_status_table.arn),
            ),
            Statement(
                # In processing-status, the sandbox gateway keeps what it did and batches their counts.
                sid="MovePayments",
                actions=("dynamodb:GetItem", "dynamodb:UpdateItem"),
                resources=(storage.payments_table.arn, storage.processing_status_table.arn),
            ),
            Statement(
                sid="FindWhatIsOpen",
                actions=("dynamodb:Query",),
                resources=(
                    f"{storage.payments_table.arn}/index/{OPEN_PAYMENTS.name}",
                    f"{storage.payments_table.arn}/index/{HELD_PAYMENTS.name}",
                    storage.operations_table.arn,
                    f"{storage.operations_table.arn}/index/{DUE_OPERATIONS.name}",
                ),
            ),
            Statement(
                sid="SendAgainOrSetAside",
                actions=("sqs:SendMessage",),
                resources=(
                    messaging.events_queue.arn,
                    messaging.rows_queue.arn,
                    messaging.dead_letter_queue.arn,
                ),
            ),
            Statement(
                # Lambda does it in the function's name when it gives up on an event.
                sid="ReportFailedEvents",
                actions=("sqs:SendMessage",),
                resources=(messaging.failures_queue.arn,),
            ),
            Statement(
                sid="TakeMessages",
                actions=(
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:ReceiveMessage",
                ),
                resources=(messaging.events_queue.arn, messaging.rows_queue.arn),
            ),
            *may_run(Workflow.PAYMENT, environment),
            *_may_read(processor_key),
            environment.encryption.use_through(
                "dynamodb", "sqs", *(["secretsmanager"] if processor_key else [])
            ),
        ],
    )
    _invoke_for_messages(scope, function, environment, messaging)
    _keep_failures(scope, function, messaging)
    return function


def _processor_variables(config: StackConfig, key: ProcessorKey | None) -> dict[str, str]:
    variables: dict[str, str] = {"PAYMENT_PROCESSOR": config.processor}
    if config.processor_rate is not None:
        variables["PROCESSOR_RATE"] = str(config.processor_rate)
    if config.stripe is not None and key is not None:
        variables |= {
            "PROCESSOR_KEY_ARN": key.arn,
            "PROCESSOR_MODE": "live" if config.stripe.live else "test",
            # Stripe's metadata tells environments apart that share an account.
            "ENVIRONMENT_SUFFIX": config.suffix,
        }
        if config.stripe.api_base is not None:
            variables["STRIPE_API_BASE"] = config.stripe.api_base
    return variables


def _may_read(key: ProcessorKey | None) -> tuple[Statement, ...]:
    if key is None:
        return ()
    return (
        Statement(
            sid="ReadProcessorKey",
            actions=("secretsmanager:GetSecretValue",),
            resources=(key.arn,),
        ),
    )


def _invoke_for_messages(
    scope: Construct, function: PythonFunction, environment: Environment, messaging: Messaging
) -> None:
    batch_size, concurrency = consumption(environment.profile, environment.config.processor_rate)
    for name, queue in (
        ("payment-events", messaging.events_queue),
        ("payment-rows", messaging.rows_queue),
    ):
        mapping = LambdaEventSourceMapping(
            scope,
            name,
            event_source_arn=queue.arn,
            function_name=function.arn,
            batch_size=batch_size,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=LambdaEventSourceMappingScalingConfig(maximum_concurrency=concurrency),
            metrics_config=COUNT_EVENTS,
        )
        function.event_sources.append(mapping)


def _keep_failures(scope: Construct, function: PythonFunction, messaging: Messaging) -> None:
    """Keep the events of sweeps and dead workflows that the function fails to handle.

    EventBridge invokes it asynchronously, so only Lambda knows of such a failure:
    https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html
    """
    LambdaFunctionEventInvokeConfig(
        scope,
        "payment-processor-failures",
        function_name=function.name,
        qualifier=function.qualifier,
        maximum_retry_attempts=ASYNC_RETRIES,
        maximum_event_age_in_seconds=ASYNC_EVENT_AGE_SECONDS,
        destination_config=LambdaFunctionEventInvokeConfigDestinationConfig(
            on_failure=LambdaFunctionEventInvokeConfigDestinationConfigOnFailure(
                destination=messaging.failures_queue.arn
            )
        ),
    )
