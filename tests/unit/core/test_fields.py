"""The rules for a payment's fields, as an API body brings them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.api.requests import parse_payment_json
from payments.core.faults import InvalidRequest
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


def test_decimals_are_not_judged_without_a_currency() -> None:
    body = '{"payment_id": "p", "amount": 1.23456, "currency": "nope"}'
    assert faults_of(body) == {("currency", "unknown_currency")}


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
