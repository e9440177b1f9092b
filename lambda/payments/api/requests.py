"""Requests of the API: what they carry, read without a float, with all faults together."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any, Final

from payments.core.asking import Asked
from payments.core.content import Content
from payments.core.faults import FieldError, InvalidRequest, PaymentError
from payments.core.fields import (
    FIELDS,
    OPTIONAL_FIELDS,
    PAYMENT_ID,
    ProcessorNeeds,
    check_fields,
    reason_fault,
)
from payments.core.operation import OperationKind
from payments.core.payment import API

MAX_BODY_BYTES: Final = 16 * 1024
"""A request is a few short fields; a longer body is refused with 413."""


class UnknownRoute(PaymentError):
    """API Gateway sent a request that is for no route of this API."""


class UnsupportedMediaType(PaymentError):
    """The body is not declared as JSON."""


class BodyTooLarge(PaymentError):
    """The body is longer than any payment."""


def json_body(event: dict[str, Any]) -> str:
    """Return the body of a request (REST API, proxy integration, payload 1.0) as text.

    Raises:
        UnsupportedMediaType: it is not declared as JSON in UTF-8 or US-ASCII.
        BodyTooLarge: it has more than ``MAX_BODY_BYTES``.
        InvalidRequest: it is not in the encoding that it is declared in.
    """
    encoding = _encoding(_content_type(event))
    body: str = event.get("body") or ""
    if len(body) > MAX_BODY_BYTES * 2:
        raise BodyTooLarge
    try:
        encoded = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
        if len(encoded) > MAX_BODY_BYTES:
            raise BodyTooLarge
        # RFC 8259, section 8.1, lets a reader ignore a byte order mark.
        return encoded.decode(encoding).removeprefix("\ufeff")
    except ValueError:
        raise InvalidRequest([FieldError("body", "not_utf8", _MUST_BE[encoding])]) from None


_MUST_BE: Final = {
    "utf-8": "must be encoded as UTF-8",
    "ascii": "must have ASCII characters only, as charset=us-ascii says, or be UTF-8",
}

_ENCODINGS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii"}
"""The charsets that a body may be declared in, and Python's name of each."""

# RFC 9110, section 5.6: a word is its "token"; parameters may be empty. Blanks around "=" are against
# it, but leave no doubt about the meaning.
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(rf"({_WORD}/{_WORD})[ \t]*")
_PARAMETER: Final = re.compile(
    rf';[ \t]*(?:({_WORD})[ \t]*=[ \t]*(?:({_WORD})|"((?:[^"\\]|\\.)*)")[ \t]*)?'
)


def _encoding(content_type: str) -> str:
    """Return the encoding (a codec's name) of a body that is declared as JSON.

    Parameters other than ``charset`` mean nothing for JSON (RFC 8259, section 11).

    Raises:
        UnsupportedMediaType: it is declared as something else, or in another charset.
    """
    declared = content_type.strip(" \t")
    media_type = _MEDIA_TYPE.match(declared)
    if not media_type or media_type[1].lower() != "application/json":
        raise UnsupportedMediaType
    charsets: list[str] = []
    position = media_type.end()
    while position < len(declared):
        parameter = _PARAMETER.match(declared, position)
        if not parameter:
            raise UnsupportedMediaType
        position = parameter.end()
        name, token, quoted = parameter.groups()
        if name and name.lower() == "charset":
            charsets.append(token or re.sub(r"\\(.)", r"\1", quoted))
    encodings = {_ENCODINGS.get(charset.lower()) for charset in charsets} or {"utf-8"}
    encoding = encodings.pop()
    if encoding is None or encodings:
        raise UnsupportedMediaType
    return encoding


def _content_type(event: dict[str, Any]) -> str:
    """Return what the body is declared as; nothing, if it is declared more than once."""
    # API Gateway keeps one value of each name in "headers", and all of them here.
    repeated: dict[str, list[str] | None] = event.get("multiValueHeaders") or {}
    if sum(len(said or ()) for name, said in repeated.items() if _is_content_type(name)) > 1:
        return ""
    headers: dict[str, str | None] = event.get("headers") or {}
    declared = [value for name, value in headers.items() if value and _is_content_type(name)]
    return declared[0] if len(declared) == 1 else ""


def _is_content_type(name: str) -> bool:
    return name.lower() == "content-type"


def path_parameter(event: dict[str, Any], name: str) -> str:
    """Return a parameter of the path, empty if there is none."""
    parameters: dict[str, str | None] = event.get("pathParameters") or {}
    return parameters.get(name) or ""


class _NumberLiteral(str):
    """A JSON number as it was written, so that no float ever exists."""

    __slots__ = ()


