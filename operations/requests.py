"""What an operator may ask for, as requests that the command line and the console send alike."""

import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from botocore.exceptions import BotoCoreError

from operations.api import Answer, PaymentsApi
from operations.journal import Journal, Request

_HEX_BYTES: Final = 12


def new_id(kind: str) -> str:
    """Return an id that nobody else makes, such as ``pay_9f3c146f2f0e6993bbab82e4``."""
    return f"{kind}_{secrets.token_hex(_HEX_BYTES)}"


def payment(fields: Mapping[str, str], *, api: str) -> Request:
    """Return a payment to make: its id, amount, currency and what else was given."""
    payment_id = fields["payment_id"]
    return Request(
        name=f"payment-{payment_id}",
        what=f"pay {fields['amount']} {fields['currency']} as {payment_id}",
        method="POST",
        path="/payments",
        body=dict(fields),
        api=api,
    )


def refund(
    payment_id: str, refund_id: str, amount: str | None, reason: str | None, *, api: str
) -> Request:
    """Return a refund; without an amount it is of all that is left."""
    body = _given(refund_id=refund_id, amount=amount, reason=reason)
    how_much = amount or "all that is left"
    return Request(
        name=f"refund-{payment_id}-{refund_id}",
        what=f"refund {how_much} of {payment_id} as {refund_id}",
        method="POST",
        path=f"{path_of(payment_id)}/refunds",
        body=body,
        api=api,
    )


def capture(
    payment_id: str, capture_id: str, amount: str | None, *, final: bool, api: str
) -> Request:
    """Return a capture of an authorised payment; the last one unless ``final`` is false."""
    body = _given(capture_id=capture_id, amount=amount) | ({} if final else {"final": False})
    how_much = amount or "all that is left"
    return Request(
        name=f"capture-{payment_id}-{capture_id}",
        what=f"capture {how_much} of {payment_id} as {capture_id}",
        method="POST",
        path=f"{path_of(payment_id)}/captures",
        body=body,
        api=api,
    )


def cancel(payment_id: str, reason: str | None, *, api: str) -> Request:
    """Return the cancellation of a payment that has captured nothing."""
    return Request(
        name=f"cancel-{payment_id}",
        what=f"cancel {payment_id}",
        method="POST",
        path=f"{path_of(payment_id)}/cancel",
        body=_given(reason=reason),
        api=api,
    )


def review(
    payment_id: str, decision: str, note: str, *, api: str, refund_id: str | None = None
) -> Request:
    """Return a decision about a payment that waits for a second person, or about a refund of one."""
    name, what, path = f"review-{payment_id}-{decision}", payment_id, path_of(payment_id)
    if refund_id is not None:
        name = f"review-{payment_id}-{refund_id}-{decision}"
        what = f"the refund {refund_id} of {payment_id}"
        path += f"/refunds/{quote(refund_id, safe='')}"
    return Request(
        name=name,
        what=f"{decision} {what}",
        method="POST",
        path=f"{path}/review",
        body={"decision": decision, "note": note},
        api=api,
    )


def send(api: PaymentsApi, journal: Journal, request: Request) -> Answer:
    """Remember a request, send it, and forget it once it is answered.

    Raises:
        NoAnswer: it may have arrived; it stays in the journal, to be sent again.
        BotoCoreError: it was certainly not sent.
        OSError: it could not be remembered, and so was not sent.
    """
    journal.remember(request)
    try:
        answer = api.request(request.method, request.path, body=request.body)
    except BotoCoreError:
        journal.forget(request)
        raise
    journal.forget(request)
    return answer


def path_of(payment_id: str) -> str:
    """Return the path of a payment, whatever its id holds."""
    return f"/payments/{quote(payment_id, safe='')}"


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
