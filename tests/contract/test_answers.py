"""Every answer of the handler is documented, and every documented answer is given."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lib.edge.refusals import problems
from payments.api.requests import MAX_BODY_BYTES
from payments.aws.payments import PaymentStore
from payments.batches.steps import BatchProcessing
from payments.core.asking import Asked
from payments.core.clock import utc_now
from payments.core.faults import ServiceUnavailable
from payments.core.operation import OperationKind, OperationRef
from payments.core.payment import PaymentStatus, Transition
from payments.core.review import Person, ReviewLimits
from payments.flows.charge import Charging
from payments.flows.intake import PaymentIntake
from payments.flows.listing import PaymentListing
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.review import RefundReviews, Reviews, WaitingList
from payments.gateways.stripe.needs import STRIPE_NEEDS
from payments.runtime.api_handler import Services
from tests.contract.asking import (
    APPROVE,
    CANCEL,
    CAPTURE,
    LIST,
    LIST_REVIEWS,
    PAYMENT,
    READ_REFUNDS,
    REFUND,
    SUBMIT,
    Seen,
    Send,
    decide,
    decide_refund,
    list_payments,
    operate,
    read,
    read_batch,
    read_refund,
    submit,
)
from tests.contract.contract import Contract
from tests.unit.cloud import (
    TABLES,
    WITNESS,
    Cloud,
    add_due_index,
    add_indexes,
    payment_request,
    process,
)


class _Broken:
    """An adapter none of whose operations succeeds."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _operation: str) -> Callable[..., Any]:
        def fail(*_arguments: Any, **_by_name: Any) -> Any:
            raise self._error

        return fail


FAULTY_PARAMETERS = [
    ("limit", "0"),
    ("limit", "101"),
    ("limit", "1e1"),
    ("cursor", "x"),
    ("cursor", ""),
    ("status", "completed"),
    ("currency", "usd"),
    ("created_from", "yesterday"),
    ("created_to", "2026-02-30T00:00:00Z"),
    ("batch_id", "batch_1"),
    ("offset", "10"),
]
INVALID_BODIES = [
    "",
    "{",
    "[]",
    "null",
    '{"a":' + "[" * 8000 + "]" * 8000 + "}",
    "{}",
    '{"payment_id": "a", "payment_id": "b", "amount": 1, "currency": "USD"}',
    {"payment_id": 1, "amount": True, "currency": None, "note": "x" * 100, "y" * 100: 1},
    {"payment_id": "a b", "amount": "1e2", "currency": "usd"},
    {**PAYMENT, "processor_customer": "a b", "processor_payment_method": "4242 4242 4242 4242"},
    {**PAYMENT, "capture": "later"},
    *(
        {**PAYMENT, "amount": amount}
        for amount in (0, -1, "0.001", "0.0001", "1" * 19, "9" * 17, "١", "1,000", " 1", 1e300)
    ),
]


def _put_in_review(store: PaymentStore) -> None:
    """Let a payment of Alice's wait for a decision."""
    request = replace(
        payment_request("pay_large"), submitter=Person("AIDAALICE", "alice"), needs_review=True
    )
    payment, _ = store.create(request, actor="api", at=utc_now())
    moved = Transition(to=PaymentStatus.IN_REVIEW, at=utc_now(), actor="test", request_id="r")
    store.transition(payment, moved)


