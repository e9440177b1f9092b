"""Payments in DynamoDB."""

from functools import cache

from payments.aws.payments import PaymentStore, Tables
from payments.runtime.clients import client
from payments.runtime.settings import setting


@cache
def payment_store() -> PaymentStore:
    """Return payments as they stand, and their audit trail."""
    tables = Tables(
        payments=setting("PAYMENTS_TABLE"),
        processing_status=setting("PROCESSING_STATUS_TABLE"),
        audit_logs=setting("AUDIT_LOGS_TABLE"),
    )
    return PaymentStore(client("dynamodb"), tables)
