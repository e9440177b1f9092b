"""What is known of batches, in DynamoDB."""

from functools import cache

from payments.aws.batches import BatchStore
from payments.runtime.clients import client
from payments.runtime.settings import setting


@cache
def batch_store() -> BatchStore:
    """Return what is known of batches."""
    return BatchStore(client("dynamodb"), setting("PROCESSING_STATUS_TABLE"))