def _decide_in_every_way(send: Send, store: PaymentStore) -> None:
    _put_in_review(store)
    assert decide(send, "pay_large", None, APPROVE)[0] == 403
    assert decide(send, "pay_large", "alice", APPROVE)[0] == 403
    assert decide(send, "pay_1", "bob", APPROVE)[0] == 409
    assert decide(send, "pay_none", "bob", APPROVE)[0] == 404
    for faulty in ("{", {}, {"decision": "pay", "note": ""}, {**APPROVE, "note": "a\nb", "x": 1}):
        assert decide(send, "pay_large", "bob", faulty)[0] == 400
    plain = {"Content-Type": "text/plain"}
    assert decide(send, "pay_large", "bob", APPROVE, headers=plain)[0] == 415
    assert decide(send, "pay_large", "bob", " " * (MAX_BODY_BYTES + 1))[0] == 413
    assert decide(send, "pay_large", "bob", APPROVE)[0] == 200
    assert decide(send, "pay_large", "bob", APPROVE)[0] == 200
    assert decide(send, "pay_large", "carol", APPROVE)[0] == 409


def _decide_about_refunds_in_every_way(send: Send, services: Services) -> None:
    """Decide about two refunds of pay_7 that Alice asked for."""
    limits = ReviewLimits.read("USD=20.00")
    careful = OperationIntake(
        services.operations._store,
        services.operations._operations,
        services.operations._queue,
        limits=limits,
    )
    alice = Person("AIDAALICE", "alice")
    for refund_id in ("held", "no"):
        asked = Asked(
            kind=OperationKind.REFUND,
            payment_id="pay_7",
            operation_id=refund_id,
            source="api",
            correlation_id="request-1",
            amount="20.01",
            reason="returned",
            submitter=alice,
        )
        assert careful.refund(asked)[0].status == "IN_REVIEW"
    told = send(LIST_REVIEWS)[1]["data"]
    assert [each.get("refund_id") for each in told] == ["held", "no"]
    assert (told[0]["reason"], told[0]["submitted_by"]) == ("returned", "alice")

    def decide(refund_id: str, by: str | None, body: Any = APPROVE, **changes: Any) -> int:
        return decide_refund(send, refund_id, by, body, "pay_7", **changes)[0]

    assert decide("held", None) == 403
    assert decide("held", "alice") == 403
    for payment_id, refund_id in (("pay_7", "none"), ("pay_7", ""), ("pay_none", "held")):
        assert decide_refund(send, refund_id, "bob", APPROVE, payment_id)[0] == 404
    for faulty in ("{", {}, {"decision": "pay", "note": ""}):
        assert decide("held", "bob", faulty) == 400
    assert decide("held", "bob", headers={"Content-Type": "text/plain"}) == 415
    assert decide("held", "bob", " " * (MAX_BODY_BYTES + 1)) == 413
    assert decide("held", "bob") == 200
    assert decide("held", "bob") == 200
    assert decide("held", "carol") == 409
    assert decide_refund(send, "r1", "bob", APPROVE)[0] == 409
    assert decide("no", "bob", {**APPROVE, "decision": "reject"}) == 200
    assert send(LIST_REVIEWS)[1]["data"] == []


