"""What was accepted in a currency stays readable and is carried through once its code is withdrawn."""

import csv
import io
import json

import pytest

from api_handler import answer
from payments.aws.batches import BatchStore
from payments.aws.payments import PaymentStore
from payments.batches.layout import PAYMENTS
from payments.batches.progress import NotPaidRow
from payments.batches.reports import not_paid_csv
from payments.batches.steps import BatchProcessing
from payments.core.announcements import describe
from payments.core.messages import PaymentMessage, decode_message
from payments.core.money import EXPONENTS
from payments.core.payment import PaymentStatus
from payments.flows.delivery import Delivery, Done
from payments.runtime.api_handler import Services
from tests.unit.aws_events import api_post, load
from tests.unit.cloud import WITNESS, Cloud, payment_content, process

PAYMENT = {"payment_id": "pay_1", "amount": "12.34", "currency": "BGN"}


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a currency that is still on the list when the test begins."""
    monkeypatch.setitem(EXPONENTS, "BGN", 2)


def test_a_queued_payment_is_paid_and_shown(
    cloud: Cloud,
    services: Services,
    delivery: Delivery,
    store: PaymentStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted = answer(api_post(PAYMENT), "request", services)
    assert accepted["statusCode"] == 202
    monkeypatch.delitem(EXPONENTS, "BGN")
    [message] = cloud.messages()
    read = decode_message(message["Body"])
    assert isinstance(read, PaymentMessage)
    delivered = delivery.deliver(read, WITNESS, is_first=True)
    assert delivered == Done()
    paid = store.get("pay_1")
    assert paid is not None
    assert paid.status is PaymentStatus.COMPLETED
    assert describe(paid)["amount"] == "12.34"
    shown = answer(
        {**load("api_get_payment"), "pathParameters": {"payment_id": "pay_1"}},
        "request",
        services,
    )
    assert shown["statusCode"] == 200
    assert json.loads(shown["body"])["amount"] == "12.34"


def test_a_batch_is_summed_up(
    batches: BatchProcessing, batch_store: BatchStore, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = cloud.upload(b"payment_id,amount,currency\npay_1,12.34,BGN\n")
    process(batches, batch, 0)
    monkeypatch.delitem(EXPONENTS, "BGN")
    progress = batch_store.progress(batch.batch_id)
    assert progress is not None
    assert progress.describe()["accepted_amounts"] == {"BGN": "12.34"}


def test_a_row_that_was_not_paid_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    row = NotPaidRow(line=2, content=payment_content("p", 1234, "BGN"), outcome="conflict")
    monkeypatch.delitem(EXPONENTS, "BGN")
    [report] = not_paid_csv([row], PAYMENTS)
    [reported] = csv.DictReader(io.StringIO(report.decode("utf-8-sig")))
    assert reported["amount"] == "12.34"


def test_new_payments_in_it_are_refused(
    services: Services,
    store: PaymentStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(EXPONENTS, "BGN")
    refused = answer(api_post(PAYMENT), "request", services)
    assert refused["statusCode"] == 400
    assert store.get("pay_1") is None
