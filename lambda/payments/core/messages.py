"""Queue messages: flat JSON, amounts in minor units."""

import json
from typing import Any

from payments.core.faults import FieldError, InvalidMessage
from payments.core.fields import PAYMENT_ID
from payments.core.money import EXPONENTS
from payments.core.payment import Payment, PaymentRequest


def encode_message(request: PaymentRequest | Payment) -> str:
    """Return the queue message of a payment: flat JSON, amount in minor units."""
    return json.dumps(
        {
            "payment_id": request.payment_id,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "source": request.source,
            "correlation_id": request.correlation_id,
        },
        separators=(",", ":"),
    )


def decode_message(body: str) -> PaymentRequest:
    """Read a queue message back.

    Raises:
        InvalidMessage: it is no payment message; the faults are named, the content is not.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidMessage("the message is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidMessage("the message is not a JSON object")
    faults = _message_faults(document)
    if faults:
        raise InvalidMessage("; ".join(f"{fault.field} {fault.message}" for fault in faults))
    return PaymentRequest(
        payment_id=document["payment_id"],
        amount_minor=document["amount_minor"],
        currency=document["currency"],
        source=document["source"],
        correlation_id=document["correlation_id"],
    )


def _message_faults(document: dict[str, Any]) -> list[FieldError]:
    faults = [
        FieldError(name, "invalid_type", "must be a string that is not empty")
        for name in ("payment_id", "currency", "source", "correlation_id")
        if not (isinstance(document.get(name), str) and document[name])
    ]
    amount = document.get("amount_minor")
    if type(amount) is not int or amount <= 0:
        faults.append(FieldError("amount_minor", "invalid_type", "must be a positive integer"))
    if not faults and not PAYMENT_ID.fullmatch(document["payment_id"]):
        faults.append(FieldError("payment_id", "invalid_format", "is not a payment id"))
    if not faults and document["currency"] not in EXPONENTS:
        faults.append(FieldError("currency", "unknown_currency", "is not an ISO 4217 code in use"))
    return faults
