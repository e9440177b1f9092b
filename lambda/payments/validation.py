"""The one set of rules for a payment's fields, whether they come by API or by CSV."""

import json
import re
from typing import Any, Final

from payments.errors import FieldError, InvalidRequest
from payments.money import EXPONENTS, MAX_DIGITS, parse_amount

FIELDS: Final = ("payment_id", "amount", "currency")
"""The fields of a payment, all required."""

PAYMENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a payment id looks like; always used with ``fullmatch``."""


class _NumberLiteral(str):
    """A JSON number as it was written, so that no float ever exists."""

    __slots__ = ()


def check_fields(payment_id: str, amount: str, currency: str) -> int | list[FieldError]:
    """Check a payment's three fields as text.

    Returns:
        The amount in minor units of the currency, or every fault of every field.
    """
    exponent = EXPONENTS.get(currency)
    if exponent is not None and PAYMENT_ID.fullmatch(payment_id):
        minor = parse_amount(amount, exponent)
        return minor if isinstance(minor, int) else [minor]
    errors = []
    if not PAYMENT_ID.fullmatch(payment_id):
        errors.append(_BAD_PAYMENT_ID)
    # Without a currency only the form of the amount can be judged, not its decimals.
    minor = parse_amount(amount, MAX_DIGITS if exponent is None else exponent)
    if isinstance(minor, FieldError) and (exponent is not None or minor.code != "too_large"):
        errors.append(minor)
    if exponent is None:
        errors.append(_BAD_CURRENCY)
    return errors


def parse_payment_json(text: str) -> tuple[str, int, str]:
    """Read the body of ``POST /payments``.

    Returns:
        payment id, amount in minor units, currency.

    Raises:
        InvalidRequest: with every fault of the body at once.
    """
    document, errors = _parse_object(text)
    values: dict[str, str] = {}
    for name in FIELDS:
        value = document.get(name)
        if name not in document:
            errors.append(FieldError(name, "required", "is missing"))
        elif isinstance(value, str) and (name == "amount" or type(value) is str):
            values[name] = value
        else:
            kind = "a number or a decimal string" if name == "amount" else "a string"
            errors.append(FieldError(name, "invalid_type", f"must be {kind}"))
    errors.extend(
        FieldError(name[:_SHOWN_NAME_LENGTH], "unknown_field", "is not a field of a payment")
        for name in document
        if name not in FIELDS
    )
    # A field that is missing or of the wrong type is checked as a value that has no other fault.
    checked = check_fields(
        values.get("payment_id", "x"),
        values.get("amount", "1"),
        values.get("currency", ""),
    )
    if isinstance(checked, list):
        errors.extend(error for error in checked if error.field in values)
    if errors or isinstance(checked, list):
        raise InvalidRequest(errors)
    return values["payment_id"], checked, values["currency"]


def _parse_object(text: str) -> tuple[dict[str, Any], list[FieldError]]:
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
_BAD_PAYMENT_ID: Final = FieldError(
    "payment_id", "invalid_format", "must be 1 to 64 of the characters A-Z a-z 0-9 _ -"
)
_BAD_CURRENCY: Final = FieldError(
    "currency",
    "unknown_currency",
    "must be an ISO 4217 code in use, in upper case, such as USD",
)
