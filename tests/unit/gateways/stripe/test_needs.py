"""What Stripe needs of a payment is asked for where the payment comes in, by field."""

import json

import pytest

from payments.api.requests import parse_payment_json
from payments.batches.layout import PAYMENTS
from payments.batches.records import ValidRow, plan_file, read_rows
from payments.core.faults import InvalidRequest, UnreadableFile
from payments.gateways.stripe.needs import STRIPE_NEEDS

GIVEN = {"processor_customer": "cus_1", "processor_payment_method": "pm_card_visa"}
COLUMNS = ("payment_id", "amount", "currency", *GIVEN)


def faults_of(**changes: object) -> list[tuple[str, str]]:
    asked = {"payment_id": "p", "amount": "1.00", "currency": "USD", **GIVEN, **changes}
    body = {name: value for name, value in asked.items() if value is not ...}
    try:
        parse_payment_json(json.dumps(body), STRIPE_NEEDS)
    except InvalidRequest as refused:
        return [(error.field, error.code) for error in refused.errors]
    return []


def test_a_payment_with_customer_and_method_is_taken() -> None:
    assert faults_of() == []
    assert faults_of(processor_payment_method="card_1", capture="manual") == []


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"processor_customer": ...}, [("processor_customer", "required")]),
        ({"processor_customer": None}, [("processor_customer", "invalid_type")]),
        ({"processor_customer": "pm_1"}, [("processor_customer", "invalid_format")]),
        (
            {"processor_payment_method": "tok_visa"},
            [("processor_payment_method", "invalid_format")],
        ),
        (
            {"processor_payment_method": "4242424242424242"},
            [("processor_payment_method", "card_number")],
        ),
        ({"currency": "CLF"}, [("currency", "currency_not_supported")]),
        ({"currency": "KWD", "amount": "5.124"}, [("amount", "amount_not_supported")]),
        ({"currency": "ISK", "amount": "5"}, []),
    ],
)
def test_a_fault_is_named(changes: dict[str, object], faults: list[tuple[str, str]]) -> None:
    assert faults_of(**changes) == faults


def test_every_fault_is_named_at_once() -> None:
    nothing = {"processor_customer": ..., "processor_payment_method": ...}
    assert set(faults_of(**nothing, payment_id="a b", currency="CLF")) == {
        ("payment_id", "invalid_format"),
        ("processor_customer", "required"),
        ("processor_payment_method", "required"),
        ("currency", "currency_not_supported"),
    }


def test_a_file_without_the_columns_is_refused_whole() -> None:
    file = b"payment_id,amount,currency,processor_customer\np,1,USD,cus_1\n"
    with pytest.raises(UnreadableFile, match="no column processor_payment_method") as refused:
        plan_file([file], 100, PAYMENTS, needed=STRIPE_NEEDS.ids)
    assert "expected at least: payment_id,amount,currency,processor_customer" in str(refused.value)
    assert plan_file([file], 100, PAYMENTS).columns == COLUMNS[:4]


def test_rows_are_judged_like_requests() -> None:
    rows = read_rows(
        [b"p1,1,USD,cus_1,pm_1\np2,1,USD,,pm_1\np3,5.124,KWD, cus_1 ,'pm_1\np4,1,EUR,cus_1,pm_1\n"],
        COLUMNS,
        2,
        PAYMENTS,
        STRIPE_NEEDS,
    )
    told = [
        row.content.payment_id
        if isinstance(row, ValidRow)
        else [(fault.field, fault.code) for fault in row.errors]
        for row in rows
    ]
    assert told == [
        "p1",
        [("processor_customer", "required")],
        [("amount", "amount_not_supported")],
        "p4",
    ]
