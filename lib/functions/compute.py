"""The three functions, and the events that invoke them."""

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
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from cdktf_cdktf_provider_aws.s3_bucket_notification import (
    S3BucketNotification,
    S3BucketNotificationLambdaFunction,
)
from constructs import Construct

from lib.config import Function, StackConfig, Workflow
from lib.foundation.messaging import Messaging
from lib.foundation.storage import OPEN_PAYMENTS, Storage
from lib.kit.arns import Arns
from lib.kit.encryption import Encryption
from lib.kit.function import FunctionCode, FunctionContext, PythonFunction
from lib.kit.iam import Statement

BATCH_TIMEOUT_SECONDS: Final = 900
QUEUE_BATCH_SIZE: Final = 10
ASYNC_RETRIES: Final = 2
ASYNC_EVENT_AGE_SECONDS: Final = 6 * 3600


class Compute(Construct):
    """API handler, batch processor and payment processor."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: StackConfig,
        arns: Arns,
        encryption: Encryption,
        storage: Storage,
        messaging: Messaging,
    ) -> None:
        super().__init__(scope, id_)
        context = FunctionContext(
            config=config,
            arns=arns,
            encryption=encryption,
            code=FunctionCode(self, "code", config=config),
        )
        self.api_handler = _api_handler(self, context, storage, messaging)
        self.batch_processor = _batch_processor(self, context, storage, messaging)
        self.payment_processor = _payment_processor(self, context, storage, messaging)
        _invoke_for_uploads(self, self.batch_processor, arns, storage, messaging)
        _invoke_for_messages(self, self.payment_processor, config, messaging)

    @property
    def functions(self) -> tuple[PythonFunction, ...]:
        """Every function."""
        return (self.api_handler, self.batch_processor, self.payment_processor)


def _api_handler(
    scope: Construct, context: FunctionContext, storage: Storage, messaging: Messaging
) -> PythonFunction:
    return PythonFunction(
        scope,
        Function.API_HANDLER,
        context=context,
        description="Takes payments over HTTP and answers what became of them",
        timeout_seconds=15,
        memory_mb=1024,
        environment={
            "PAYMENTS_TABLE": storage.payments_table.name,
            "PROCESSING_STATUS_TABLE": storage.processing_status_table.name,
            "AUDIT_LOGS_TABLE": storage.audit_logs_table.name,
            "PAYMENT_EVENTS_QUEUE_URL": messaging.events_queue.url,
        },
        permissions=[
            Statement(
                sid="AcceptPayments",
                actions=("dynamodb:PutItem",),
                resources=(
                    storage.payments_table.arn,
                    storage.processing_status_table.arn,
                    storage.audit_logs_table.arn,
                ),
            ),
            Statement(
                sid="ReadPayments",
                actions=("dynamodb:GetItem",),
                resources=(storage.payments_table.arn,),
            ),
            Statement(
                sid="ReadHistory",
                actions=("dynamodb:Query",),
                resources=(storage.processing_status_table.arn,),
            ),
            Statement(
                sid="QueuePayments",
                actions=("sqs:SendMessage",),
                resources=(messaging.events_queue.arn,),
            ),
            context.encryption.use_through("dynamodb", "sqs"),
        ],
    )


def _batch_processor(
    scope: Construct, context: FunctionContext, storage: Storage, messaging: Messaging
) -> PythonFunction:
    return PythonFunction(
        scope,
        Function.BATCH_PROCESSOR,
        context=context,
        description="Starts a workflow for each uploaded CSV, and queues its rows for the workflow",
        timeout_seconds=BATCH_TIMEOUT_SECONDS,
        memory_mb=1769,  # one whole CPU, and reading CSV uses no more than one
        environment={
            "PROCESSING_STATUS_TABLE": storage.processing_status_table.name,
            "BATCH_RESULTS_BUCKET": storage.batch_results_bucket.bucket,
            "PAYMENT_EVENTS_QUEUE_URL": messaging.events_queue.url,
            "BATCH_WORKFLOW_ARN": _workflow_arn(context, Workflow.BATCH),
        },
        permissions=[
            Statement(
                # Every read names a version, and then S3 asks for nothing else:
                # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
                sid="ReadBatches",
                actions=("s3:GetObjectVersion",),
                resources=(f"{storage.batch_bucket.arn}/*",),
            ),
            Statement(
                # Without it, S3 answers 403 for a file that is gone, as if it might be there.
                sid="TellWhatIsGone",
                actions=("s3:ListBucket",),
                resources=(storage.batch_bucket.arn,),
            ),
            Statement(
                sid="WriteReports",
                actions=("s3:PutObject",),
                resources=(f"{storage.batch_results_bucket.arn}/*",),
            ),
            Statement(
                sid="RecordAndReadProgress",
                actions=("dynamodb:PutItem", "dynamodb:Query"),
                resources=(storage.processing_status_table.arn,),
            ),
            Statement(
                sid="QueuePayments",
                actions=("sqs:SendMessage",),
                resources=(messaging.events_queue.arn,),
            ),
            Statement(
                # Lambda does it in the function's name when it gives up on an upload.
                sid="ReportFailedUploads",
                actions=("sqs:SendMessage",),
                resources=(messaging.dead_letter_queue.arn,),
            ),
            *_run(context, Workflow.BATCH),
            context.encryption.use_through("dynamodb", "s3", "sqs"),
        ],
    )


def _payment_processor(
    scope: Construct, context: FunctionContext, storage: Storage, messaging: Messaging
) -> PythonFunction:
    return PythonFunction(
        scope,
        Function.PAYMENT_PROCESSOR,
        context=context,
        description="Starts a workflow for each queued payment, and charges for the workflow",
        timeout_seconds=30,
        memory_mb=512,
        environment={
            "PAYMENTS_TABLE": storage.payments_table.name,
            "PROCESSING_STATUS_TABLE": storage.processing_status_table.name,
            "AUDIT_LOGS_TABLE": storage.audit_logs_table.name,
            "PAYMENT_EVENTS_QUEUE_URL": messaging.events_queue.url,
            "PAYMENT_WORKFLOW_ARN": _workflow_arn(context, Workflow.PAYMENT),
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
            *_run(context, Workflow.PAYMENT),
            context.encryption.use_through("dynamodb", "sqs"),
        ],
    )


def _workflow_arn(context: FunctionContext, workflow: Workflow) -> str:
    # A workflow calls the function that starts it, so it comes later and is known by its name.
    return context.arns.of("states", f"stateMachine:{context.config.name(workflow)}")


def _run(context: FunctionContext, workflow: Workflow) -> tuple[Statement, ...]:
    name = context.config.name(workflow)
    return (
        Statement(
            sid="StartWorkflow",
            actions=("states:StartExecution",),
            resources=(_workflow_arn(context, workflow),),
        ),
        Statement(
            sid="LookAtExecutions",
            actions=("states:DescribeExecution",),
            resources=(context.arns.of("states", f"execution:{name}:*"),),
        ),
    )


def _invoke_for_uploads(
    scope: Construct,
    function: PythonFunction,
    arns: Arns,
    storage: Storage,
    messaging: Messaging,
) -> None:
    permission = LambdaPermission(
        scope,
        "batch-bucket-may-invoke",
        function_name=function.resource.function_name,
        action="lambda:InvokeFunction",
        principal="s3.amazonaws.com",
        source_arn=storage.batch_bucket.arn,
        # A bucket's ARN names no account, and a deleted bucket's name is free for anybody.
        source_account=arns.account,
    )
    invoke_config = LambdaFunctionEventInvokeConfig(
        scope,
        "upload-failures",
        function_name=function.resource.function_name,
        maximum_retry_attempts=ASYNC_RETRIES,
        maximum_event_age_in_seconds=ASYNC_EVENT_AGE_SECONDS,
        destination_config=LambdaFunctionEventInvokeConfigDestinationConfig(
            on_failure=LambdaFunctionEventInvokeConfigDestinationConfigOnFailure(
                destination=messaging.dead_letter_queue.arn
            )
        ),
    )
    S3BucketNotification(
        scope,
        "uploads",
        bucket=storage.batch_bucket.id,
        lambda_function=[
            S3BucketNotificationLambdaFunction(
                id="csv-uploads",
                lambda_function_arn=function.resource.arn,
                events=["s3:ObjectCreated:*"],
                filter_suffix=".csv",
            )
        ],
        # The first upload must already find where its failure would go.
        depends_on=[permission, invoke_config],
    )


def _invoke_for_messages(
    scope: Construct, function: PythonFunction, config: StackConfig, messaging: Messaging
) -> None:
    LambdaEventSourceMapping(
        scope,
        "payment-events",
        event_source_arn=messaging.events_queue.arn,
        function_name=function.resource.arn,
        batch_size=QUEUE_BATCH_SIZE,
        function_response_types=["ReportBatchItemFailures"],
        scaling_config=LambdaEventSourceMappingScalingConfig(
            maximum_concurrency=config.profile.queue_concurrency
        ),
    )
