"""Money as an integer of minor units and an ISO 4217 currency; no float, no rounding."""

import re
from typing import Final

from payments.core.faults import FieldError

# ISO 4217 list one of 2026-01-01, by number of decimals. Codes without minor units
# (precious metals, XDR, XTS, XXX) name nothing a customer can pay in and are left out.
_CODES_BY_EXPONENT: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
       AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD
       CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP
       GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK
       LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO
       NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS
       SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST
       XAD XCD XCG YER ZAR ZMW ZWG
       """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

EXPONENTS: Final[dict[str, int]] = {
    code: exponent for exponent, codes in _CODES_BY_EXPONENT.items() for code in codes.split()
}
"""Decimals of every payable ISO 4217 currency, by code."""

MAX_EXPONENT: Final = 4
"""The most decimals that a currency of ISO 4217 has."""

MAX_DIGITS: Final = 18
"""Most digits an amount may be written with, and have in minor units: it fits in 64 bits."""

MAX_MINOR_UNITS: Final = 10**MAX_DIGITS - 1
"""The largest amount, in minor units."""

# ASCII digits by name: \d would let "१२" through.
_AMOUNT = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?")

PLAIN_AMOUNTS: Final = {
    exponent: re.compile(
        rf"(?:0|[1-9][0-9]{{0,{MAX_DIGITS - MAX_EXPONENT - 1}}})"
        + (rf"\.[0-9]{{{exponent}}}" if exponent else "")
    )
    for exponent in _CODES_BY_EXPONENT
}
"""By exponent, what nearly every amount looks like: it has the currency's own decimals, and fits.

Its digits are its minor units, which may be none. Always used with ``fullmatch``.
"""


def parse_amount(  # noqa: PLR0911 - one answer for each fault
    text: str, exponent: int, *, is_number: bool = False
) -> int | FieldError:
    """Turn an amount as written into minor units, exactly.

    Zeros at the end do not count as decimals: ``1.5``, ``1.50`` and ``1.5000`` USD are one amount,
    ``500.0`` JPY is 500. Exactly three digits behind the point are refused in a currency that has
    not three decimals: where a point separates thousands, ``25.000`` CLP are 25,000. A number was
    written by a machine and is not ambiguous. API and CSV share these rules.

    Args:
        text: the amount as the client wrote it, e.g. ``99.99``.
        exponent: decimals of the currency (ISO 4217), e.g. 2.
        is_number: whether it was a JSON number, not text.

    Returns:
        A positive number of minor units, e.g. 9999, or what is wrong with the text.

    >>> parse_amount("99.99", 2)
    9999
    >>> parse_amount("1.5000", 2), parse_amount("500.0", 0)
    (150, 500)
    >>> parse_amount("1.500", 2).code, parse_amount("1.500", 2, is_number=True)
    ('ambiguous_amount', 150)
    >>> parse_amount("0.0001", 2).code
    'too_many_decimals'
    >>> parse_amount("1,000", 2).code
    'invalid_format'
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return _malformed(text)
    whole, fraction = match.groups("")
    if len(whole) + len(fraction) > MAX_DIGITS:
        return FieldError("amount", "too_many_digits", f"must have at most {MAX_DIGITS} digits")
    if len(fraction) == _THOUSANDS != exponent and not is_number:
        return _ambiguous(whole, fraction, exponent)
    fraction = fraction.rstrip("0")
    if len(fraction) > exponent:
        return FieldError("amount", "too_many_decimals", _decimals_rule(exponent))
    minor = int(whole + fraction.ljust(exponent, "0"))
    if minor == 0:
        return _NOT_POSITIVE
    if minor > MAX_MINOR_UNITS:
        return FieldError("amount", "too_large", f"must be below 10^{MAX_DIGITS} minor units")
    return minor


def to_decimal_text(amount_minor: int, exponent: int) -> str:
    """Write minor units as a decimal string with ``exponent`` decimals.

    >>> to_decimal_text(9999, 2), to_decimal_text(5, 2), to_decimal_text(500, 0)
    ('99.99', '0.05', '500')
    """
    if exponent == 0:
        return str(amount_minor)
    digits = str(amount_minor).rjust(exponent + 1, "0")
    return f"{digits[:-exponent]}.{digits[-exponent:]}"


_THOUSANDS: Final = 3
_NOT_POSITIVE = FieldError("amount", "not_positive", "must be greater than zero")


def _malformed(text: str) -> FieldError:
    if re.fullmatch(r"-[0-9.]+", text):
        return _NOT_POSITIVE
    return FieldError(
        "amount",
        "invalid_format",
        "must be a plain decimal such as 99.99: digits and at most one point,"
        " no sign, exponent, separator, space or leading zero",
    )


def _ambiguous(whole: str, fraction: str, exponent: int) -> FieldError:
    thousands = f"{whole}{fraction}".lstrip("0") or "0"
    few = f"{whole}.{fraction[:exponent]}".rstrip(".")
    return FieldError(
        "amount",
        "ambiguous_amount",
        "has three digits behind the point, which may separate thousands:"
        f" write {thousands} without a point if it does, and such as {few} if it does not",
    )


def _decimals_rule(exponent: int) -> str:
    if exponent == 0:
        return "must be a whole number: this currency has no decimals"
    return f"must have at most {exponent} decimals in this currency"
