"""Amounts as Stripe counts them: its exponents differ from ISO 4217, and nothing is rounded."""

import pytest

from payments.core.content import Content
from payments.core.faults import FieldError
from payments.core.money import EXPONENTS, MAX_MINOR_UNITS, parse_amount
from payments.gateways.stripe.amounts import NOT_TAKEN, stripe_amount


def asked(amount: str, currency: str) -> Content:
    minor = parse_amount(amount, EXPONENTS[currency], is_number=True)
    assert isinstance(minor, int)
    return Content("pay_1", minor, currency, EXPONENTS[currency])


@pytest.mark.parametrize(
    ("amount", "currency", "sent"),
    [
        ("99.99", "USD", 9999),
        ("500", "JPY", 500),
        ("5", "UGX", 500),
        ("5", "ISK", 500),
        ("500.00", "MGA", 500),
        ("18.600", "KWD", 18600),
        ("0.010", "BHD", 10),
        ("45.67", "HUF", 4567),
        ("45.67", "TWD", 4567),
        ("1000", "VND", 1000),
        ("9999999999.99", "USD", 999_999_999_999),
        ("9999999999", "UGX", 999_999_999_900),
    ],
)
def test_an_amount_is_sent_in_stripes_minor_units(amount: str, currency: str, sent: int) -> None:
    assert stripe_amount(asked(amount, currency)) == sent


@pytest.mark.parametrize(
    ("amount", "currency", "fault"),
    [
        ("5.124", "KWD", "must be a multiple of 0.010: the processor takes no smaller part of KWD"),
        ("0.20", "MGA", "must be a multiple of 1.00: the processor takes no smaller part of MGA"),
        (
            "10000000000.00",
            "USD",
            "must be at most 9999999999.99: the processor takes no more of USD in one payment",
        ),
        (
            "10000000000",
            "ISK",
            "must be at most 9999999999: the processor takes no more of ISK in one payment",
        ),
        (
            "1000000000000.00",
            "MGA",
            "must be at most 999999999999.00: the processor takes no more of MGA in one payment",
        ),
        (
            "1000000000.000",
            "KWD",
            "must be at most 999999999.990: the processor takes no more of KWD in one payment",
        ),
    ],
)
def test_an_amount_that_stripe_cannot_take_is_refused_and_never_rounded(
    amount: str, currency: str, fault: str
) -> None:
    assert stripe_amount(asked(amount, currency)) == FieldError(
        "amount", "amount_not_supported", fault
    )


@pytest.mark.parametrize("currency", sorted(NOT_TAKEN))
def test_a_currency_that_nobody_pays_in_there_is_refused(currency: str) -> None:
    refused = stripe_amount(Content("pay_1", 100_000, currency, EXPONENTS[currency]))
    assert refused == FieldError(
        "currency", "currency_not_supported", f"the processor takes no payments in {currency}"
    )


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_what_is_sent_is_the_very_amount_in_every_currency(currency: str) -> None:
    """One unit of the currency, and the largest amount of all, in any exponent."""
    exponent = EXPONENTS[currency]
    one = stripe_amount(Content("pay_1", 10**exponent, currency, exponent))
    if currency in NOT_TAKEN:
        assert isinstance(one, FieldError)
        return
    decimals = {"ISK": 2, "UGX": 2, "MGA": 0}.get(currency, exponent)
    assert one == 10**decimals
    assert isinstance(
        stripe_amount(Content("pay_1", MAX_MINOR_UNITS, currency, exponent)), FieldError
    )
