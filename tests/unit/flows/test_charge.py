"""Charging: bound before money moves, once, and never by guess."""

from collections.abc import Callable

import pytest

from payments.aws.payments import PaymentStore
from payments.aws.sandbox_ledger import SandboxLedger
from payments.core.faults import (
    ChargePending,
    GatewayBusy,
    GatewayRefused,
    GatewayUnavailable,
    PaymentNotFound,
    StaleTransition,
)
from payments.core.payment import Failure, Payment, PaymentStatus, ProcessorAnswer, Transition
from payments.flows.charge import Charging
from payments.gateways.port import CANCELLED, Approved, ChargeOutcome, Declined, Pending, Prepared
from tests.unit.cloud import (
    AT,
    WITNESS,
    Cloud,
    ScriptedGateway,
    payment_request,
    repeat_committed_writes,
    statuses,
)

ANSWER = ProcessorAnswer("do_not_honor", "req_1")
REFUSED_CARD = Failure("card_declined", "The card issuer declined the charge.")


@pytest.fixture
def pending(store: PaymentStore) -> Payment:
    """One payment that was accepted."""
    payment, _ = store.create(payment_request(), actor="api", at=AT)
    return payment


def end(store: PaymentStore) -> Payment:
    payment = store.get("pay_1")
    assert payment is not None
    return payment


def closed(store: PaymentStore, payment: Payment, failure: Failure | None = None) -> Payment:
    """Close a payment: it is PROCESSING, and has no reference by which it could be charged."""
    to = PaymentStatus.PROCESSING
    return store.transition(
        payment, Transition(to=to, at=AT, actor="test", request_id="request", failure=failure)
    )


class Watching(ScriptedGateway):
    """Calls back before it answers a verb."""

    def __init__(self, verb: str, callback: Callable[[], object]) -> None:
        super().__init__()
        self._verb, self._callback = verb, callback

    def _answer(self, verb: str, payment: Payment) -> object:
        if verb == self._verb:
            self._callback()
        return super()._answer(verb, payment)


class TestBinding:
    """The reference is known and stored before any money can move."""

    def test_a_payment_is_prepared_bound_charged_and_completed(
        self, store: PaymentStore, pending: Payment, cloud: Cloud
    ) -> None:
        gateway = ScriptedGateway()
        payment = Charging(store, gateway).charge(pending, WITNESS)
        assert payment.status is PaymentStatus.COMPLETED
        assert payment.gateway_reference == "ref"
        assert gateway.calls == ["prepare", "charge"]
        assert store.get("pay_1") == payment
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]
        assert cloud.items("audit")[-1]["hash"]["S"] == payment.audit_hash

    @pytest.mark.usefixtures("pending")
    def test_the_reference_is_stored_when_the_charge_is_asked_for(
        self, store: PaymentStore
    ) -> None:
        seen: list[Payment] = []
        gateway = Watching("charge", lambda: seen.append(end(store)))
        Charging(store, gateway).charge_by_id("pay_1", WITNESS)
        [stored] = seen
        assert (stored.status, stored.gateway_reference) == (PaymentStatus.PROCESSING, "ref")
        assert gateway.seen[-1] == stored

    def test_the_reference_is_in_the_record_of_the_transition_to_processing(
        self, store: PaymentStore, pending: Payment, cloud: Cloud
    ) -> None:
        gateway = ScriptedGateway(charge=GatewayUnavailable())
        with pytest.raises(GatewayUnavailable):
            Charging(store, gateway).charge(pending, WITNESS)
        accepted, bound = cloud.items("audit")
        assert "gateway_reference" not in accepted
        assert (bound["to"]["S"], bound["gateway_reference"]["S"]) == ("PROCESSING", "ref")

    def test_a_bound_payment_is_not_prepared_again(
        self, store: PaymentStore, pending: Payment
    ) -> None:
        gateway = ScriptedGateway(charge=GatewayUnavailable())
        for _ in range(3):
            with pytest.raises(GatewayUnavailable):
                Charging(store, gateway).charge(pending, WITNESS)
            pending = end(store)
        assert gateway.calls == ["prepare", "charge", "charge", "charge"]

    def test_who_changes_a_payment_is_in_its_records(
        self, store: PaymentStore, pending: Payment, cloud: Cloud
    ) -> None:
        Charging(store, ScriptedGateway()).charge(pending, WITNESS)
        for record in cloud.items("audit")[1:]:
            told = record["actor"]["S"], record["request_id"]["S"], record["attempt"]["N"]
            assert told == ("payment-processor", "invocation-1", "0")

    @pytest.mark.parametrize(
        ("gateway", "told"),
        [
            (ScriptedGateway(charge=Declined(REFUSED_CARD, ANSWER)), {"FAILED"}),
            (ScriptedGateway(prepare=Declined(REFUSED_CARD, ANSWER)), {"PROCESSING"}),
        ],
    )
    def test_the_processors_own_code_and_request_are_in_the_record_of_its_decline(
        self,
        store: PaymentStore,
        pending: Payment,
        cloud: Cloud,
        gateway: ScriptedGateway,
        told: set[str],
    ) -> None:
        Charging(store, gateway).charge(pending, WITNESS)
        by_status = {
            record["to"]["S"]: (
                record.get("processor_code", {}).get("S"),
                record.get("processor_request_id", {}).get("S"),
            )
            for record in cloud.items("audit")
        }
        assert {to for to, answer in by_status.items() if answer != (None, None)} == told
        assert all(by_status[to] == ("do_not_honor", "req_1") for to in told)
        payment = end(store)
        assert payment.audit_hash == cloud.items("audit")[-1]["hash"]["S"]


