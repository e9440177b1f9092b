"""A status says all about itself in one place, and "settled" and "terminal" are two things."""

from dataclasses import replace

import pytest

from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueue
from payments.core import payment as payment_module
from payments.core.payment import LIFE, Payment, PaymentStatus, StatusFacts, Transition
from payments.flows.charge import PaymentProcessing, StepContext
from payments.flows.dispatch import PaymentDispatch
from payments.flows.sweep import PaymentSweep
from payments.gateways.port import Approved, ChargeOutcome
from tests.unit.cloud import TABLES, Cloud, Started, add_open_index, payment_request

STEP = StepContext(execution_arn="execution", request_id="request", attempt=0)
AT = "2026-01-01T00:00:00.000000Z"


class CountingGateway:
    """Approves every charge and counts them."""

    def __init__(self) -> None:
        self.charges = 0

    def charge(self, payment: Payment) -> ChargeOutcome:
        self.charges += 1
        return Approved("reference")

    cancel = charge


@pytest.fixture
def refundable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something follow a completed payment, as a first refund would."""
    facts = replace(LIFE[PaymentStatus.COMPLETED], successors=frozenset({PaymentStatus.FAILED}))
    monkeypatch.setitem(payment_module.LIFE, PaymentStatus.COMPLETED, facts)


def test_every_status_says_all_about_itself() -> None:
    assert set(LIFE) == set(PaymentStatus)
    assert all(isinstance(facts, StatusFacts) for facts in LIFE.values())


def test_every_status_can_be_reached_and_nothing_leads_back() -> None:
    reached = {to for status in PaymentStatus for to in status.successors}
    assert reached == set(PaymentStatus) - {PaymentStatus.PENDING}
    assert all(status not in status.successors for status in PaymentStatus)


@pytest.mark.parametrize("status", PaymentStatus)
def test_an_open_payment_is_not_settled_and_what_is_terminal_is_settled(
    status: PaymentStatus,
) -> None:
    assert not (status.is_open and status.is_settled)
    assert status.is_settled or not status.is_terminal


@pytest.mark.usefixtures("refundable")
def test_a_completed_payment_that_something_may_follow_is_never_charged_again(
    store: PaymentStore,
) -> None:
    gateway = CountingGateway()
    processing = PaymentProcessing(store, gateway)
    store.create(payment_request("pay_1"), actor="api", at=AT)
    for _ in range(3):
        assert processing.charge("pay_1", STEP).status is PaymentStatus.COMPLETED
        assert processing.settle("pay_1", STEP).status is PaymentStatus.COMPLETED
    assert not PaymentStatus.COMPLETED.is_terminal
    assert gateway.charges == 1


@pytest.mark.usefixtures("refundable")
def test_a_completed_payment_that_something_may_follow_is_not_stuck(
    cloud: Cloud, store: PaymentStore, queue: PaymentQueue
) -> None:
    add_open_index(cloud.dynamodb, TABLES.payments)
    payment, _ = store.create(payment_request("pay_1"), actor="api", at=AT)
    for status in (PaymentStatus.PROCESSING, PaymentStatus.COMPLETED):
        payment = store.transition(
            payment, Transition(to=status, at=AT, actor="test", request_id="request")
        )
    sweep = PaymentSweep(store, queue, clock=lambda: "2026-01-02T00:00:00Z")
    assert sweep.stuck(has_time=lambda: True) == []


@pytest.mark.usefixtures("refundable")
def test_a_duplicate_of_a_completed_payment_starts_nothing(store: PaymentStore) -> None:
    store.create(payment_request("pay_1"), actor="api", at=AT)
    PaymentProcessing(store, CountingGateway()).charge("pay_1", STEP)
    started = Started()
    batch = f"batch_{'0' * 32}"
    PaymentDispatch(store, started).dispatch(payment_request("pay_1", source=f"batch:{batch}:2"))
    assert started.started == []
