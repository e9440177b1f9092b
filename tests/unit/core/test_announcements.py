"""Events: each a rendering of its audit record alone."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from payments.aws.items import deserialize
from payments.aws.payments import PaymentStore
from payments.core.announcements import announcement, describe
from payments.core.audit import acceptance_record, transition_record
from payments.core.operation import Operation, OperationStatus
from payments.core.payment import (
    Failure,
    Payment,
    PaymentRequest,
    PaymentStatus,
    Transition,
)
from payments.flows.charge import Charging
from payments.gateways.port import CANCELLED
from tests.unit.cloud import AT, WITNESS, Cloud, payment_request
from tests.unit.trails import REFUND, completed


def processing(request: PaymentRequest) -> Payment:
    """Return a payment that is being charged."""
    first = acceptance_record(request, actor="api", at=AT)
    return Payment(
        content=request.content,
        status=PaymentStatus.PROCESSING,
        version=2,
        content_hash=request.content.hash,
        source=request.source,
        correlation_id=request.correlation_id,
        created_at=AT,
        updated_at=AT,
        audit_hash=first["hash"],
        gateway_reference="ref",
    )


def ended(
    to: PaymentStatus, *, failure: Failure | None = None, request: PaymentRequest | None = None
) -> dict[str, Any]:
    """Return the record of a payment's end."""
    return transition_record(
        processing(request or payment_request()),
        Transition(
            to=to,
            at="2026-01-01T00:00:01.000000Z",
            actor="payment-processor",
            request_id="invocation-1",
            failure=failure,
            gateway_reference="ref" if failure is None else None,
        ),
    )


def test_an_event_says_what_happened_to_whom_and_when() -> None:
    document, attributes = announcement(ended(PaymentStatus.COMPLETED))
    assert document == {
        "event_id": "pay_1:3",
        "event_type": "payment.completed",
        "sequence": 3,
        "occurred_at": "2026-01-01T00:00:01.000000Z",
        "correlation_id": "request-1",
        "payment": {
            "payment_id": "pay_1",
            "amount": "99.99",
            "amount_minor": 9999,
            "currency": "USD",
            "status": "COMPLETED",
            "created_at": AT,
            "updated_at": "2026-01-01T00:00:01.000000Z",
        },
    }
    assert attributes == {
        "event_type": "payment.completed",
        "status": "COMPLETED",
        "currency": "USD",
    }


def test_no_event_tells_an_id_at_the_processor() -> None:
    request = payment_request()
    content = request.content._replace(
        processor_customer="cus_1", processor_payment_method="pm_1", capture="manual"
    )
    asked = replace(request, content=content)
    record = ended(PaymentStatus.COMPLETED, request=asked)
    assert announcement(record) == announcement(
        {**ended(PaymentStatus.COMPLETED), "content_hash": content.hash}
    )
    assert not {"cus_1", "pm_1"} & set(map(str, record.values()))
    assert describe(processing(asked))["processor_customer"] == "cus_1"


def test_a_failure_is_told_with_its_reason() -> None:
    document, attributes = announcement(ended(PaymentStatus.FAILED, failure=CANCELLED))
    assert document["event_type"] == attributes["event_type"] == "payment.failed"
    assert document["payment"]["failure_code"] == "gateway_unavailable"
    assert document["payment"]["failure_message"] == CANCELLED.message


def test_an_event_holds_the_payment_as_the_api_answers_it(
    charging: Charging, store: PaymentStore, cloud: Cloud
) -> None:
    for name, amount_minor in (("pay_1", 100), ("pay_2", 40001)):
        store.create(payment_request(name, amount_minor), actor="api", at=AT)
        charging.charge_by_id(name, WITNESS)
    for record in map(deserialize, cloud.items("audit")):
        if "event_type" in record:
            document, _ = announcement(record)
            payment = store.get(record["payment_id"])
            assert payment is not None
            assert document["payment"] == describe(payment)


def test_an_event_is_the_same_however_often_it_is_made() -> None:
    record = ended(PaymentStatus.COMPLETED)
    assert announcement(record) == announcement(dict(record))


def test_the_events_of_different_records_have_different_ids() -> None:
    records = [
        replace_sequence(ended(PaymentStatus.COMPLETED, request=payment_request(name)), sequence)
        for name, sequence in itertools.product(("pay_1", "pay_2", "pay_11"), (1, 3, 13))
    ]
    assert len({announcement(record)[0]["event_id"] for record in records}) == len(records)


