"""Queue messages: JSON with a kind and a format version, amounts in minor units."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from payments.core.content import Content
from payments.core.faults import FieldError, InvalidMessage, NewerMessage
from payments.core.fields import CURRENCY, OPTIONAL_FIELDS, PAYMENT_ID, option_fault
from payments.core.money import MAX_EXPONENT, MAX_MINOR_UNITS
from payments.core.payment import API, Payment, PaymentRequest, PaymentStatus

FORMAT: Final = 2
"""The version of the messages that this code writes, and the newest that it reads.

A release that adds a kind or a field which older code must not ignore raises it. Older code lets
such messages wait; it never guesses. A message without such a field keeps the format before.
"""

_BASIC_FORMAT: Final = 1

PAYMENT: Final = "payment"
"""The kind of a message that asks for a payment to be carried through."""

SOURCE: Final = re.compile(r"api|batch:batch_[0-9a-f]{32}:[1-9][0-9]{0,17}")
"""What the source of a payment looks like; always used with ``fullmatch``."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PaymentMessage:
    """A payment on its way through a queue.

    ``accepted`` is the payment as it was accepted, in a message about one that is stored already;
    a row of a file is stored only when its message is handled. ``tries`` counts how often the
    message was sent again because something was busy, from 0.
    """

    request: PaymentRequest
    accepted: Payment | None = None
    tries: int = 0

    def again(self) -> Self:
        """Return the message as it is sent again."""
        return replace(self, tries=self.tries + 1)


def encode_message(message: PaymentMessage) -> str:
    """Return the text of a message."""
    request, accepted = message.request, message.accepted
    document = {
        "kind": PAYMENT,
        "version": FORMAT if request.content.options else _BASIC_FORMAT,
        **request.content.to_dict(),
        "source": request.source,
        "correlation_id": request.correlation_id,
    }
    if accepted is not None:
        document["created_at"] = accepted.created_at
        document["audit_hash"] = accepted.audit_hash
    if message.tries:
        document["tries"] = message.tries
    return json.dumps(document, separators=(",", ":"))


def message_of(payment: Payment) -> PaymentMessage:
    """Return the message about a stored payment.

    Only a payment that is as it was accepted is described as such: what has moved on is read from
    the table when the message is handled.
    """
    request = PaymentRequest(payment.content, payment.source, payment.correlation_id)
    is_new = payment.status is PaymentStatus.PENDING
    return PaymentMessage(request, accepted=payment if is_new else None)


def encode_row(batch_id: str, line: int, content: Content) -> str:
    """Return the message of a row of a file, as :func:`encode_message` would write it.

    Written out, because a valid row has nothing to escape and a large file has millions of them.
    """
    payment_id, amount_minor, currency, exponent, *_ = content
    options = content.options
    version = FORMAT if options else _BASIC_FORMAT
    more = "".join(f'"{name}":"{value}",' for name, value in options.items())
    origin = f"{batch_id}:{line}"
    return (
        f'{{"kind":"{PAYMENT}","version":{version},"payment_id":"{payment_id}",'
        f'"amount_minor":{amount_minor},"currency":"{currency}","exponent":{exponent},{more}'
        f'"source":"batch:{origin}","correlation_id":"{origin}"}}'
    )


def decode_message(body: str) -> PaymentMessage:
    """Read a message back, checked like a request.

    Raises:
        InvalidMessage: it is no message of ours; the faults are named, the content is not.
        NewerMessage: a newer release wrote it.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidMessage("the message is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidMessage("the message is not a JSON object")
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise InvalidMessage("version must be a positive integer")
    if version > FORMAT:
        raise NewerMessage(f"its version is {version}, and this release reads up to {FORMAT}")
    if document.get("kind") != PAYMENT:
        raise InvalidMessage(f"kind must be {PAYMENT!r}")
    faults = _faults(document)
    if faults:
        raise InvalidMessage("; ".join(f"{fault.field} {fault.message}" for fault in faults))
    return _message(document)


def _message(document: dict[str, Any]) -> PaymentMessage:
    content = Content.from_dict(document)
    request = PaymentRequest(content, document["source"], document["correlation_id"])
    accepted = None
    if "audit_hash" in document:
        accepted = Payment(
            content=content,
            status=PaymentStatus.PENDING,
            version=1,
            content_hash=content.hash,
            source=request.source,
            correlation_id=request.correlation_id,
            created_at=document["created_at"],
            updated_at=document["created_at"],
            audit_hash=document["audit_hash"],
        )
    return PaymentMessage(request, accepted, document.get("tries", 0))


def _faults(document: dict[str, Any]) -> list[FieldError]:
    faults = [
        FieldError(name, "invalid_format", f"must be {expected}")
        for name, form, expected in (
            ("payment_id", PAYMENT_ID, "a payment id"),
            # Not today's list of currencies: what was accepted in one is paid also after its end.
            ("currency", CURRENCY, "an ISO 4217 code"),
            ("source", SOURCE, f"{API!r} or a row of a batch"),
            ("correlation_id", _CORRELATION_ID, "1 to 128 printable characters"),
        )
        if not (isinstance(document.get(name), str) and form.fullmatch(document[name]))
    ]
    faults.extend(
        FieldError(name, "invalid_type", f"must be an integer from {least} to {most}")
        for name, least, most, default in (
            ("amount_minor", 1, MAX_MINOR_UNITS, None),
            ("exponent", 0, MAX_EXPONENT, None),
            ("tries", 0, MAX_MINOR_UNITS, 0),
        )
        if not _is_integer(document.get(name, default), least, most)
    )
    faults.extend(
        fault
        for name in OPTIONAL_FIELDS
        if name in document and (fault := option_fault(name, document[name])) is not None
    )
    if "audit_hash" in document or "created_at" in document:
        faults.extend(
            FieldError(name, "invalid_format", f"must be {expected}")
            for name, form, expected in (
                ("audit_hash", _SHA256, "a SHA-256 in hexadecimal"),
                ("created_at", _TIME, "a time in UTC"),
            )
            if not (isinstance(document.get(name), str) and form.fullmatch(document[name]))
        )
    return faults


def _is_integer(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


_CORRELATION_ID: Final = re.compile(r"[!-~]{1,128}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}Z")
