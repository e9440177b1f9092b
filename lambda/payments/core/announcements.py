"""A payment as it leaves the system: in answers and in events."""

from collections.abc import Mapping
from typing import Any, Final

from payments.core.audit import AuditRecord
from payments.core.content import Content
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

    The event is a rendering of the record alone, so that it is the same however often and whenever
    it is published. ``event_id`` follows from the record, by which a repetition is recognised.

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
    content, status = Content.from_dict(record), PaymentStatus(record["to"])
    document = {
        "event_id": f"{record['payment_id']}:{record['sequence']}",
        "event_type": record["event_type"],
        "sequence": record["sequence"],
        "occurred_at": record["at"],
        "correlation_id": record["correlation_id"],
        "payment": _described(
            content,
            status,
            created_at=record["created_at"],
            updated_at=record["at"],
            failure=failure,
        ),
    }
    return document, _attributes(document)


_TYPES: Final = {
    str: ("payment_id", "event_type", "at", "created_at", "correlation_id", "currency", "to"),
    int: ("sequence", "amount_minor", "exponent"),
}
"""What an announcement needs of a record."""


def _attributes(document: Mapping[str, Any]) -> dict[str, str]:
    payment = document["payment"]
    return {
        "event_type": document["event_type"],
        "status": payment["status"],
        "currency": payment["currency"],
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
        "payment_id": content.payment_id,
        "amount": content.amount,
        "amount_minor": content.amount_minor,
        "currency": content.currency,
        "status": status.value,
        "created_at": created_at,
        "updated_at": updated_at,
    }
    # A payment that is closed, and not recorded as failed yet, has a failure already.
    if failure is not None and status is PaymentStatus.FAILED:
        body["failure_code"] = failure.code
        body["failure_message"] = failure.message
    return body
