"""A payment as it leaves the system: in answers and in events."""

from typing import Any

from payments.core.payment import Payment


def describe(payment: Payment) -> dict[str, Any]:
    """Return the payment as clients see it, in answers and notifications alike."""
    body: dict[str, Any] = {
        "payment_id": payment.payment_id,
        "amount": payment.content.amount,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "status": payment.status.value,
        "created_at": payment.created_at,
        "updated_at": payment.updated_at,
    }
    if payment.failure is not None:
        body["failure_code"] = payment.failure.code
        body["failure_message"] = payment.failure.message
    return body


def notification(payment: Payment) -> dict[str, Any]:
    """Return the event that announces a payment's status.

    ``event_id`` follows from payment and status alone, so a repeated announcement is recognised.
    """
    return {
        "event_id": f"{payment.payment_id}:{payment.status.value}",
        "event_type": f"payment.{payment.status.value.lower()}",
        "sequence": payment.version,
        "occurred_at": payment.updated_at,
        "correlation_id": payment.correlation_id,
        "payment": describe(payment),
    }