class TestClosed:
    """A payment without a reference that is PROCESSING can never be charged."""

    def test_what_the_processor_declines_to_prepare_fails_with_its_reason_uncharged(
        self, store: PaymentStore, pending: Payment
    ) -> None:
        gateway = ScriptedGateway(prepare=Declined(REFUSED_CARD))
        payment = Charging(store, gateway).charge(pending, WITNESS)
        assert (payment.status, payment.failure) == (PaymentStatus.FAILED, REFUSED_CARD)
        assert payment.gateway_reference is None
        assert gateway.calls == ["prepare"]
        assert statuses(store) == ["PENDING", "PROCESSING", "FAILED"]

    @pytest.mark.parametrize("step", ["charge_by_id", "settle"])
    @pytest.mark.parametrize(("failure", "told"), [(REFUSED_CARD, REFUSED_CARD), (None, CANCELLED)])
    def test_a_closed_payment_ends_with_its_reason_and_nobody_is_asked(
        self,
        store: PaymentStore,
        pending: Payment,
        step: str,
        failure: Failure | None,
        told: Failure,
    ) -> None:
        closed(store, pending, failure)
        gateway = ScriptedGateway()
        payment = getattr(Charging(store, gateway), step)("pay_1", WITNESS)
        assert (payment.status, payment.failure) == (PaymentStatus.FAILED, told)
        assert gateway.calls == []

    @pytest.mark.usefixtures("pending")
    def test_settling_closes_what_is_pending_without_asking_the_processor(
        self, store: PaymentStore
    ) -> None:
        gateway = ScriptedGateway()
        payment = Charging(store, gateway).settle("pay_1", WITNESS)
        assert (payment.status, payment.failure) == (PaymentStatus.FAILED, CANCELLED)
        assert gateway.calls == []
        assert statuses(store) == ["PENDING", "PROCESSING", "FAILED"]

    @pytest.mark.usefixtures("pending")
    def test_who_prepared_while_a_twin_settled_cannot_charge_any_more(
        self, store: PaymentStore
    ) -> None:
        twin = Charging(store, ScriptedGateway())
        late = Watching("prepare", lambda: twin.settle("pay_1", WITNESS))
        payment = Charging(store, late).charge_by_id("pay_1", WITNESS)
        assert (payment.status, payment.failure) == (PaymentStatus.FAILED, CANCELLED)
        assert late.calls == ["prepare"]

    def test_who_prepared_while_a_twin_only_closed_ends_the_payment_uncharged(
        self, store: PaymentStore, pending: Payment
    ) -> None:
        late = Watching("prepare", lambda: closed(store, pending, REFUSED_CARD))
        payment = Charging(store, late).charge(pending, WITNESS)
        assert (payment.status, payment.failure) == (PaymentStatus.FAILED, REFUSED_CARD)
        assert late.calls == ["prepare"]


