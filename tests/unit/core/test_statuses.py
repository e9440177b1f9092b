"""A status says all about itself in one place, and "settled" and "terminal" are two things."""

from dataclasses import replace

import pytest

from payments.aws.payments import REVIEW_SHARDS, PaymentStore
from payments.aws.queue import PaymentQueues
from payments.core import payment as payment_module
from payments.core.messages import PaymentMessage
from payments.core.payment import LIFE, PaymentStatus, StatusFacts, Transition
from payments.flows.charge import Charging
from payments.flows.delivery import Delivery, Done
from payments.flows.sweep import PaymentSweep
from tests.unit.cloud import (
    AT,
    ROW,
    TABLES,
    WITNESS,
    Cloud,
    ScriptedGateway,
    Started,
    add_open_index,
    payment_request,
)


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


def test_the_life_of_a_payment_is_the_one_that_clients_are_promised() -> None:
    life = {status.value: {to.value for to in status.successors} for status in PaymentStatus}
    assert life == {
        "PENDING": {"PROCESSING", "IN_REVIEW", "CANCELED"},
        "IN_REVIEW": {"PROCESSING", "FAILED", "CANCELED"},
        "PROCESSING": {"COMPLETED", "FAILED", "AUTHORIZED"},
        "AUTHORIZED": {"COMPLETED", "CANCELED"},
        "COMPLETED": set(),
        "FAILED": set(),
        "CANCELED": set(),
    }


def test_only_what_waits_for_nobody_else_is_open() -> None:
    assert {status.value for status in PaymentStatus if status.is_open} == {"PENDING", "PROCESSING"}


def test_the_row_of_a_payment_ends_once_even_if_it_is_captured_later(
    cloud: Cloud, store: PaymentStore
) -> None:
    payment, _ = store.create(payment_request("pay_1", source=ROW), actor="batch", at=AT)
    for status in ("PROCESSING", "AUTHORIZED", "COMPLETED"):
        change = Transition(
            to=PaymentStatus(status), at=AT, actor="test", request_id="request", capture_before=None
        )
        payment = store.transition(payment, change)
    counted = [item for item in cloud.items(TABLES.processing_status) if "authorized" in item]
    assert [item["authorized"]["N"] for item in counted] == ["1"]
    assert not any("completed" in item for item in cloud.items(TABLES.processing_status))


def test_a_payment_in_review_has_partitions_of_its_own_in_the_index_of_open_payments(
    cloud: Cloud, store: PaymentStore
) -> None:
    payment, _ = store.create(payment_request("pay_1"), actor="api", at=AT)
    is_indexed = []
    for status in (PaymentStatus.IN_REVIEW, PaymentStatus.PROCESSING):
        payment = store.transition(
            payment, Transition(to=status, at=AT, actor="test", request_id="request")
        )
        (item,) = cloud.items(TABLES.payments)
        is_indexed.append(int(item["open_shard"]["N"]) in REVIEW_SHARDS)
    assert is_indexed == [True, False]


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
    gateway = ScriptedGateway()
    charging = Charging(store, gateway)
    store.create(payment_request("pay_1"), actor="api", at=AT)
    for _ in range(3):
        assert charging.charge_by_id("pay_1", WITNESS).status is PaymentStatus.COMPLETED
        assert charging.settle("pay_1", WITNESS).status is PaymentStatus.COMPLETED
    assert not PaymentStatus.COMPLETED.is_terminal
    assert gateway.calls == ["prepare", "charge"]


@pytest.mark.usefixtures("refundable")
def test_a_completed_payment_that_something_may_follow_is_not_stuck(
    cloud: Cloud, store: PaymentStore, queues: PaymentQueues
) -> None:
    add_open_index(cloud.dynamodb, TABLES.payments)
    payment, _ = store.create(payment_request("pay_1"), actor="api", at=AT)
    for status in (PaymentStatus.PROCESSING, PaymentStatus.COMPLETED):
        payment = store.transition(
            payment, Transition(to=status, at=AT, actor="test", request_id="request")
        )
    sweep = PaymentSweep(store, queues, clock=lambda: "2026-01-02T00:00:00Z")
    assert sweep.look(has_time=lambda: True).stuck == []


@pytest.mark.usefixtures("refundable")
def test_a_duplicate_of_a_completed_payment_starts_nothing(store: PaymentStore) -> None:
    store.create(payment_request("pay_1"), actor="api", at=AT)
    charging, workflow = Charging(store, ScriptedGateway()), Started()
    charging.charge_by_id("pay_1", WITNESS)
    message = PaymentMessage(payment_request("pay_1", source=ROW))
    assert Delivery(store, charging, workflow).deliver(message, WITNESS, is_first=True) == Done()
    assert workflow.started == []


def test_a_step_that_no_payment_makes_is_not_written(store: PaymentStore) -> None:
    payment, _ = store.create(payment_request("pay_1"), actor="api", at=AT)
    change = Transition(to=PaymentStatus.COMPLETED, at=AT, actor="test", request_id="request")
    with pytest.raises(ValueError, match="PENDING does not lead to COMPLETED"):
        store.transition(payment, change)
    assert store.get("pay_1") == payment