def parse_payment_json(text: str, needs: ProcessorNeeds | None = None) -> Content:
    """Read the body of ``POST /payments``, which asks for what the processor ``needs``, too.

    Returns:
        What is asked to be paid.

    Raises:
        InvalidRequest: with all faults of the body together.
    """
    document, errors = parse_object(text)
    values: dict[str, str] = {}
    for name in (*FIELDS, *OPTIONAL_FIELDS):
        value = document.get(name)
        if name not in document:
            if name in FIELDS:
                errors.append(FieldError(name, "required", "is missing"))
        elif isinstance(value, str) and (name == "amount" or type(value) is str):
            values[name] = value
        else:
            kind = "a number or a decimal string" if name == "amount" else "a string"
            errors.append(FieldError(name, "invalid_type", f"must be {kind}"))
    errors.extend(
        FieldError(name[:_SHOWN_NAME_LENGTH], "unknown_field", "is not a field of a payment")
        for name in document
        if name not in FIELDS and name not in OPTIONAL_FIELDS
    )
    # A field that is missing or of the wrong type is checked as a value that has no other fault.
    checked = check_fields(
        values.get("payment_id", "x"),
        values.get("amount", "1"),
        values.get("currency", ""),
        {name: values[name] for name in OPTIONAL_FIELDS if name in values},
        needs,
        amount_is_number=isinstance(document.get("amount"), _NumberLiteral),
    )
    if isinstance(checked, list):
        errors.extend(
            error
            for error in checked
            if error.field in values
            or (error.field in OPTIONAL_FIELDS and error.field not in document)
        )
    if errors or isinstance(checked, list):
        raise InvalidRequest(errors)
    return checked


def parse_operation_json(
    text: str, kind: OperationKind, *, payment_id: str, correlation_id: str
) -> Asked:
    """Read the body of a request for a refund, a capture or a cancellation.

    Returns:
        What is asked for; only the payment knows whether its amount has too many decimals.

    Raises:
        InvalidRequest: with all faults of the body together.
    """
    document, errors = parse_object(text)
    id_field = f"{kind}_id"
    known = _OPERATION_FIELDS[kind]
    errors.extend(
        FieldError(name[:_SHOWN_NAME_LENGTH], "unknown_field", f"is not a field of a {kind}")
        for name in document
        if name not in known
    )
    if id_field in known and id_field not in document:
        errors.append(FieldError(id_field, "required", "is missing"))
    for name, value in document.items():
        fault = _OPERATION_RULES[name](value) if name in known else None
        if fault is not None:
            errors.append(FieldError(name, *fault))
    if errors:
        raise InvalidRequest(errors)
    amount = document.get("amount")
    return Asked(
        kind=kind,
        payment_id=payment_id,
        operation_id=document.get(id_field, ""),
        source=API,
        correlation_id=correlation_id,
        amount=None if amount is None else str(amount),
        amount_is_number=isinstance(amount, _NumberLiteral),
        reason=document.get("reason"),
        final=document.get("final", True),
    )


_OPERATION_FIELDS: Final = {
    OperationKind.REFUND: ("refund_id", "amount", "reason"),
    OperationKind.CAPTURE: ("capture_id", "amount", "final"),
    OperationKind.CANCEL: ("reason",),
}
"""The fields of each request."""

type _Fault = tuple[str, str]


def _id_fault(value: object) -> _Fault | None:
    if type(value) is not str:
        return "invalid_type", "must be a string"
    if not PAYMENT_ID.fullmatch(value):
        return "invalid_format", "must be 1 to 64 of the characters A-Z a-z 0-9 _ -"
    return None


def _amount_fault(value: object) -> _Fault | None:
    if not isinstance(value, str):
        return "invalid_type", "must be a number or a decimal string"
    return None


def _reason_fault(value: object) -> _Fault | None:
    if type(value) is not str:
        return "invalid_type", "must be a string"
    fault = reason_fault(value)
    return None if fault is None else (fault.code, fault.message)


def _final_fault(value: object) -> _Fault | None:
    return None if isinstance(value, bool) else ("invalid_type", "must be true or false")


_OPERATION_RULES: Final[dict[str, Callable[[object], _Fault | None]]] = {
    "refund_id": _id_fault,
    "capture_id": _id_fault,
    "amount": _amount_fault,
    "reason": _reason_fault,
    "final": _final_fault,
}


def parse_object(text: str) -> tuple[dict[str, Any], list[FieldError]]:
    """Read a body that is one JSON object; return it, and the faults of its keys.

    Numbers are read as text, so that no float ever exists.

    Raises:
        InvalidRequest: it is no JSON object.
    """
    repeated: list[str] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) != len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(name for name in document if names.count(name) > 1)
        return document

    try:
        document = json.loads(
            text,
            object_pairs_hook=build,
            parse_float=_NumberLiteral,
            parse_int=_NumberLiteral,
            parse_constant=_NumberLiteral,
        )
    except RecursionError:
        raise InvalidRequest([FieldError("body", "too_deep", "is nested too deeply")]) from None
    except ValueError:
        message = 'must be one JSON object such as {"payment_id": …, "amount": …, "currency": …}'
        raise InvalidRequest([FieldError("body", "malformed_json", message)]) from None
    if not isinstance(document, dict):
        raise InvalidRequest([FieldError("body", "invalid_type", "must be a JSON object")])
    errors = [
        FieldError(name[:_SHOWN_NAME_LENGTH], "duplicate_key", "is given more than once")
        for name in repeated
    ]
    return document, errors


_SHOWN_NAME_LENGTH: Final = 64
