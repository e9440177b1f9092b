"""The function that charges payments, invoked by the queue, by a workflow and by the sweep."""

from typing import Final

from cdktf_cdktf_provider_aws.lambda_event_source_mapping import (
    LambdaEventSourceMapping,
    LambdaEventSourceMappingScalingConfig,
)
from constructs import Construct

from lib.config import Function, Workflow
from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.foundation.storage import OPEN_PAYMENTS, Storage
from lib.kit.function import FunctionCode, Limits, PythonFunction
from lib.kit.iam import Statement
from lib.kit.state_machine import may_run, state_machine_arn

QUEUE_BATCH_SIZE: Final = 10


def add_payment_processor(
    scope: Construct,
    *,
    environment: Environment,
    code: FunctionCode,
    storage: Storage,
    messaging: Messaging,
) -> PythonFunction:
    """Make the function that charges payments, and let messages invoke it."""
    function = PythonFunction(
        scope,
        Function.PAYMENT_PROCESSOR,
        environment=environment,
        code=code,
        description="Starts a workflow for each queued payment, and charges for the workflow",
        limits=Limits(timeout_seconds=30, memory_mb=512),
        variables={
            "PAYMENTS_TABLE": storage.payments_table.name,
            "PROCESSING_STATUS_TABLE": storage.processing_status_table.name,
            "AUDIT_LOGS_TABLE": storage.audit_logs_table.name,
            "PAYMENT_EVENTS_QUEUE_URL": messaging.events_queue.url,
            "PAYMENT_WORKFLOW_ARN": state_machine_arn(Workflow.PAYMENT, environment),
        },
        permissions=[
            Statement(
                sid="AddEntries",
                actions=("dynamodb:PutItem",),
                resources=(
                    storage.payments_table.arn,
                    storage.processing_status_table.arn,
                    storage.audit_logs_table.arn,
                ),
            ),
            Statement(
                # In processing-status, the sandbox gateway keeps what it did.
                sid="MovePayments",
                actions=("dynamodb:GetItem", "dynamodb:UpdateItem"),
                resources=(storage.payments_table.arn, storage.processing_status_table.arn),
            ),
            Statement(
                sid="FindOpenPayments",
                actions=("dynamodb:Query",),
                resources=(f"{storage.payments_table.arn}/index/{OPEN_PAYMENTS.name}",),
            ),
            Statement(
                sid="PutBackStuckPayments",
                actions=("sqs:SendMessage",),
                resources=(messaging.events_queue.arn,),
            ),
            Statement(
                sid="TakeMessages",
                actions=(
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:ReceiveMessage",
                ),
                resources=(messaging.events_queue.arn,),
            ),
            *may_run(Workflow.PAYMENT, environment),
            environment.encryption.use_through("dynamodb", "sqs"),
        ],
    )
    _invoke_for_messages(scope, function, environment, messaging)
    return function


def _invoke_for_messages(
    scope: Construct, function: PythonFunction, environment: Environment, messaging: Messaging
) -> None:
    LambdaEventSourceMapping(
        scope,
        "payment-events",
        event_source_arn=messaging.events_queue.arn,
        function_name=function.resource.arn,
        batch_size=QUEUE_BATCH_SIZE,
        function_response_types=["ReportBatchItemFailures"],
        scaling_config=LambdaEventSourceMappingScalingConfig(
            maximum_concurrency=environment.profile.queue_concurrency
        ),
    )