class TestNoOutcome:
    """What is no outcome is raised and never recorded as one."""

    @pytest.mark.parametrize("error", [GatewayUnavailable, GatewayBusy, GatewayRefused])
    @pytest.mark.parametrize(
        ("verb", "left"),
        [("prepare", ["PENDING"]), ("charge", ["PENDING", "PROCESSING"])],
    )
    def test_an_error_of_the_processor_is_raised_and_records_nothing(
        self,
        store: PaymentStore,
        pending: Payment,
        verb: str,
        left: list[str],
        error: type[Exception],
    ) -> None:
        gateway = ScriptedGateway()
        gateway.answers[verb] = error("told")
        for _ in range(2):
            with pytest.raises(error):
                Charging(store, gateway).charge(pending, WITNESS)
            assert statuses(store) == left
        assert end(store).failure is None

    @pytest.mark.parametrize("step", ["charge_by_id", "settle"])
    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Pending(), ChargePending),
            (GatewayBusy(), GatewayBusy),
            (GatewayRefused(), GatewayRefused),
            (GatewayUnavailable(), GatewayUnavailable),
        ],
    )
    def test_a_bound_payment_without_an_answer_stays_as_it_is(
        self,
        store: PaymentStore,
        pending: Payment,
        step: str,
        answer: Pending | Exception,
        error: type[Exception],
    ) -> None:
        with pytest.raises(GatewayUnavailable):
            Charging(store, ScriptedGateway(charge=GatewayUnavailable())).charge(pending, WITNESS)
        before = end(store)
        charging = Charging(store, ScriptedGateway(charge=answer, cancel=answer))
        with pytest.raises(error):
            getattr(charging, step)("pay_1", WITNESS)
        assert end(store) == before
        assert statuses(store) == ["PENDING", "PROCESSING"]


class TestRepetition:
    """Every step may be repeated at any time, by anybody, and ends the same."""

    @pytest.mark.parametrize(
        ("charged", "status"),
        [
            (Approved("ref"), PaymentStatus.COMPLETED),
            (Declined(REFUSED_CARD), PaymentStatus.FAILED),
        ],
    )
    def test_a_settled_payment_is_answered_and_not_touched(
        self, store: PaymentStore, pending: Payment, charged: ChargeOutcome, status: PaymentStatus
    ) -> None:
        gateway = ScriptedGateway(charge=charged)
        charging = Charging(store, gateway)
        first = charging.charge(pending, WITNESS)
        assert first.status is status
        for _ in range(2):
            assert charging.charge(first, WITNESS) == first
            assert charging.charge_by_id("pay_1", WITNESS) == first
            assert charging.settle("pay_1", WITNESS) == first
        assert gateway.calls == ["prepare", "charge"]

    @pytest.mark.parametrize(
        ("cancelled", "status"),
        [
            (Approved("ref"), PaymentStatus.COMPLETED),
            (Declined(CANCELLED), PaymentStatus.FAILED),
        ],
    )
    def test_an_unknown_outcome_is_settled_as_the_processor_says_however_often(
        self, store: PaymentStore, pending: Payment, cancelled: ChargeOutcome, status: PaymentStatus
    ) -> None:
        gateway = ScriptedGateway(charge=GatewayUnavailable(), cancel=cancelled)
        charging = Charging(store, gateway)
        with pytest.raises(GatewayUnavailable):
            charging.charge(pending, WITNESS)
        first = charging.settle("pay_1", WITNESS)
        assert first.status is status
        assert charging.settle("pay_1", WITNESS) == first
        assert gateway.calls == ["prepare", "charge", "cancel"]

    def test_a_message_that_is_behind_goes_on_from_what_a_twin_wrote(
        self, store: PaymentStore, pending: Payment
    ) -> None:
        gateway = ScriptedGateway(charge=GatewayUnavailable())
        for _ in range(2):
            with pytest.raises(GatewayUnavailable):
                Charging(store, gateway).charge(pending, WITNESS)
        payment = Charging(store, ScriptedGateway(prepare=Prepared("other"))).charge(
            pending, WITNESS
        )
        assert (payment.status, payment.gateway_reference) == (PaymentStatus.COMPLETED, "ref")
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]

    @pytest.mark.parametrize("verb", ["prepare", "charge"])
    def test_a_twin_that_overtakes_brings_both_to_the_same_end(
        self, store: PaymentStore, pending: Payment, verb: str
    ) -> None:
        twin = Charging(store, ScriptedGateway())
        overtaken = Watching(verb, lambda: twin.charge_by_id("pay_1", WITNESS))
        payment = Charging(store, overtaken).charge(pending, WITNESS)
        assert payment == end(store)
        assert payment.status is PaymentStatus.COMPLETED
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]

    def test_a_late_duplicate_cannot_move_a_finished_payment(
        self, store: PaymentStore, pending: Payment
    ) -> None:
        finished = Charging(store, ScriptedGateway()).charge(pending, WITNESS)
        late = Transition(
            to=PaymentStatus.CANCELED, at="2026-01-02", actor="a twin", request_id="late"
        )
        with pytest.raises(StaleTransition) as stale:
            store.transition(pending, late)
        assert stale.value.current == finished
        assert end(store) == finished

    def test_the_lost_answer_of_a_committed_transition_is_ones_own(
        self, store: PaymentStore, pending: Payment, cloud: Cloud
    ) -> None:
        repeat_committed_writes(cloud)
        payment = Charging(store, ScriptedGateway()).charge(pending, WITNESS)
        assert payment.status is PaymentStatus.COMPLETED
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]

    @pytest.mark.parametrize("step", ["charge_by_id", "settle"])
    def test_an_unknown_payment_is_not_found(self, charging: Charging, step: str) -> None:
        with pytest.raises(PaymentNotFound):
            getattr(charging, step)("pay_none", WITNESS)


