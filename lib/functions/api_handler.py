"""The function that answers the REST API, whose routes invoke it."""

from constructs import Construct

from lib.config import Function
from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.foundation.storage import BY_TIME, DUE_OPERATIONS, OPEN_PAYMENTS, Storage
from lib.kit.function import FunctionCode, Limits, PythonFunction
from lib.kit.iam import Statement


def add_api_handler(
    scope: Construct,
    *,
    environment: Environment,
    code: FunctionCode,
    storage: Storage,
    messaging: Messaging,
) -> PythonFunction:
    """Make the function that takes payments and answers what became of them."""
    return PythonFunction(
        scope,
        Function.API_HANDLER,
        environment=environment,
        code=code,
        description="Takes payments over HTTP and answers what became of them",
        limits=Limits(
            timeout_seconds=15,
            memory_mb=1024,
            reserved_concurrency=environment.profile.api_concurrency,
        ),
        variables={
            "REVIEW_ABOVE": environment.config.review_above,
            "PAYMENT_PROCESSOR": environment.config.processor,
            "PAYMENTS_TABLE": storage.payments_table.name,
            "PROCESSING_STATUS_TABLE": storage.processing_status_table.name,
            "AUDIT_LOGS_TABLE": storage.audit_logs_table.name,
            "PAYMENT_OPERATIONS_TABLE": storage.operations_table.name,
            "PAYMENT_EVENTS_QUEUE_URL": messaging.events_queue.url,
            "PAYMENT_ROWS_QUEUE_URL": messaging.rows_queue.url,
        },
        permissions=[
            Statement(
                sid="AcceptPayments",
                actions=("dynamodb:PutItem",),
                resources=(
                    storage.payments_table.arn,
                    storage.audit_logs_table.arn,
                    storage.operations_table.arn,
                ),
            ),
            Statement(
                # And decisions about payments in review.
                sid="ReserveAmounts",
                actions=("dynamodb:UpdateItem",),
                resources=(storage.payments_table.arn,),
            ),
            Statement(
                # A cancellation ends the row of a file that brought the payment.
                sid="CountRows",
                actions=("dynamodb:UpdateItem",),
                resources=(storage.processing_status_table.arn,),
            ),
            Statement(
                sid="ReadPayments",
                actions=("dynamodb:BatchGetItem", "dynamodb:GetItem"),
                resources=(storage.payments_table.arn,),
            ),
            Statement(
                sid="ReadOperations",
                actions=("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"),
                resources=(storage.operations_table.arn,),
            ),
            Statement(
                sid="ListRefundsInReview",
                actions=("dynamodb:Query",),
                resources=(f"{storage.operations_table.arn}/index/{DUE_OPERATIONS.name}",),
            ),
            Statement(
                sid="ListPayments",
                actions=("dynamodb:Query",),
                resources=tuple(
                    f"{storage.payments_table.arn}/index/{index.name}"
                    for index in (BY_TIME, OPEN_PAYMENTS)
                ),
            ),
            Statement(
                sid="ReadHistoryAndBatches",
                actions=("dynamodb:Query",),
                resources=(storage.audit_logs_table.arn, storage.processing_status_table.arn),
            ),
            Statement(
                sid="QueuePayments",
                actions=("sqs:SendMessage",),
                resources=(messaging.events_queue.arn, messaging.rows_queue.arn),
            ),
            environment.encryption.use_through("dynamodb", "sqs"),
        ],
    )
