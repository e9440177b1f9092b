"""The one set of rules for a payment's fields, whether they come by API or by CSV."""

import re
from typing import Final

from payments.core.content import Content
from payments.core.faults import FieldError
from payments.core.money import EXPONENTS, MAX_DIGITS, parse_amount

FIELDS: Final = ("payment_id", "amount", "currency")
"""The fields of a payment, all required."""

PAYMENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a payment id looks like; always used with ``fullmatch``."""

CURRENCY: Final = re.compile(r"[A-Z]{3}")
"""What an ISO 4217 code looks like, in use or not; always used with ``fullmatch``."""


def check_fields(
    payment_id: str, amount: str, currency: str, *, amount_is_number: bool = False
) -> Content | list[FieldError]:
    """Check a payment's three fields as text; the amount may have been a JSON number.

    Returns:
        The payment's content, or every fault of every field.

    >>> check_fields("pay_1", "99.99", "USD")
    Content(payment_id='pay_1', amount_minor=9999, currency='USD', exponent=2)
    >>> [(fault.field, fault.code) for fault in check_fields("pay 1", "1.5", "usd")]
    [('payment_id', 'invalid_format'), ('currency', 'unknown_currency')]
    """
    exponent = EXPONENTS.get(currency)
    if exponent is not None and PAYMENT_ID.fullmatch(payment_id):
        minor = parse_amount(amount, exponent, is_number=amount_is_number)
        if isinstance(minor, int):
            return Content(payment_id, minor, currency, exponent)
        return [minor]
    errors = []
    if not PAYMENT_ID.fullmatch(payment_id):
        errors.append(_BAD_PAYMENT_ID)
    # Without a currency only the form of the amount can be judged, not its decimals.
    minor = parse_amount(
        amount,
        MAX_DIGITS if exponent is None else exponent,
        is_number=amount_is_number or exponent is None,
    )
    if isinstance(minor, FieldError) and (exponent is not None or minor.code != "too_large"):
        errors.append(minor)
    if exponent is None:
        errors.append(_BAD_CURRENCY)
    return errors


_BAD_PAYMENT_ID: Final = FieldError(
    "payment_id", "invalid_format", "must be 1 to 64 of the characters A-Z a-z 0-9 _ -"
)

_BAD_CURRENCY: Final = FieldError(
    "currency",
    "unknown_currency",
    "must be an ISO 4217 code in use, in upper case, such as USD",
)
