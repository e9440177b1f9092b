"""Money: exact, in minor units, in currencies that exist."""

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.core.faults import FieldError
from payments.core.money import EXPONENTS, MAX_DIGITS, parse_amount, to_decimal_text


def test_the_table_of_currencies_is_the_iso_4217_list() -> None:
    published = {
        currency.code: currency.exponent
        for currency in iso4217.Currency
        if currency.exponent is not None
    }
    assert published == EXPONENTS


def test_only_codes_without_minor_units_are_left_out() -> None:
    """Metals, units of account, and codes for tests or no currency: nothing that one can pay in."""
    left_out = {currency.code for currency in iso4217.Currency} - set(EXPONENTS)
    assert left_out == {
        *("XAG", "XAU", "XPD", "XPT"),
        *("XBA", "XBB", "XBC", "XBD"),
        *("XDR", "XSU", "XUA"),
        *("XTS", "XXX"),
    }


@pytest.mark.parametrize(
    ("currency", "exponent"),
    [("JPY", 0), ("UYI", 0), ("USD", 2), ("KWD", 3), ("TND", 3), ("CLF", 4), ("UYW", 4)],
)
def test_a_currency_has_its_own_decimals(currency: str, exponent: int) -> None:
    assert EXPONENTS[currency] == exponent


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("99.99", "USD", 9999),
        ("1.5", "USD", 150),
        ("1.50", "USD", 150),
        ("1.5000", "USD", 150),
        ("100", "USD", 10000),
        ("0.01", "USD", 1),
        ("500", "JPY", 500),
        ("500.0", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("0.0001", "CLF", 1),
        ("9999999999999999.99", "USD", 10**18 - 1),
    ],
)
def test_an_amount_becomes_exact_minor_units(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, EXPONENTS[currency]) == minor


@pytest.mark.parametrize(
    ("text", "currency", "code"),
    [
        ("1.0001", "USD", "too_many_decimals"),
        ("1.001", "USD", "ambiguous_amount"),
        ("1.000", "EUR", "ambiguous_amount"),
        ("25.000", "CLP", "ambiguous_amount"),
        ("500.000", "IDR", "ambiguous_amount"),
        ("1.000", "CLF", "ambiguous_amount"),
        ("0.5", "JPY", "too_many_decimals"),
        ("1.2345", "KWD", "too_many_decimals"),
        ("0", "USD", "not_positive"),
        ("0.00", "USD", "not_positive"),
        ("-1", "USD", "not_positive"),
        ("-0.01", "USD", "not_positive"),
        ("1e2", "USD", "invalid_format"),
        ("1E2", "USD", "invalid_format"),
        ("NaN", "USD", "invalid_format"),
        ("Infinity", "USD", "invalid_format"),
        ("-Infinity", "USD", "invalid_format"),
        ("true", "USD", "invalid_format"),
        ("1,000", "USD", "invalid_format"),
        ("1_000", "USD", "invalid_format"),
        ("१२", "USD", "invalid_format"),
        (" 1", "USD", "invalid_format"),
        ("1 ", "USD", "invalid_format"),
        ("1\n", "USD", "invalid_format"),
        ("+1", "USD", "invalid_format"),
        ("1.", "USD", "invalid_format"),
        (".5", "USD", "invalid_format"),
        ("007", "USD", "invalid_format"),
        ("", "USD", "invalid_format"),
        ("1" * 19, "USD", "too_many_digits"),
        ("1" * 17, "USD", "too_large"),
        ("1." + "0" * 18, "USD", "too_many_digits"),
    ],
)
def test_an_amount_that_is_none_is_refused_with_its_fault(
    text: str, currency: str, code: str
) -> None:
    fault = parse_amount(text, EXPONENTS[currency])
    assert isinstance(fault, FieldError)
    assert (fault.field, fault.code) == ("amount", code)


@pytest.mark.parametrize(
    ("text", "currency", "told"),
    [
        ("25.000", "CLP", "write 25000 without a point if it does, and such as 25 if it does not"),
        ("1.500", "USD", "write 1500 without a point if it does, and such as 1.50 if it does not"),
        ("0.050", "USD", "write 50 without a point if it does, and such as 0.05 if it does not"),
        ("0.000", "USD", "write 0 without a point if it does, and such as 0.00 if it does not"),
        ("0.5", "JPY", "must be a whole number: this currency has no decimals"),
        ("0.0001", "USD", "must have at most 2 decimals in this currency"),
        ("1" * 19, "USD", "must have at most 18 digits"),
        ("1" * 17, "USD", "must be below 10^18 minor units"),
    ],
)
def test_a_fault_of_an_amount_says_what_would_be_right(text: str, currency: str, told: str) -> None:
    fault = parse_amount(text, EXPONENTS[currency])
    assert isinstance(fault, FieldError)
    assert fault.message.endswith(told)


@given(st.integers(1, 10**MAX_DIGITS - 1), st.sampled_from(sorted(EXPONENTS)))
def test_an_amount_survives_being_written_and_read(minor: int, currency: str) -> None:
    assert parse_amount(to_decimal_text(minor, EXPONENTS[currency]), EXPONENTS[currency]) == minor


@given(st.text(max_size=40), st.sampled_from(sorted(EXPONENTS)))
def test_no_text_breaks_the_reading_of_an_amount(text: str, currency: str) -> None:
    result = parse_amount(text, EXPONENTS[currency])
    assert isinstance(result, FieldError) or result > 0
