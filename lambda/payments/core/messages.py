"""Queue messages: flat JSON, amounts in minor units."""

import json
from typing import Any

from payments.core.content import Content
from payments.core.faults import FieldError, InvalidMessage
from payments.core.fields import CURRENCY, PAYMENT_ID
from payments.core.money import MAX_EXPONENT
from payments.core.payment import Payment, PaymentRequest


def encode_message(request: PaymentRequest | Payment) -> str:
    """Return the queue message of a payment: flat JSON, amount in minor units."""
    return json.dumps(
        {
            **request.content.to_dict(),
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
        content=Content.from_dict(document),
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
    exponent = document.get("exponent")
    if type(exponent) is not int or not 0 <= exponent <= MAX_EXPONENT:
        faults.append(
            FieldError("exponent", "invalid_type", f"must be an integer from 0 to {MAX_EXPONENT}")
        )
    if not faults and not PAYMENT_ID.fullmatch(document["payment_id"]):
        faults.append(FieldError("payment_id", "invalid_format", "is not a payment id"))
    # Not the list of today: what was accepted in a currency is paid also once its code is withdrawn.
    if not faults and not CURRENCY.fullmatch(document["currency"]):
        faults.append(FieldError("currency", "invalid_format", "is not an ISO 4217 code"))
    return faults
