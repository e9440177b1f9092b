"""Requests for payments and their answers are as the OpenAPI document says."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from payments.api.requests import MAX_BODY_BYTES, parse_payment_json
from payments.aws.payments import PaymentStore
from payments.core.announcements import describe
from payments.core.clock import utc_now
from payments.core.content import Content
from payments.core.faults import InvalidRequest
from payments.core.fields import (
    CAPTURES,
    FIELDS,
    OPTIONAL_FIELDS,
    PAYMENT_ID,
    PROCESSOR_ID,
    check_fields,
)
from payments.core.money import EXPONENTS
from payments.core.payment import Failure, PaymentStatus, Transition
from payments.gateways.port import CANCELLED
from payments.gateways.sandbox import DECLINED_AMOUNTS
from payments.gateways.sandbox_operations import (
    REFUSED_AMOUNTS,
)
from tests.contract.asking import PAYMENT, REQUEST, SUBMIT, Send, read, submit
from tests.contract.contract import Contract, load
from tests.unit.cloud import payment_request


@pytest.mark.parametrize(
    ("decimals", "schema"),
    [
        (0, "CurrencyWithNoDecimals"),
        (2, "CurrencyWithTwoDecimals"),
        (3, "CurrencyWithThreeDecimals"),
        (4, "CurrencyWithFourDecimals"),
    ],
)
def test_currencies_are_those_that_can_be_paid_in(
    contract: Contract, decimals: int, schema: str
) -> None:
    expected = sorted(code for code, exponent in EXPONENTS.items() if exponent == decimals)
    assert contract.resolve(f"#/components/schemas/{schema}")["enum"] == expected


def test_no_number_of_decimals_is_forgotten(contract: Contract) -> None:
    assert set(EXPONENTS.values()) == {0, 2, 3, 4}
    assert not [
        code
        for code in EXPONENTS
        if contract.faults({"$ref": "#/components/schemas/Currency"}, code)
    ]


def test_fields_statuses_and_ids_are_those_of_the_code(contract: Contract) -> None:
    for reference in contract.resolve("#/components/schemas/PaymentRequest")["oneOf"]:
        schema = contract.resolve(reference)
        assert tuple(schema["required"]) == FIELDS
        assert tuple(schema["properties"]) == (*FIELDS, *OPTIONAL_FIELDS)
        assert schema["additionalProperties"] is False
    assert contract.resolve("#/components/schemas/Status")["enum"] == list(PaymentStatus)
    pattern = contract.resolve("#/components/schemas/PaymentId")["pattern"]
    assert pattern == f"^{PAYMENT_ID.pattern}$"
    for name in ("ProcessorCustomer", "ProcessorPaymentMethod"):
        schema = contract.resolve(f"#/components/schemas/{name}")
        assert schema["pattern"] == f"^{PROCESSOR_ID.pattern}$"
    assert contract.resolve("#/components/schemas/Capture")["enum"] == list(CAPTURES)


def test_sandbox_amounts_failures_and_limits_are_told(contract: Contract) -> None:
    text: str = contract.document["info"]["description"]
    for amount, failure in (*DECLINED_AMOUNTS.items(), *REFUSED_AMOUNTS.items()):
        assert f"| {amount} | `FAILED`, `{failure.code}` |" in text
    codes = {failure.code for failure in (*DECLINED_AMOUNTS.values(), CANCELLED)}
    payment = contract.resolve("#/components/schemas/Payment")
    assert set(payment["properties"]["failure_code"]["examples"]) == codes
    assert f"{MAX_BODY_BYTES // 1024} KiB" in contract.codes["too_large"]


_DIGITS = st.text("0123456789", max_size=20)
_TEXTS = st.one_of(
    st.builds(lambda whole, fraction: f"{whole}.{fraction}", _DIGITS, _DIGITS),
    _DIGITS,
    st.builds(
        lambda whole, fraction, zeros: f"{whole}.{fraction:04}{zeros}",
        st.integers(0, 10**12),
        st.integers(0, 9999),
        st.text("0", max_size=4),
    ),
    st.text("0123456789.-+eE, _१", max_size=6),
)


@settings(deadline=None, max_examples=300)
@given(_TEXTS, st.sampled_from(["JPY", "USD", "KWD", "CLF"]))
@example("9999999999999999.99", "USD")
@example("10000000000000000", "USD")
@example("999999999999999999", "JPY")
@example("999999999999999999.0", "JPY")
@example("1000000000000000.000", "KWD")
@example("99999999999999.9999", "CLF")
@example("0.0000", "CLF")
@example("0.00010", "CLF")
@example("500.0", "JPY")
@example("1.500", "USD")
def test_the_schema_takes_the_amounts_that_the_rules_take(amount: str, currency: str) -> None:
    request = {"payment_id": "pay_1", "amount": amount, "currency": currency}
    documented = not load().faults(REQUEST, request)
    assert documented is isinstance(check_fields("pay_1", amount, currency), Content)


# With more digits, a validator that reads numbers as floats could not tell what was written.
@settings(deadline=None, max_examples=300)
@given(st.integers(0, 10**15 - 1), st.integers(0, 5), st.sampled_from(["JPY", "USD", "KWD", "CLF"]))
@example(9999, 2, "USD")
@example(10**15 - 1, 2, "USD")
@example(10**15 - 1, 0, "CLF")
@example(15000, 4, "USD")
@example(5000, 1, "JPY")
def test_the_schema_takes_the_numbers_that_the_rules_take(
    digits: int, decimals: int, currency: str
) -> None:
    whole, fraction = divmod(digits, 10**decimals)
    literal = f"{whole}.{fraction:0{decimals}}" if decimals else str(whole)
    text = f'{{"payment_id":"pay_1","amount":{literal},"currency":"{currency}"}}'
    documented = not load().faults(REQUEST, json.loads(text))
    assert documented is _is_accepted(text)


def _is_accepted(text: str) -> bool:
    try:
        parse_payment_json(text)
    except InvalidRequest:
        return False
    return True


def test_a_payment_is_as_documented_in_every_status(send: Send, store: PaymentStore) -> None:
    submit(send, PAYMENT)
    failure = Failure("card_declined", "The card issuer declined the charge.")
    for to in (PaymentStatus.PROCESSING, PaymentStatus.FAILED):
        payment = store.get("pay_1")
        assert payment is not None
        store.transition(
            payment,
            Transition(
                to=to,
                at=utc_now(),
                actor="test",
                request_id="request-1",
                failure=failure if to is PaymentStatus.FAILED else None,
            ),
        )
        assert read(send, "pay_1")[1]["status"] == to
    assert submit(send, PAYMENT)[1]["failure_code"] == "card_declined"
    assert submit(send, {**PAYMENT, "currency": "EUR"})[1]["payment"]["status"] == "FAILED"


@pytest.mark.parametrize("currency", ["JPY", "USD", "KWD", "CLF"])
@pytest.mark.parametrize("amount_minor", [1, 10, 12345, 10**18 - 1])
def test_a_payment_of_any_amount_is_as_documented(
    contract: Contract, store: PaymentStore, currency: str, amount_minor: int
) -> None:
    request = payment_request("pay_1", amount_minor, currency)
    payment, _ = store.create(request, actor="api", at=utc_now())
    schema = {"$ref": "#/components/schemas/Payment"}
    assert not contract.faults(schema, describe(payment))


def test_documented_requests_are_accepted(contract: Contract, send: Send) -> None:
    content = contract.operations[SUBMIT]["requestBody"]["content"]
    assert set(content) == {"application/json"}
    for name, each in content["application/json"]["examples"].items():
        assert not contract.faults(REQUEST, each["value"]), name
        assert submit(send, each["value"])[0] == 202, name