def test_every_answer_of_the_handler_is_documented_and_every_documented_answer_is_given(  # noqa: PLR0913, PLR0917 - fixtures
    contract: Contract,
    send: Send,
    seen: Seen,
    batches: BatchProcessing,
    cloud: Cloud,
    store: PaymentStore,
    charging: Charging,
    performing: Performing,
    services: Services,
) -> None:
    assert submit(send, PAYMENT)[0] == 202
    assert submit(send, PAYMENT)[0] == 200
    assert submit(send, {**PAYMENT, "amount": 1})[0] == 409
    asked = {**PAYMENT, "payment_id": "pay_2", "processor_customer": "cus_1", "capture": "manual"}
    assert submit(send, asked)[0] == 202
    assert read(send, "pay_2")[1]["processor_customer"] == "cus_1"
    assert submit(send, {**asked, "capture": "automatic"})[0] == 409
    assert read(send, "pay_1")[0] == 200
    assert read(send, "pay_none")[0] == 404
    add_indexes(cloud.dynamodb, TABLES.payments)
    add_due_index(cloud.dynamodb)
    assert {each["payment_id"] for each in list_payments(send)[1]["data"]} == {"pay_1", "pay_2"}
    for name, value in FAULTY_PARAMETERS:
        assert send(LIST, multiValueQueryStringParameters={name: [value]})[0] == 400
    batch = cloud.upload(b"payment_id,amount,currency\n")
    assert read_batch(send, batch.batch_id)[0] == 404
    process(batches, batch, 0)
    assert read_batch(send, batch.batch_id)[0] == 200
    _operations_are_answered_as_documented(send, store, charging, performing)
    for unknown in ("", "batch_none", batch.batch_id.upper(), f"{batch.batch_id}0"):
        assert read_batch(send, unknown)[0] == 404
    _decide_about_refunds_in_every_way(send, services)
    _decide_in_every_way(send, store)
    for body in INVALID_BODIES:
        assert submit(send, body)[0] == 400
    intake = PaymentIntake(store, services.intake._queue, needs=STRIPE_NEEDS)
    needy = replace(services, intake=intake)
    ids = {"processor_customer": "cus_1", "processor_payment_method": "pm_1"}
    for unfit in ({"currency": "CLF"}, {"currency": "KWD", "amount": 5.124}, {"capture": "x"}):
        assert submit(send, {**PAYMENT, **ids, **unfit}, services=needy)[0] == 400
    encoded = base64.b64encode(b"\xff").decode()
    assert send(SUBMIT, body=encoded, isBase64Encoded=True)[0] == 400
    assert submit(send, PAYMENT, headers={"Content-Type": "text/plain"})[0] == 415
    assert submit(send, " " * (MAX_BODY_BYTES + 1))[0] == 413
    for error, status in ((ServiceUnavailable(), 503), (RuntimeError(), 500)):
        broken: Any = _Broken(error)
        without = Services(
            intake=PaymentIntake(broken, broken),
            operations=OperationIntake(broken, broken, broken),
            listing=PaymentListing(broken, broken),
            batches=broken,
            reviews=Reviews(broken, broken),
            refund_reviews=RefundReviews(broken, broken, broken),
            waiting=WaitingList(broken, broken, broken),
        )
        assert submit(send, PAYMENT, services=without)[0] == status
        assert read(send, "pay_1", services=without)[0] == status
        assert list_payments(send, services=without)[0] == status
        for operation, body in (
            (REFUND, {"refund_id": "r1"}),
            (CAPTURE, {"capture_id": "c1"}),
            (CANCEL, {}),
        ):
            assert operate(send, operation, body, services=without)[0] == status
        assert operate(send, READ_REFUNDS, services=without)[0] == status
        assert read_refund(send, "r1", services=without)[0] == status
        assert decide(send, "pay_large", "bob", APPROVE, services=without)[0] == status
        assert decide_refund(send, "r1", "bob", APPROVE, services=without)[0] == status
        assert send(LIST_REVIEWS, services=without)[0] == status
        assert read_batch(send, batch.batch_id, services=without)[0] == status

    refusals = {*problems(signed=True), *problems(signed=False)}
    answers = {
        (operation, status, body["type"] if status >= 400 else "")
        for operation, status, body in seen
    } | {
        (operation, refusal.status, "about:blank")
        for operation in contract.operations
        for refusal in refusals
        if refusal.status in contract.responses(operation)
    }
    documented = {
        answer for operation in contract.operations for answer in contract.answers(operation)
    }
    assert answers == documented
    codes = {error["code"] for _, _, body in seen for error in body.get("errors", ())}
    assert codes | {refusal.code for refusal in refusals} == set(contract.codes)


