"""The rules for a payment's fields, as an API body brings them."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.api.requests import parse_payment_json
from payments.core.content import Content
from payments.core.faults import FieldError, InvalidRequest
from payments.core.fields import ProcessorNeeds, check_fields
from payments.core.money import EXPONENTS, parse_amount
from tests.unit.cloud import payment_content


def faults_of(body: str) -> set[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as refused:
        parse_payment_json(body)
    return {(error.field, error.code) for error in refused.value.errors}


@pytest.mark.parametrize("amount", ["99.99", '"99.99"', "99.990"])
def test_a_payment_is_read_without_a_float(amount: str) -> None:
    body = f'{{"payment_id": "pay_123456", "amount": {amount}, "currency": "USD"}}'
    assert parse_payment_json(body) == payment_content("pay_123456", 9999, "USD")


def test_an_amount_no_float_can_hold_stays_exact() -> None:
    body = '{"payment_id": "p", "amount": 9007199254740993.01, "currency": "USD"}'
    assert parse_payment_json(body).amount_minor == 900719925474099301


def test_every_fault_is_named_at_once() -> None:
    body = '{"payment_id": "no spaces", "amount": -1, "currency": "usd", "note": 1, "note": 2}'
    assert faults_of(body) == {
        ("payment_id", "invalid_format"),
        ("amount", "not_positive"),
        ("currency", "unknown_currency"),
        ("note", "unknown_field"),
        ("note", "duplicate_key"),
    }


def test_every_missing_field_is_named() -> None:
    assert faults_of("{}") == {
        ("payment_id", "required"),
        ("amount", "required"),
        ("currency", "required"),
    }


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("1e2", "invalid_format"),
        ("NaN", "invalid_format"),
        ("Infinity", "invalid_format"),
        ("-1", "not_positive"),
        ("0", "not_positive"),
        ("-0.0", "not_positive"),
        ("true", "invalid_type"),
        ("null", "invalid_type"),
        ("[1]", "invalid_type"),
        ('{"value": 1}', "invalid_type"),
        ('"1,000"', "invalid_format"),
        ('" 1"', "invalid_format"),
        ("1.999", "too_many_decimals"),
        ("1" * 30, "too_many_digits"),
    ],
)
def test_an_amount_that_is_none_is_refused(value: str, code: str) -> None:
    body = f'{{"payment_id": "pay_1", "amount": {value}, "currency": "USD"}}'
    assert faults_of(body) == {("amount", code)}


@pytest.mark.parametrize("value", ["1", "null", "true", "[]", "{}"])
def test_a_field_of_another_type_is_refused(value: str) -> None:
    body = f'{{"payment_id": {value}, "amount": 1, "currency": {value}}}'
    assert faults_of(body) == {("payment_id", "invalid_type"), ("currency", "invalid_type")}


@pytest.mark.parametrize("payment_id", ["", "a" * 65, "a b", "ä", "a/b", "a\n", "١"])
def test_a_payment_id_of_another_form_is_refused(payment_id: str) -> None:
    body = json.dumps({"payment_id": payment_id, "amount": 1, "currency": "USD"})
    assert faults_of(body) == {("payment_id", "invalid_format")}


@pytest.mark.parametrize("currency", ["usd", "XXX", "XAU", "BGN", "", "US", "USD ", "€"])
def test_a_currency_not_in_use_is_refused(currency: str) -> None:
    body = json.dumps({"payment_id": "p", "amount": 1, "currency": currency})
    assert faults_of(body) == {("currency", "unknown_currency")}


CARD_NUMBERS = [
    "4242424242424242",
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    " 378282246310005",
    "4222222222222",
    "6304 0000 0000 0000 000",
    "5555 5555 5555 4444",
    "6011 0009 9013 9424",
]
"""Test numbers of card networks, of 13 to 19 digits."""


def body_with(**options: object) -> str:
    return json.dumps({"payment_id": "p", "amount": 1, "currency": "USD", **options})


def test_optional_fields_are_read() -> None:
    plain = payment_content("p", 100, "USD")
    asked = plain._replace(
        processor_customer="cus_1", processor_payment_method="pm_1-_", capture="manual"
    )
    assert parse_payment_json(body_with(**asked.options)) == asked
    assert parse_payment_json(body_with(capture="automatic")) == plain


@pytest.mark.parametrize("name", ["processor_customer", "processor_payment_method"])
@pytest.mark.parametrize("number", CARD_NUMBERS)
def test_a_card_number_is_refused_and_not_repeated(name: str, number: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_payment_json(body_with(**{name: number}))
    [fault] = refused.value.errors
    assert (fault.field, fault.code) == (name, "card_number")
    assert number not in f"{fault} {refused.value}"


@pytest.mark.parametrize("number", ["4242424242424241", "424242424242", "42" * 10])
def test_digits_that_are_no_card_number_may_be_an_id(number: str) -> None:
    content = parse_payment_json(body_with(processor_payment_method=number))
    assert content.processor_payment_method == number


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"processor_customer": ""}, ("processor_customer", "invalid_format")),
        ({"processor_customer": "a b"}, ("processor_customer", "invalid_format")),
        ({"processor_customer": "a" * 129}, ("processor_customer", "invalid_format")),
        ({"processor_payment_method": "pm_1\n"}, ("processor_payment_method", "invalid_format")),
        ({"processor_payment_method": None}, ("processor_payment_method", "invalid_type")),
        ({"processor_payment_method": 4242}, ("processor_payment_method", "invalid_type")),
        ({"capture": "Manual"}, ("capture", "unknown_capture")),
        ({"capture": ""}, ("capture", "unknown_capture")),
        ({"capture": True}, ("capture", "invalid_type")),
        ({"capture": None}, ("capture", "invalid_type")),
        ({"Capture": "manual"}, ("Capture", "unknown_field")),
    ],
)
def test_a_fault_of_an_optional_field_is_named(
    options: dict[str, object], fault: tuple[str, str]
) -> None:
    assert faults_of(body_with(**options)) == {fault}


def test_faults_of_optional_and_other_fields_are_named_together() -> None:
    body = body_with(payment_id="a b", currency="usd", processor_customer="", capture="x")
    assert faults_of(body) == {
        ("payment_id", "invalid_format"),
        ("currency", "unknown_currency"),
        ("processor_customer", "invalid_format"),
        ("capture", "unknown_capture"),
    }


def test_decimals_are_not_judged_without_a_currency() -> None:
    body = '{"payment_id": "p", "amount": 1.23456, "currency": "nope"}'
    assert faults_of(body) == {("currency", "unknown_currency")}


def small(content: Content) -> FieldError | None:
    return FieldError("amount", "too_small", "") if content.amount_minor < 50 else None


NEEDS = ProcessorNeeds({"processor_customer": (re.compile("cus_.+"), "cus_…")}, small)
"""What a processor might need: a customer, and an amount that is worth its while."""


@pytest.mark.parametrize(
    ("amount", "options", "expected"),
    [
        ("1.00", {"processor_customer": "cus_1"}, []),
        ("1.00", {}, [("processor_customer", "required")]),
        ("1.00", {"processor_customer": "c_1"}, [("processor_customer", "invalid_format")]),
        ("0.49", {"processor_customer": "cus_1"}, [("amount", "too_small")]),
        ("0.49", {}, [("processor_customer", "required"), ("amount", "too_small")]),
        # Of what is wrong already, nothing else is said; nor of an amount that is none.
        ("1.00", {"processor_customer": "a b"}, [("processor_customer", "invalid_format")]),
        ("0", {"processor_customer": "cus_1"}, [("amount", "not_positive")]),
    ],
)
def test_what_the_processor_needs_is_checked_with_the_rest(
    amount: str, options: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    found = check_fields("pay_1", amount, "USD", options, NEEDS)
    faults = found if isinstance(found, list) else []
    assert [(fault.field, fault.code) for fault in faults] == expected
    if not expected:
        assert found == payment_content("pay_1", 100, "USD")._replace(processor_customer="cus_1")


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1.000", "nope", [("currency", "unknown_currency")]),
        ("9" * 18, "nope", [("currency", "unknown_currency")]),
        ("x", "nope", [("amount", "invalid_format"), ("currency", "unknown_currency")]),
        ("1.000", "USD", [("amount", "ambiguous_amount")]),
        ("1.000", "KWD", []),
    ],
)
def test_text_whose_point_may_separate_thousands_is_judged_by_its_currency(
    amount: str, currency: str, expected: list[tuple[str, str]]
) -> None:
    found = check_fields("pay_1", amount, currency)
    faults = found if isinstance(found, list) else []
    assert [(fault.field, fault.code) for fault in faults] == expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "malformed_json"),
        ("{", "malformed_json"),
        ("{'payment_id': 1}", "malformed_json"),
        (" " * 10_000, "malformed_json"),
        ("\x00", "malformed_json"),
        ("[]", "invalid_type"),
        ("null", "invalid_type"),
        ("1", "invalid_type"),
        ('"text"', "invalid_type"),
        ("[" * 100_000, "too_deep"),
    ],
)
def test_a_body_that_is_no_object_is_one_fault(body: str, code: str) -> None:
    assert faults_of(body) == {("body", code)}


@given(st.text(max_size=200) | st.recursive(st.none(), st.lists, max_leaves=5).map(json.dumps))
def test_no_body_breaks_the_parser(body: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_payment_json(body)


@given(
    st.from_regex(r"(0|[1-9][0-9]{0,19})(\.[0-9]{0,5})?", fullmatch=True),
    st.sampled_from(sorted(EXPONENTS)),
)
def test_the_amount_of_checked_fields_is_what_the_rules_of_amounts_say(
    amount: str, currency: str
) -> None:
    checked = check_fields("pay_1", amount, currency)
    minor = parse_amount(amount, EXPONENTS[currency])
    if isinstance(minor, FieldError):
        assert checked == [minor]
    else:
        assert checked == Content("pay_1", minor, currency, EXPONENTS[currency])
