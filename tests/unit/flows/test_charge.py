"""Charging: once, and never by guess."""

import pytest

from payments.aws.payments import PaymentStore
from payments.aws.sandbox_ledger import SandboxLedger
from payments.core.announcements import notification
from payments.core.faults import (
    GatewayUnavailable,
    PaymentNotFound,
    StaleTransition,
)
from payments.core.payment import Failure, Payment, PaymentStatus, Transition
from payments.flows.charge import PaymentProcessing, StepContext
from payments.gateways.port import Approved, ChargeOutcome, Declined
from tests.unit.cloud import Cloud, payment_request, repeat_committed_writes, statuses

STEP = StepContext(execution_arn="arn:execution:pay_1", request_id="invocation-1", attempt=0)


class TestCharge:
    """The workflow's steps."""

    def test_an_approved_payment_completes(
        self, store: PaymentStore, processing: PaymentProcessing, cloud: Cloud
    ) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        payment = processing.charge("pay_1", STEP)
        assert payment.status is PaymentStatus.COMPLETED
        assert payment.gateway_reference == "sandbox_pay_1"
        assert store.get("pay_1") == payment
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]
        assert cloud.items("audit")[-1]["hash"]["S"] == payment.audit_hash

    @pytest.mark.parametrize(
        ("amount_minor", "code"),
        [
            (40001, "insufficient_funds"),
            (40002, "card_declined"),
            (40003, "expired_card"),
            (40004, "suspected_fraud"),
        ],
    )
    def test_a_declined_payment_fails_with_its_code(
        self, store: PaymentStore, processing: PaymentProcessing, amount_minor: int, code: str
    ) -> None:
        store.create(payment_request(amount_minor=amount_minor), actor="api", at="2026-01-01")
        payment = processing.charge("pay_1", STEP)
        assert payment.status is PaymentStatus.FAILED
        assert payment.failure is not None
        assert payment.failure.code == code

    @pytest.mark.parametrize("amount_minor", [50001, 50002])
    def test_a_gateway_that_fails_once_is_asked_again(
        self, store: PaymentStore, processing: PaymentProcessing, amount_minor: int
    ) -> None:
        store.create(payment_request(amount_minor=amount_minor), actor="api", at="2026-01-01")
        with pytest.raises(GatewayUnavailable):
            processing.charge("pay_1", STEP)
        assert statuses(store) == ["PENDING", "PROCESSING"]
        assert processing.charge("pay_1", STEP).status is PaymentStatus.COMPLETED
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]

    def test_a_gateway_that_stays_down_ends_in_a_failure_without_a_charge(
        self, store: PaymentStore, processing: PaymentProcessing, ledger: SandboxLedger
    ) -> None:
        store.create(payment_request(amount_minor=50003), actor="api", at="2026-01-01")
        for _ in range(3):
            with pytest.raises(GatewayUnavailable):
                processing.charge("pay_1", STEP)
        payment = processing.settle("pay_1", STEP)
        assert payment.failure is not None
        assert payment.failure.code == "gateway_unavailable"
        late = ledger.decide(payment, Approved("too late"))
        assert isinstance(late, Declined)

    def test_a_charge_whose_answer_never_came_is_settled_as_completed(
        self, store: PaymentStore, processing: PaymentProcessing
    ) -> None:
        store.create(payment_request(amount_minor=50002), actor="api", at="2026-01-01")
        with pytest.raises(GatewayUnavailable):
            processing.charge("pay_1", STEP)
        assert processing.settle("pay_1", STEP).status is PaymentStatus.COMPLETED

    @pytest.mark.parametrize("step", ["charge", "settle"])
    def test_a_final_payment_is_answered_and_not_touched(
        self, store: PaymentStore, processing: PaymentProcessing, step: str
    ) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01")
        first = processing.charge("pay_1", STEP)
        again = getattr(processing, step)("pay_1", STEP)
        assert again == first
        assert notification(again) == notification(first)

    def test_an_unknown_payment_cannot_be_charged(self, processing: PaymentProcessing) -> None:
        with pytest.raises(PaymentNotFound):
            processing.charge("pay_none", STEP)

    def test_a_late_duplicate_cannot_move_a_finished_payment(
        self, store: PaymentStore, processing: PaymentProcessing
    ) -> None:
        pending, _ = store.create(payment_request(), actor="api", at="2026-01-01")
        finished = processing.charge("pay_1", STEP)
        late = Transition(
            to=PaymentStatus.FAILED,
            at="2026-01-02",
            actor="a twin",
            request_id="late",
            failure=Failure("late", "too late"),
        )
        with pytest.raises(StaleTransition) as stale:
            store.transition(pending, late)
        assert stale.value.current == finished
        assert store.get("pay_1") == finished

    def test_a_twin_that_overtakes_brings_both_to_the_same_end(
        self, store: PaymentStore, processing: PaymentProcessing
    ) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01")

        class OvertakenGateway:
            def charge(self, payment: Payment) -> ChargeOutcome:
                processing.charge(payment.payment_id, STEP)
                return Approved("sandbox_pay_1")

            def cancel(self, payment: Payment) -> ChargeOutcome:
                raise AssertionError("not asked")

        payment = PaymentProcessing(store, OvertakenGateway()).charge("pay_1", STEP)
        assert payment.status is PaymentStatus.COMPLETED
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]

    def test_the_lost_answer_of_a_committed_transition_is_ones_own(
        self, store: PaymentStore, processing: PaymentProcessing, cloud: Cloud
    ) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01")
        repeat_committed_writes(cloud)
        assert processing.charge("pay_1", STEP).status is PaymentStatus.COMPLETED
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]
