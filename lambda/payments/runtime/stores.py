"""Payments in DynamoDB."""

from functools import cache

from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore, Tables
from payments.runtime.clients import client
from payments.runtime.settings import setting


@cache
def payment_store() -> PaymentStore:
    """Return payments as they stand, and their audit trail."""
    return PaymentStore(client("dynamodb"), _tables())


@cache
def operation_store() -> OperationStore:
    """Return operations on payments as they stand."""
    return OperationStore(client("dynamodb"), _tables())


def _tables() -> Tables:
    return Tables(
        payments=setting("PAYMENTS_TABLE"),
        processing_status=setting("PROCESSING_STATUS_TABLE"),
        audit_logs=setting("AUDIT_LOGS_TABLE"),
        operations=setting("PAYMENT_OPERATIONS_TABLE"),
    )
