"""What the batch processor runs on."""

from functools import cache

from payments.aws.dry_runs import DryRunStore
from payments.aws.objects import ObjectStore
from payments.aws.workflows import Workflow
from payments.batches.steps import BatchProcessing
from payments.runtime.batch_records import batch_store
from payments.runtime.clients import client
from payments.runtime.processor import processor_needs
from payments.runtime.queues import message_queue
from payments.runtime.settings import setting
from payments.runtime.workflows import workflow_of


@cache
def batch_workflow() -> Workflow:
    """Return the workflow that carries a batch through."""
    return workflow_of("BATCH_WORKFLOW_ARN")


@cache
def batch_processing() -> BatchProcessing:
    """Return the service behind the steps of a batch's workflow."""
    return BatchProcessing(
        ObjectStore(client("s3")),
        message_queue("PAYMENT_ROWS_QUEUE_URL"),
        batch_store(),
        DryRunStore(
            client("dynamodb"),
            payments_table=setting("PAYMENTS_TABLE"),
            processing_status_table=setting("PROCESSING_STATUS_TABLE"),
            operations_table=setting("PAYMENT_OPERATIONS_TABLE"),
        ),
        setting("BATCH_RESULTS_BUCKET"),
        needs=processor_needs(),
    )
