"""The one set of rules for a payment's fields, whether they come by API or by CSV."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args

from payments.core.content import Capture, Content, RefundContent
from payments.core.faults import FieldError
from payments.core.money import EXPONENTS, MAX_DIGITS, PLAIN_AMOUNTS, parse_amount

FIELDS: Final = ("payment_id", "amount", "currency")
"""The fields that every payment has."""

OPTIONAL_FIELDS: Final = tuple(Content._field_defaults)
"""The fields that a payment may have besides."""

REFUND_FIELDS: Final = ("payment_id", "refund_id", "amount")
"""The fields that every refund by file has: an amount that is missing never means all of it."""

REFUND_OPTIONS: Final = ("reason",)
"""The fields that a refund by file may have besides."""

LONGEST_REASON: Final = 64
"""How many characters the reason of an operation has at most."""

PAYMENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a payment id looks like; always used with ``fullmatch``."""

PROCESSOR_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""What an id at a processor looks like; always used with ``fullmatch``."""

CAPTURES: Final[tuple[Capture, ...]] = get_args(Capture.__value__)
"""What ``capture`` may be."""

CURRENCY: Final = re.compile(r"[A-Z]{3}")
"""What an ISO 4217 code looks like, in use or not; always used with ``fullmatch``."""


@dataclass(frozen=True, slots=True)
class ProcessorNeeds:
    """What a processor needs of every payment, besides what this contract needs.

    Attributes:
        ids: the optional fields that it requires, with what each looks like, also in words.
        fault_of: says which amount or currency it certainly cannot take, and why.
    """

    ids: Mapping[str, tuple[re.Pattern[str], str]]
    fault_of: Callable[[Content], FieldError | None]


NO_OPTIONS: Final[Mapping[str, str]] = {}
"""None of the optional fields is given."""


def check_fields(
    payment_id: str,
    amount: str,
    currency: str,
    options: Mapping[str, str] = NO_OPTIONS,
    needs: ProcessorNeeds | None = None,
    *,
    amount_is_number: bool = False,
) -> Content | list[FieldError]:
    """Check a payment's fields as text; the amount may have been a JSON number.

    ``options`` are those of the optional fields that are given, ``needs`` what the processor needs
    besides.

    Returns:
        The payment's content, or every fault of every field.

    >>> check_fields("pay_1", "99.99", "USD").to_dict()
    {'payment_id': 'pay_1', 'amount_minor': 9999, 'currency': 'USD', 'exponent': 2}
    >>> [(fault.field, fault.code) for fault in check_fields("pay 1", "1.5", "usd")]
    [('payment_id', 'invalid_format'), ('currency', 'unknown_currency')]
    """
    exponent = EXPONENTS.get(currency)
    # A short way for nearly every row of a file; what does not take it may be valid all the same.
    if (
        not (options or needs)
        and exponent is not None
        and PLAIN_AMOUNTS[exponent].fullmatch(amount)
        and PAYMENT_ID.fullmatch(payment_id)
        and (minor_units := int(amount.replace(".", "")))
    ):
        return Content(payment_id, minor_units, currency, exponent)
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
    errors.extend(filter(None, map(option_fault, options, options.values())))
    if needs is not None:
        known = {error.field for error in errors}
        missed = (_need_fault(name, options, *need) for name, need in needs.ids.items())
        errors.extend(fault for fault in missed if fault is not None and fault.field not in known)
    if exponent is None or isinstance(minor, FieldError):
        return errors
    document = {"payment_id": payment_id, "amount_minor": minor, "currency": currency, **options}
    content = Content.from_dict({**document, "exponent": exponent})
    if needs is not None and (fault := needs.fault_of(content)) is not None:
        errors.append(fault)
    return errors or content


def check_refund(
    payment_id: str,
    refund_id: str,
    amount: str,
    options: Mapping[str, str] = NO_OPTIONS,
    needs: ProcessorNeeds | None = None,  # noqa: ARG001 - a processor needs nothing more of refunds
) -> RefundContent | list[FieldError]:
    """Check the fields of a refund by file: their form, which is all that the file itself tells.

    Blanks around a reason and apostrophes at its start do not count: reports put one before what a
    spreadsheet would take for a formula.

    Returns:
        The refund's content, or every fault of every field.

    >>> check_refund("pay_1", "r1", "60.00", {"reason": "'=damaged"})
    RefundContent(payment_id='pay_1', refund_id='r1', amount='60.00', reason='=damaged')
    >>> [(fault.field, fault.code) for fault in check_refund("pay_1", "", "all")]
    [('refund_id', 'invalid_format'), ('amount', 'invalid_format')]
    """
    errors = []
    if not PAYMENT_ID.fullmatch(payment_id):
        errors.append(_BAD_PAYMENT_ID)
    if not PAYMENT_ID.fullmatch(refund_id):
        errors.append(replace(_BAD_PAYMENT_ID, field="refund_id"))
    minor = parse_amount(amount, MAX_DIGITS, is_number=True)
    if isinstance(minor, FieldError) and minor.code != "too_large":
        errors.append(minor)
    reason = options.get("reason", "").strip().lstrip("'") or None
    if reason is not None and (fault := reason_fault(reason)) is not None:
        errors.append(fault)
    return errors or RefundContent(payment_id, refund_id, amount, reason)


def reason_fault(reason: str) -> FieldError | None:
    """Return what is wrong with the reason of an operation, if anything is."""
    if 0 < len(reason) <= LONGEST_REASON and reason.isprintable():
        return None
    return FieldError(
        "reason", "invalid_format", f"must be 1 to {LONGEST_REASON} printable characters"
    )


def _need_fault(
    name: str, options: Mapping[str, str], form: re.Pattern[str], expected: str
) -> FieldError | None:
    if name not in options:
        return FieldError(name, "required", "is missing, and the processor needs it")
    if form.fullmatch(options[name]):
        return None
    return FieldError(name, "invalid_format", f"must be {expected}")


def option_fault(name: str, value: object) -> FieldError | None:
    """Return what is wrong with an optional field, if anything is.

    >>> option_fault("processor_payment_method", "4242 4242 4242 4242").code
    'card_number'
    """
    if name == "capture":
        return None if value in CAPTURES else _BAD_CAPTURE
    if not isinstance(value, str):
        return FieldError(name, "invalid_type", "must be a string")
    if looks_like_card_number(value):
        return FieldError(
            name, "card_number", "must be an id at the processor, never a card number"
        )
    if not PROCESSOR_ID.fullmatch(value):
        return FieldError(
            name, "invalid_format", "must be 1 to 128 of the characters A-Z a-z 0-9 _ -"
        )
    return None


def looks_like_card_number(text: str) -> bool:
    """Say whether text is 13 to 19 digits with the check digit of cards, blanks and dashes aside.

    See ISO/IEC 7812-1, annex B (the Luhn formula).

    >>> looks_like_card_number("4242-4242-4242-4242"), looks_like_card_number("4242424242424241")
    (True, False)
    """
    digits = _BETWEEN_DIGITS.sub("", text)
    if not digits.isdecimal() or len(digits) not in _CARD_NUMBER_DIGITS:
        return False
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


_BETWEEN_DIGITS: Final = re.compile(r"[\s\u2010-\u2015\u2212-]")
_CARD_NUMBER_DIGITS: Final = range(13, 20)

_BAD_PAYMENT_ID: Final = FieldError(
    "payment_id", "invalid_format", "must be 1 to 64 of the characters A-Z a-z 0-9 _ -"
)

_BAD_CURRENCY: Final = FieldError(
    "currency",
    "unknown_currency",
    "must be an ISO 4217 code in use, in upper case, such as USD",
)

_BAD_CAPTURE: Final = FieldError("capture", "unknown_capture", f"must be {' or '.join(CAPTURES)}")