def replace_sequence(record: dict[str, Any], sequence: int) -> dict[str, Any]:
    return {**record, "sequence": sequence}


@pytest.mark.parametrize(
    "name", ["payment_id", "at", "created_at", "correlation_id", "currency", "to", "event_type"]
)
@pytest.mark.parametrize("value", [None, 1, b"bytes", {"a"}, ["a"]])
def test_a_record_that_is_damaged_cannot_be_announced(name: str, value: object) -> None:
    record = {**ended(PaymentStatus.COMPLETED), name: value}
    if value is None:
        del record[name]
    with pytest.raises((LookupError, TypeError, ValueError)):
        announcement(record)


@pytest.mark.parametrize("name", ["amount_minor", "exponent"])
@pytest.mark.parametrize("value", ["1", None, ["1"]])
def test_a_record_without_its_amount_cannot_be_announced(name: str, value: object) -> None:
    with pytest.raises((LookupError, TypeError, ValueError)):
        announcement({**ended(PaymentStatus.COMPLETED), name: value})


def test_an_unknown_status_cannot_be_announced() -> None:
    with pytest.raises(ValueError, match="NO_STATUS"):
        announcement({**ended(PaymentStatus.COMPLETED), "to": "NO_STATUS"})


def refunded(*statuses: OperationStatus, failure: Failure | None = None) -> dict[str, Any]:
    """Return the last record of a refund that went through these statuses."""
    trail = completed()
    trail.refund("r1", 250)
    asked = Operation.requested(REFUND, amount_minor=250, rest_minor=0, at=AT)
    for status in statuses:
        trail.step(asked, status, before=OperationStatus.PENDING, failure=failure)
    return trail.records[-1]


@pytest.mark.parametrize(
    ("status", "attempts"), [(OperationStatus.IN_REVIEW, 0), (OperationStatus.FAILED, 1)]
)
def test_an_event_of_an_operation_tells_the_attempts_that_the_operation_has(
    status: OperationStatus, attempts: int
) -> None:
    trail = completed()
    asked = Operation.requested(REFUND, amount_minor=250, rest_minor=0, at=AT)
    before = None
    if status is OperationStatus.FAILED:
        before = OperationStatus.PENDING
        trail.refund("r1", 250)
    trail.step(asked, status, before=before)
    assert announcement(trail.records[-1])[0]["operation"]["attempts"] == attempts


def test_an_event_of_an_operation_says_what_became_of_it() -> None:
    document, attributes = announcement(refunded(OperationStatus.COMPLETED))
    assert document["payment"] == {
        "payment_id": "pay_1",
        "amount": "99.99",
        "amount_minor": 9999,
        "currency": "USD",
    }
    assert document["operation"] == {
        "kind": "refund",
        "operation_id": "r1",
        "amount": "2.50",
        "amount_minor": 250,
        "status": "COMPLETED",
        "requested_at": AT,
        "updated_at": AT,
        "attempts": 1,
    }
    assert attributes == {
        "event_type": "refund.completed",
        "status": "COMPLETED",
        "currency": "USD",
    }


def test_an_event_of_an_operation_that_failed_says_why() -> None:
    record = refunded(OperationStatus.FAILED, failure=Failure("card_gone", "The card is gone."))
    operation = announcement(record)[0]["operation"]
    assert operation["status"] == "FAILED"
    assert operation["failure_code"] == "card_gone"
    assert operation["failure_message"] == "The card is gone."


@pytest.mark.parametrize("damage", [{"operation_minor": "250"}, {"operation_id": 1}])
def test_a_damaged_record_of_an_operation_cannot_be_announced(damage: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="damaged"):
        announcement({**refunded(OperationStatus.COMPLETED), **damage})


def test_a_failure_that_is_not_recorded_as_the_end_yet_is_not_shown() -> None:
    closed = replace(processing(payment_request()), failure=CANCELLED)
    assert "failure_code" not in describe(closed)
    failed = replace(closed, status=PaymentStatus.FAILED)
    assert describe(failed)["failure_code"] == "gateway_unavailable"
    assert "failure_code" not in describe(replace(failed, failure=None))
