"""A payment as it leaves the system: in answers and in events."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from payments.core.audit import KIND, AuditRecord
from payments.core.content import Content
from payments.core.money import to_decimal_text
from payments.core.operation import Operation, OperationKind, OperationStatus
from payments.core.payment import Failure, Payment, PaymentStatus


def describe(payment: Payment) -> dict[str, Any]:
    """Return the payment as an answer shows it.

    An event shows the same, except the optional fields: ids at the processor are not announced.
    """
    described = _described(
        payment.content,
        payment.status,
        created_at=payment.created_at,
        updated_at=payment.updated_at,
        failure=payment.failure,
    )
    return {**described, **payment.content.options}


def announcement(record: AuditRecord) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the event that an audit record announces, and the attributes subscribers filter by.

    The event is made from the record alone, so it is the same however often and whenever it is
    published. ``event_id`` follows from the record, so that subscribers recognise a repeated event.

    Args:
        record: one that has an ``event_type``.

    Raises:
        LookupError, TypeError, ValueError: the record is not as this release writes it.
    """
    for type_, names in _TYPES.items():
        for name in names:
            if not isinstance(record[name], type_):
                raise TypeError(f"{name} is {type(record[name]).__name__}, not {type_.__name__}")
    failure = None
    if "failure_code" in record:
        failure = Failure(str(record["failure_code"]), str(record["failure_message"]))
    document = {
        "event_id": f"{record['payment_id']}:{record['sequence']}",
        "event_type": record["event_type"],
        "sequence": record["sequence"],
        "occurred_at": record["at"],
        "correlation_id": record["correlation_id"],
    }
    content = Content.from_dict(record)
    if record["kind"] != KIND:
        document["payment"] = _subject(content)
        document["operation"] = _operation(record, content, failure)
        return document, _attributes(document, document["operation"]["status"])
    document["payment"] = _described(
        content,
        PaymentStatus(record["to"]),
        created_at=record["created_at"],
        updated_at=record["at"],
        failure=failure,
    )
    return document, _attributes(document, document["payment"]["status"])


_TYPES: Final = {
    str: (
        "kind",
        "payment_id",
        "event_type",
        "at",
        "created_at",
        "correlation_id",
        "currency",
        "to",
    ),
    int: ("sequence", "amount_minor", "exponent"),
}
"""What an announcement needs of a record."""


def _attributes(document: Mapping[str, Any], status: str) -> dict[str, str]:
    return {
        "event_type": document["event_type"],
        "status": status,
        "currency": document["payment"]["currency"],
    }


def describe_amounts(payment: Payment) -> dict[str, str]:
    """Return what is authorised, captured, refunded and left of a payment, as decimal strings."""
    exponent = payment.content.exponent
    return {
        name: to_decimal_text(value, exponent) for name, value in asdict(payment.amounts).items()
    }


def describe_operation(operation: Operation, payment: Payment) -> dict[str, Any]:
    """Return an operation as clients see it, in answers and events alike."""
    return _described_operation(
        operation.kind,
        operation.operation_id,
        operation.status,
        to_decimal_text(operation.amount_minor, payment.content.exponent),
        operation.amount_minor,
        requested_at=operation.requested_at,
        updated_at=operation.updated_at,
        failure=operation.failure,
    ) | {"attempts": operation.attempts}


def _operation(record: AuditRecord, content: Content, failure: Failure | None) -> dict[str, Any]:
    amount, attempt = record["operation_minor"], record["attempt"]
    if not (isinstance(amount, int) and isinstance(attempt, int)):
        raise TypeError("a number of the operation is damaged")
    if not isinstance(record["operation_id"], str):
        raise TypeError("the operation is damaged")
    return _described_operation(
        OperationKind(record["kind"]),
        record["operation_id"],
        OperationStatus(record["to"]),
        to_decimal_text(amount, content.exponent),
        amount,
        requested_at=record["created_at"],
        updated_at=record["at"],
        failure=failure,
        # What waits for a person was not tried yet.
    ) | {"attempts": 0 if record["to"] == OperationStatus.IN_REVIEW else attempt + 1}


def _described_operation(
    kind: OperationKind,
    operation_id: str,
    status: OperationStatus,
    amount: str,
    amount_minor: int,
    *,
    requested_at: str,
    updated_at: str,
    failure: Failure | None,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "kind": kind.value,
        "operation_id": operation_id,
        "amount": amount,
        "amount_minor": amount_minor,
        "status": status.value,
        "requested_at": requested_at,
        "updated_at": updated_at,
    }
    if failure is not None:
        body["failure_code"] = failure.code
        body["failure_message"] = failure.message
    return body


def _subject(content: Content) -> dict[str, Any]:
    return {
        "payment_id": content.payment_id,
        "amount": content.amount,
        "amount_minor": content.amount_minor,
        "currency": content.currency,
    }


def _described(
    content: Content,
    status: PaymentStatus,
    *,
    created_at: str,
    updated_at: str,
    failure: Failure | None,
) -> dict[str, Any]:
    body: dict[str, Any] = {
        **_subject(content),
        "status": status.value,
        "created_at": created_at,
        "updated_at": updated_at,
    }
    # A payment that is closed, and not recorded as failed yet, has a failure already.
    if failure is not None and status is PaymentStatus.FAILED:
        body["failure_code"] = failure.code
        body["failure_message"] = failure.message
    return body