def _operations_are_answered_as_documented(
    send: Send, store: PaymentStore, charging: Charging, performing: Performing
) -> None:
    """Walk every answer of the routes of operations."""
    refund = {"refund_id": "r1", "amount": "60.00", "reason": "requested_by_customer"}
    assert operate(send, REFUND, refund, "pay_none")[0] == 404
    assert operate(send, REFUND, refund)[0] == 409
    charging.charge_by_id("pay_1", WITNESS)
    assert operate(send, REFUND, refund)[0] == 202
    assert operate(send, REFUND, refund)[0] == 200
    assert operate(send, REFUND, {**refund, "amount": 1})[0] == 409
    assert operate(send, REFUND, {**refund, "refund_id": "r2"})[0] == 409
    assert operate(send, REFUND, {"refund_id": "r3"})[0] == 202
    assert operate(send, REFUND, {"refund_id": "r4"})[0] == 409
    performing.perform(OperationRef("pay_1", OperationKind.REFUND, "r1"), WITNESS)
    assert read_refund(send, "r1")[1]["status"] == "COMPLETED"
    for payment_id, refund_id in (("pay_none", "r1"), ("pay_1", "r9"), ("pay_1", "")):
        assert read_refund(send, refund_id, payment_id)[0] == 404
    assert len(operate(send, READ_REFUNDS)[1]["data"]) == 2
    assert operate(send, READ_REFUNDS, payment_id="pay_none")[0] == 404
    told = read(send, "pay_1")[1]
    assert told["amounts"]["refunded"] == "60.00"
    assert len(told["operations"]) == 2
    for operation in (CAPTURE, CANCEL):
        body = {"capture_id": "c1"} if operation == CAPTURE else {}
        assert operate(send, operation, body, "pay_none")[0] == 404
        assert operate(send, operation, body)[0] == 409
    for number in (3, 4, 5, 6):
        asked = {**PAYMENT, "payment_id": f"pay_{number}", "capture": "manual"}
        assert submit(send, asked)[0] == 202
    # Cancelled before it was charged, and while it is charged.
    assert operate(send, CANCEL, {"reason": "abandoned"}, "pay_3")[0] == 200
    assert operate(send, CANCEL, {}, "pay_3")[0] == 200
    bound = store.get("pay_4")
    assert bound is not None
    to_processing = Transition(
        to=PaymentStatus.PROCESSING, at=utc_now(), actor="test", request_id="request-1"
    )
    store.transition(bound, to_processing)
    assert operate(send, CANCEL, {}, "pay_4")[0] == 409
    assert submit(send, {**PAYMENT, "payment_id": "pay_7"})[0] == 202
    for payment_id in ("pay_5", "pay_6", "pay_7"):
        charging.charge_by_id(payment_id, WITNESS)
    assert "capture_before" in read(send, "pay_5")[1]
    capture = {"capture_id": "c1", "amount": "40.00", "final": False}
    assert operate(send, CAPTURE, {**capture, "amount": 100}, "pay_5")[0] == 409
    assert operate(send, CAPTURE, capture, "pay_5")[0] == 202
    assert operate(send, CAPTURE, capture, "pay_5")[0] == 200
    assert operate(send, CAPTURE, {"capture_id": "c1"}, "pay_5")[0] == 409
    assert operate(send, CAPTURE, {"capture_id": "c2"}, "pay_5")[0] == 409
    assert operate(send, CANCEL, {}, "pay_5")[0] == 409
    assert operate(send, CANCEL, {}, "pay_6")[0] == 202
    assert operate(send, CAPTURE, {"capture_id": "c1"}, "pay_6")[0] == 409
    for operation in (REFUND, CAPTURE, CANCEL):
        for bad in ("", "[]", {"note": 1}, {"amount": True, "reason": "", "final": 1}):
            assert operate(send, operation, bad)[0] == 400
        assert operate(send, operation, {}, headers={"Content-Type": "text/plain"})[0] == 415
        assert operate(send, operation, " " * (MAX_BODY_BYTES + 1))[0] == 413
    for bad_id in ("a b", 1):
        assert operate(send, REFUND, {"refund_id": bad_id})[0] == 400
    assert operate(send, REFUND, {"refund_id": "r9", "amount": "0.001"})[0] == 400
