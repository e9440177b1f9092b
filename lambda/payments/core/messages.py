"""Queue messages: JSON with a kind and a format version, amounts in minor units."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from payments.core.content import Content, RefundContent
from payments.core.faults import FieldError, InvalidMessage, NewerMessage
from payments.core.fields import (
    CURRENCY,
    OPTIONAL_FIELDS,
    PAYMENT_ID,
    REFUND_FIELDS,
    check_refund,
    option_fault,
)
from payments.core.money import MAX_EXPONENT, MAX_MINOR_UNITS
from payments.core.operation import Operation, OperationKind, OperationRef
from payments.core.payment import API, Payment, PaymentRequest, PaymentStatus
from payments.core.review import Person

FORMAT: Final = 3
"""The version of the messages that this code writes, and the newest that it reads.

A release raises it when it adds a kind or a field that older code must not ignore. Older code
leaves such messages in the queue. A message without such a field keeps the older format.
"""

_BASIC_FORMAT: Final = 1
_EXTENDED_FORMAT: Final = 2

PAYMENT: Final = "payment"
"""The kind of a message that asks for a payment to be carried through."""

OPERATION: Final = "operation"
"""The kind of a message that asks for an operation on a payment to be carried through."""

REFUND_ROW: Final = "refund-row"
"""The kind of a message that asks for a refund as a row of a file does."""

SOURCE: Final = re.compile(r"api|batch:batch_[0-9a-f]{32}:[1-9][0-9]{0,17}")
"""What the source of a payment looks like; always used with ``fullmatch``."""

ROW_SOURCE: Final = re.compile(r"batch:batch_[0-9a-f]{32}:[1-9][0-9]{0,17}")
"""What the source of a row looks like; always used with ``fullmatch``."""

SUBMITTER: Final = re.compile(r"[A-Za-z0-9+=,.@:_-]{1,128}")
"""What IAM's unique id of who uploaded a file looks like; always used with ``fullmatch``."""

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

    @property
    def payment_id(self) -> str:
        """The payment's id."""
        return self.request.payment_id

    @property
    def source(self) -> str:
        """Where the payment came from."""
        return self.request.source

    @property
    def correlation_id(self) -> str:
        """The one request or row that asked for the payment."""
        return self.request.correlation_id

    def again(self) -> Self:
        """Return the message as it is sent again."""
        return replace(self, tries=self.tries + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """About how many messages are in a queue: those to be received next, and those put off."""

    waiting: int
    delayed: int


@dataclass(frozen=True, slots=True)
class OperationMessage:
    """An operation on its way through a queue; ``tries`` is as a payment's.

    ``source`` and ``correlation_id`` are the operation's.
    """

    which: OperationRef
    source: str
    correlation_id: str
    tries: int = 0

    @property
    def payment_id(self) -> str:
        """The payment that the operation is on."""
        return self.which.payment_id

    def again(self) -> Self:
        """Return the message as it is sent again."""
        return replace(self, tries=self.tries + 1)


@dataclass(frozen=True, slots=True)
class RefundRowMessage:
    """A row of a file that asks for a refund, on its way through a queue; ``tries`` is as a payment's.

    The refund is accepted only when the message is handled. ``submitter`` is who uploaded the file,
    if that is known.
    """

    content: RefundContent
    source: str
    correlation_id: str
    submitter: Person | None = None
    tries: int = 0

    @property
    def payment_id(self) -> str:
        """The payment that the refund is on."""
        return self.content.payment_id

    def again(self) -> Self:
        """Return the message as it is sent again."""
        return replace(self, tries=self.tries + 1)


type Message = PaymentMessage | OperationMessage | RefundRowMessage


def operation_message(operation: Operation, tries: int = 0) -> OperationMessage:
    """Return the message about an operation."""
    return OperationMessage(operation.ref, operation.source, operation.correlation_id, tries)


def encode_message(message: Message) -> str:
    """Return the text of a message."""
    if isinstance(message, OperationMessage):
        return _encode_operation(message)
    if isinstance(message, RefundRowMessage):
        return _encode_refund_row(message)
    request, accepted = message.request, message.accepted
    document = {
        "kind": PAYMENT,
        "version": _EXTENDED_FORMAT if request.content.options else _BASIC_FORMAT,
        **request.content.to_dict(),
        **({} if request.submitter is None else {"submitted_by": request.submitter.id}),
        "source": request.source,
        "correlation_id": request.correlation_id,
    }
    if accepted is not None:
        document["created_at"] = accepted.created_at
        document["audit_hash"] = accepted.audit_hash
    if message.tries:
        document["tries"] = message.tries
    return json.dumps(document, separators=(",", ":"))


def _encode_operation(message: OperationMessage) -> str:
    document = {
        "kind": OPERATION,
        "version": _EXTENDED_FORMAT,
        "payment_id": message.payment_id,
        "operation": message.which.kind.value,
        "operation_id": message.which.operation_id,
        "source": message.source,
        "correlation_id": message.correlation_id,
    }
    if message.tries:
        document["tries"] = message.tries
    return json.dumps(document, separators=(",", ":"))


def _encode_refund_row(message: RefundRowMessage) -> str:
    document = {
        "kind": REFUND_ROW,
        "version": FORMAT,
        **message.content.to_dict(),
        **({} if message.submitter is None else {"submitted_by": message.submitter.id}),
        "source": message.source,
        "correlation_id": message.correlation_id,
    }
    if message.tries:
        document["tries"] = message.tries
    return json.dumps(document, separators=(",", ":"))


def refund_row_message(
    batch_id: str, line: int, content: RefundContent, submitted_by: str | None = None
) -> RefundRowMessage:
    """Return the message of a row of a file of refunds."""
    origin = f"{batch_id}:{line}"
    submitter = None if submitted_by is None else Person.of(submitted_by)
    return RefundRowMessage(content, f"batch:{origin}", origin, submitter)


def message_of(payment: Payment) -> PaymentMessage:
    """Return the message about a stored payment.

    Only a payment that is as it was accepted is described as such: what has moved on is read from
    the table when the message is handled.
    """
    # Its submitter is known where it is stored.
    request = PaymentRequest(payment.content, payment.source, payment.correlation_id)
    # Only the table tells whether a second person must look at it, and what they decided.
    is_new = payment.status is PaymentStatus.PENDING and payment.review is None
    return PaymentMessage(request, accepted=payment if is_new else None)


def encode_row(batch_id: str, line: int, content: Content, submitted_by: str | None = None) -> str:
    """Return the message of a row of a file, as :func:`encode_message` would write it.

    Written out, because a large file has millions of rows and most have nothing to escape.
    """
    payment_id, amount_minor, currency, exponent, *_ = content
    version, more = _BASIC_FORMAT, ""
    if not content.is_basic:
        version = _EXTENDED_FORMAT
        more = "".join(f'"{name}":{json.dumps(value)},' for name, value in content.options.items())
    if submitted_by is not None:
        more += f'"submitted_by":"{submitted_by}",'
    origin = f"{batch_id}:{line}"
    return (
        f'{{"kind":"{PAYMENT}","version":{version},"payment_id":"{payment_id}",'
        f'"amount_minor":{amount_minor},"currency":"{currency}","exponent":{exponent},{more}'
        f'"source":"batch:{origin}","correlation_id":"{origin}"}}'
    )


def decode_message(body: str) -> Message:
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
    document.setdefault("tries", 0)
    match document.get("kind"):
        case kind if kind == PAYMENT:
            return _checked(document, _payment_faults, _message)
        case kind if kind == OPERATION:
            return _checked(document, _operation_faults, _operation)
        case kind if kind == REFUND_ROW:
            return _checked(document, _refund_row_faults, _refund_row)
        case _:
            raise InvalidMessage(f"kind must be {PAYMENT!r}, {OPERATION!r} or {REFUND_ROW!r}")


def _checked[M](
    document: dict[str, Any],
    faults: Callable[[dict[str, Any]], list[FieldError]],
    read: Callable[[dict[str, Any]], M],
) -> M:
    found = faults(document)
    if found:
        raise InvalidMessage("; ".join(f"{fault.field} {fault.message}" for fault in found))
    return read(document)


def _operation(document: dict[str, Any]) -> OperationMessage:
    which = OperationRef(
        document["payment_id"], OperationKind(document["operation"]), document["operation_id"]
    )
    return OperationMessage(
        which,
        document["source"],
        document["correlation_id"],
        document["tries"],
    )


def _refund_row(document: dict[str, Any]) -> RefundRowMessage:
    return RefundRowMessage(
        RefundContent.from_dict(document),
        document["source"],
        document["correlation_id"],
        _submitter(document),
        document["tries"],
    )


def _message(document: dict[str, Any]) -> PaymentMessage:
    content = Content.from_dict(document)
    request = PaymentRequest(
        content,
        document["source"],
        document["correlation_id"],
        submitter=_submitter(document),
    )
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
    return PaymentMessage(request, accepted, document["tries"])


def _submitter(document: Mapping[str, Any]) -> Person | None:
    submitted_by = document.get("submitted_by")
    return None if submitted_by is None else Person.of(submitted_by)


def _submitter_faults(document: Mapping[str, Any]) -> list[FieldError]:
    who = document.get("submitted_by", "x")
    if isinstance(who, str) and SUBMITTER.fullmatch(who):
        return []
    return [FieldError("submitted_by", "invalid_format", "must be an id of IAM")]


def _operation_faults(document: dict[str, Any]) -> list[FieldError]:
    return [
        *_malformed(
            document,
            ("payment_id", PAYMENT_ID, "a payment id"),
            ("operation", _OPERATION_KIND, "a kind of operation"),
            ("operation_id", PAYMENT_ID, "an id"),
            *_ORIGIN,
        ),
        *_miscounted(document, ("tries", 0, MAX_MINOR_UNITS)),
    ]


def _refund_row_faults(document: dict[str, Any]) -> list[FieldError]:
    faults = [
        *_malformed(document, ("source", ROW_SOURCE, "a row of a batch"), _ORIGIN[1]),
        *_miscounted(document, ("tries", 0, MAX_MINOR_UNITS)),
    ]
    faults.extend(_submitter_faults(document))
    texts = [document.get(name) for name in REFUND_FIELDS] + [document.get("reason", "x")]
    if not all(isinstance(text, str) for text in texts):
        return [*faults, FieldError("row", "invalid_type", "must have texts in its fields")]
    payment_id, refund_id, amount, reason = map(str, texts)
    checked = check_refund(payment_id, refund_id, amount, {"reason": reason})
    return faults if isinstance(checked, RefundContent) else [*faults, *checked]


def _payment_faults(document: dict[str, Any]) -> list[FieldError]:
    faults = [
        *_malformed(
            document,
            ("payment_id", PAYMENT_ID, "a payment id"),
            # Not today's list of currencies: what was accepted in one is paid also after its end.
            ("currency", CURRENCY, "an ISO 4217 code"),
            *_ORIGIN,
        ),
        *_miscounted(
            document,
            ("amount_minor", 1, MAX_MINOR_UNITS),
            ("exponent", 0, MAX_EXPONENT),
            ("tries", 0, MAX_MINOR_UNITS),
        ),
    ]
    faults.extend(
        fault
        for name in OPTIONAL_FIELDS
        if name in document and (fault := option_fault(name, document[name])) is not None
    )
    faults.extend(_submitter_faults(document))
    if "audit_hash" in document or "created_at" in document:
        faults.extend(
            _malformed(
                document,
                ("audit_hash", _SHA256, "a SHA-256 in hexadecimal"),
                ("created_at", _TIME, "a time in UTC"),
            )
        )
    return faults


def _malformed(
    document: dict[str, Any], *forms: tuple[str, re.Pattern[str], str]
) -> list[FieldError]:
    return [
        FieldError(name, "invalid_format", f"must be {expected}")
        for name, form, expected in forms
        if not (isinstance(document.get(name), str) and form.fullmatch(document[name]))
    ]


def _miscounted(document: dict[str, Any], *ranges: tuple[str, int, int]) -> list[FieldError]:
    return [
        FieldError(name, "invalid_type", f"must be an integer from {least} to {most}")
        for name, least, most in ranges
        if not _is_integer(document.get(name), least, most)
    ]


def _is_integer(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


_CORRELATION_ID: Final = re.compile(r"[!-~]{1,128}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}Z")
_OPERATION_KIND: Final = re.compile("|".join(OperationKind))
_ORIGIN: Final = (
    ("source", SOURCE, f"{API!r} or a row of a batch"),
    ("correlation_id", _CORRELATION_ID, "1 to 128 printable characters"),
)
