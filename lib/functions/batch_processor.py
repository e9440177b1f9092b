"""The function that plans, reads and follows batch files, invoked by uploads and by a workflow."""

from typing import Final

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

from lib.config import Function, Workflow
from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.foundation.storage import Storage
from lib.kit.function import FunctionCode, Limits, PythonFunction
from lib.kit.iam import Statement
from lib.kit.state_machine import may_run, state_machine_arn

BATCH_TIMEOUT_SECONDS: Final = 900
ASYNC_RETRIES: Final = 2
ASYNC_EVENT_AGE_SECONDS: Final = 6 * 3600


def add_batch_processor(
    scope: Construct,
    *,
    environment: Environment,
    code: FunctionCode,
    storage: Storage,
    messaging: Messaging,
) -> PythonFunction:
    """Make the function that works on batch files, and let uploads invoke it."""
    function = PythonFunction(
        scope,
        Function.BATCH_PROCESSOR,
        environment=environment,
        code=code,
        description="Starts a workflow for each uploaded CSV, and queues its rows for the workflow",
        limits=Limits(
            timeout_seconds=BATCH_TIMEOUT_SECONDS,
            memory_mb=1769,  # one whole CPU, and reading CSV uses no more than one
        ),
        variables={
            "PAYMENT_PROCESSOR": environment.config.processor,
            "PAYMENTS_TABLE": storage.payments_table.name,
            "PROCESSING_STATUS_TABLE": storage.processing_status_table.name,
            "PAYMENT_OPERATIONS_TABLE": storage.operations_table.name,
            "BATCH_RESULTS_BUCKET": storage.batch_results_bucket.bucket,
            "PAYMENT_ROWS_QUEUE_URL": messaging.rows_queue.url,
            "BATCH_WORKFLOW_ARN": state_machine_arn(Workflow.BATCH, environment),
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
                # A dry run tells which ids are taken, and what is left to refund.
                sid="LookUpForDryRuns",
                actions=("dynamodb:BatchGetItem",),
                resources=(
                    storage.payments_table.arn,
                    storage.operations_table.arn,
                    storage.processing_status_table.arn,
                ),
            ),
            Statement(
                sid="QueueRowsWhileThereIsRoom",
                actions=("sqs:GetQueueAttributes", "sqs:SendMessage"),
                resources=(messaging.rows_queue.arn,),
            ),
            Statement(
                # Lambda does it in the function's name when it gives up on an upload.
                sid="ReportFailedUploads",
                actions=("sqs:SendMessage",),
                resources=(messaging.dead_letter_queue.arn,),
            ),
            *may_run(Workflow.BATCH, environment),
            environment.encryption.use_through("dynamodb", "s3", "sqs"),
        ],
    )
    _invoke_for_uploads(scope, function, environment, storage, messaging)
    return function


def _invoke_for_uploads(
    scope: Construct,
    function: PythonFunction,
    environment: Environment,
    storage: Storage,
    messaging: Messaging,
) -> None:
    permission = LambdaPermission(
        scope,
        "batch-bucket-may-invoke",
        function_name=function.name,
        qualifier=function.qualifier,
        action="lambda:InvokeFunction",
        principal="s3.amazonaws.com",
        source_arn=storage.batch_bucket.arn,
        # A bucket's ARN names no account, and a deleted bucket's name is free for anybody.
        source_account=environment.arns.account,
    )
    invoke_config = LambdaFunctionEventInvokeConfig(
        scope,
        "upload-failures",
        function_name=function.name,
        qualifier=function.qualifier,
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
                # Every object: one that is no CSV file is refused, visibly.
                id="uploads",
                lambda_function_arn=function.arn,
                events=["s3:ObjectCreated:*"],
            )
        ],
        # The first upload must already find where its failure would go.
        depends_on=[permission, invoke_config],
    )