class TestSandbox:
    """The magic amounts."""

    def charge(self, store: PaymentStore, charging: Charging, amount_minor: int) -> Payment:
        store.create(payment_request(amount_minor=amount_minor), actor="api", at=AT)
        return charging.charge_by_id("pay_1", WITNESS)

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
        self, store: PaymentStore, charging: Charging, amount_minor: int, code: str
    ) -> None:
        payment = self.charge(store, charging, amount_minor)
        assert payment.status is PaymentStatus.FAILED
        assert payment.failure is not None
        assert payment.failure.code == code

    @pytest.mark.parametrize(
        ("amount_minor", "error"),
        [
            (50001, GatewayUnavailable),
            (50002, GatewayUnavailable),
            (50005, GatewayBusy),
            (50006, ChargePending),
        ],
    )
    def test_what_has_no_outcome_once_is_asked_again(
        self, store: PaymentStore, charging: Charging, amount_minor: int, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            self.charge(store, charging, amount_minor)
        assert statuses(store) == ["PENDING", "PROCESSING"]
        payment = charging.charge_by_id("pay_1", WITNESS)
        assert payment.status is PaymentStatus.COMPLETED
        assert payment.gateway_reference == "sandbox_pay_1"

    def test_a_processor_that_stays_down_ends_in_a_failure_without_a_charge(
        self, store: PaymentStore, charging: Charging, ledger: SandboxLedger
    ) -> None:
        with pytest.raises(GatewayUnavailable):
            self.charge(store, charging, 50003)
        payment = charging.settle("pay_1", WITNESS)
        assert payment.failure == CANCELLED
        assert isinstance(ledger.decide(payment, Approved("too late")), Declined)

    def test_a_charge_whose_answer_never_came_is_settled_as_completed(
        self, store: PaymentStore, charging: Charging
    ) -> None:
        with pytest.raises(GatewayUnavailable):
            self.charge(store, charging, 50002)
        assert charging.settle("pay_1", WITNESS).status is PaymentStatus.COMPLETED


class TestLookUp:
    """Somebody says that something happened at the processor."""

    @pytest.fixture
    def bound(self, store: PaymentStore, pending: Payment) -> Payment:
        """A payment whose charge has no outcome yet."""
        down = Charging(store, ScriptedGateway(charge=GatewayUnavailable()))
        with pytest.raises(GatewayUnavailable):
            down.charge(pending, WITNESS)
        return end(store)

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            (Approved("ref"), "COMPLETED"),
            (Declined(REFUSED_CARD), "FAILED"),
            (Pending(), "PROCESSING"),
            (Prepared("ref"), "PROCESSING"),
        ],
    )
    def test_what_the_processor_answers_is_recorded_and_not_what_was_said(
        self,
        store: PaymentStore,
        bound: Payment,
        answer: ChargeOutcome | Prepared,
        status: str,
    ) -> None:
        gateway = ScriptedGateway(look_up=answer)
        Charging(store, gateway).look_up(bound.payment_id, "ref", WITNESS)
        assert end(store).status.value == status
        assert gateway.calls == ["look_up"]

    def test_a_late_or_doubled_word_asks_nobody_and_changes_nothing(
        self, store: PaymentStore, bound: Payment
    ) -> None:
        gateway = ScriptedGateway(look_up=Declined(REFUSED_CARD))
        Charging(store, ScriptedGateway()).look_up(bound.payment_id, "ref", WITNESS)
        for _ in range(2):
            Charging(store, gateway).look_up(bound.payment_id, "ref", WITNESS)
        assert gateway.calls == []
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]

    def test_a_word_about_another_charge_or_an_unknown_payment_changes_nothing(
        self, store: PaymentStore, bound: Payment
    ) -> None:
        gateway = ScriptedGateway()
        charging = Charging(store, gateway)
        assert charging.look_up(bound.payment_id, "ref_of_another", WITNESS) == bound
        assert charging.look_up("pay_none", "ref", WITNESS) is None
        assert gateway.calls == []
        assert end(store) == bound

    def test_a_word_about_a_payment_that_is_not_bound_changes_nothing(
        self, store: PaymentStore, pending: Payment
    ) -> None:
        gateway = ScriptedGateway()
        assert Charging(store, gateway).look_up("pay_1", "ref", WITNESS) == pending
        assert gateway.calls == []
