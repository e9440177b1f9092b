"""The rules of a payment's life, on the real store: accept once, charge once, never guess."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from payments.batch_store import BatchStatus, BatchStore
from payments.errors import (
    GatewayUnavailable,
    PaymentNotFound,
    ServiceUnavailable,
    StaleTransition,
)
from payments.events import PaymentQueue, decode_message
from payments.gateway import Approved, ChargeOutcome, Declined, SandboxGateway
from payments.models import Failure, Payment, PaymentStatus, Transition, notification
from payments.service import (
    PaymentDispatch,
    PaymentIntake,
    PaymentProcessing,
    PaymentSweep,
    StepContext,
)
from payments.store import PaymentStore, SandboxLedger
from payments.tally import count_payment
from tests.unit.cloud import TABLES, Cloud, Started, add_open_index, payment_request

STEP = StepContext(execution_arn="arn:execution:pay_1", request_id="invocation-1", attempt=0)


@pytest.fixture
def ledger(cloud: Cloud) -> SandboxLedger:
    return SandboxLedger(cloud.dynamodb, TABLES.processing_status)


@pytest.fixture
def processing(store: PaymentStore, ledger: SandboxLedger) -> PaymentProcessing:
    return PaymentProcessing(store, SandboxGateway(ledger, sleep=lambda _: None))


def statuses(store: PaymentStore, payment_id: str = "pay_1") -> list[str]:
    return [entry.status.value for entry in store.history(payment_id)]


class TestAcceptance:
    """Accepting a payment."""

    def test_a_new_payment_is_pending_with_history_and_audit(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        payment, created = store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        assert created
        assert store.get("pay_1") == payment
        assert statuses(store) == ["PENDING"]
        [record] = cloud.items("audit")
        assert (record["actor"]["S"], record["to"]["S"]) == ("api", "PENDING")
        assert record["amount_minor"]["N"] == "9999"

    def test_a_taken_id_leaves_everything_as_it_was(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        first, _ = store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        before = [cloud.items(table) for table in ("payments", "status", "audit")]
        other = payment_request(amount_minor=1, correlation_id="request-2")
        stored, created = store.create(other, actor="api", at="2026-01-02T00:00:00Z")
        assert (stored, created) == (first, False)
        assert [cloud.items(table) for table in ("payments", "status", "audit")] == before

    def test_the_lost_answer_of_a_committed_write_is_ones_own(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        repeat_committed_writes(cloud)
        _, created = store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        assert created

    def test_one_of_many_concurrent_requests_is_the_first(
        self, store: PaymentStore, intake: PaymentIntake, cloud: Cloud
    ) -> None:
        write_one_at_a_time(cloud)
        answers: list[bool] = []

        def submit(number: int) -> None:
            _, created = intake.submit(payment_request(correlation_id=f"request-{number}"))
            answers.append(created)

        threads = [threading.Thread(target=submit, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [False] * 19 + [True]
        assert statuses(store) == ["PENDING"]

    def test_a_payment_not_final_is_in_the_open_index_and_leaves_it_when_final(
        self, store: PaymentStore, processing: PaymentProcessing, cloud: Cloud
    ) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        [item] = cloud.items("payments")
        assert 0 <= int(item["open_shard"]["N"]) < 16
        assert item["accepted_at"]["S"] == "2026-01-01T00:00:00Z"
        processing.charge("pay_1", STEP)
        [item] = cloud.items("payments")
        assert "open_shard" not in item
        assert "accepted_at" not in item


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


class TestDispatch:
    """From the queue to the workflow."""

    def test_a_row_of_a_batch_becomes_a_payment_and_runs(self, store: PaymentStore) -> None:
        workflow = Started()
        PaymentDispatch(store, workflow).dispatch(payment_request(source="batch:b:2"))
        assert statuses(store) == ["PENDING"]
        assert workflow.started == ["pay_1"]

    def test_a_row_that_conflicts_runs_nothing_and_is_counted_once(
        self, store: PaymentStore, batch_store: BatchStore
    ) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        workflow = Started()
        row = payment_request(amount_minor=1, source="batch:b:2")
        for _ in range(3):
            PaymentDispatch(store, workflow).dispatch(row)
        assert workflow.started == []
        assert [kept.outcome for kept in batch_store.not_paid("b")] == ["conflict"]
        assert self.counted(batch_store) == {"conflict": 1}

    def test_a_row_that_repeats_a_payment_is_a_duplicate_and_is_counted_once(
        self, store: PaymentStore, batch_store: BatchStore
    ) -> None:
        store.create(payment_request(source="batch:b:2"), actor="batch", at="2026-01-01")
        row = payment_request(source="batch:b:3")
        for _ in range(3):
            PaymentDispatch(store, Started()).dispatch(row)
        assert [(kept.line, kept.outcome) for kept in batch_store.not_paid("b")] == [
            (3, "duplicate")
        ]
        assert self.counted(batch_store) == {"duplicate": 1}

    def test_a_row_that_is_paid_is_counted_with_its_last_transition(
        self, store: PaymentStore, processing: PaymentProcessing, batch_store: BatchStore
    ) -> None:
        for name, amount_minor in (("pay_1", 100), ("pay_2", 40001)):
            row = payment_request(name, amount_minor, source="batch:b:2")
            PaymentDispatch(store, Started()).dispatch(row)
            for _ in range(2):
                processing.charge(name, STEP)
        assert self.counted(batch_store) == {"completed": 1, "failed": 1}

    @pytest.mark.parametrize(("source", "started"), [("batch:b:2", ["pay_1"]), ("batch:b:3", [])])
    def test_only_a_final_payments_own_row_asks_whether_its_execution_died(
        self, source: str, started: list[str], store: PaymentStore, processing: PaymentProcessing
    ) -> None:
        row = payment_request(source="batch:b:2")
        PaymentDispatch(store, Started()).dispatch(row)
        processing.charge("pay_1", STEP)
        workflow = Started()
        PaymentDispatch(store, workflow).dispatch(payment_request(source=source))
        assert workflow.started == started

    def counted(self, batch_store: BatchStore) -> dict[str, int]:
        batch_store.record("b", BatchStatus.PROCESSING, "2026-01-01")
        progress = batch_store.progress("b")
        assert progress is not None
        return {outcome: count for outcome, count in progress.outcomes.items() if count}


class TestAWSFailures:
    """When AWS does not answer."""

    @pytest.mark.parametrize(
        "call",
        [
            lambda store: store.create(payment_request(), actor="api", at="2026-01-01"),
            lambda store: store.get("pay_1"),
            lambda store: store.history("pay_1"),
        ],
    )
    def test_an_aws_failure_is_told_in_the_domains_terms(
        self, call: Callable[[PaymentStore], object], store: PaymentStore, cloud: Cloud
    ) -> None:
        cloud.dynamodb.meta.events.register("before-call.dynamodb", throttle)
        with pytest.raises(ServiceUnavailable):
            call(store)

    def test_a_transaction_that_conflicts_is_tried_again(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        outcomes = iter([True, True, False])

        def conflict(**_: object) -> None:
            if next(outcomes):
                raise cloud.dynamodb.exceptions.TransactionCanceledException(
                    {
                        "Error": {"Code": "TransactionCanceledException"},
                        "CancellationReasons": [{"Code": "TransactionConflict"}],
                    },
                    "TransactWriteItems",
                )

        cloud.dynamodb.meta.events.register("before-call.dynamodb", conflict)
        _, created = store.create(payment_request(), actor="api", at="2026-01-01")
        assert created


def write_one_at_a_time(cloud: Cloud) -> None:
    """Give moto the atomic transactions of DynamoDB; it copies and swaps whole tables."""
    write, lock = cloud.dynamodb.transact_write_items, threading.Lock()

    def write_alone(**arguments: Any) -> Any:
        with lock:
            return write(**arguments)

    cloud.dynamodb.transact_write_items = write_alone  # type: ignore[method-assign]  # serialised


def throttle(**_: object) -> None:
    raise ClientError({"Error": {"Code": "ThrottlingException"}}, "AnyOperation")


def repeat_committed_writes(cloud: Cloud) -> None:
    """Send every transaction twice, as the SDK does when the first answer is lost."""
    write = cloud.dynamodb.transact_write_items

    def write_twice(**arguments: object) -> object:
        write(**arguments)  # type: ignore[arg-type]  # passed through
        return write(**arguments)  # type: ignore[arg-type]  # passed through

    cloud.dynamodb.transact_write_items = write_twice  # type: ignore[method-assign,assignment]  # the fault


class TestSweep:
    """Finding payments that are stuck, on a table with its index."""

    NOW = "2026-01-01T12:00:00.000000Z"

    @pytest.fixture
    def sweep(self, store: PaymentStore, queue: PaymentQueue, cloud: Cloud) -> PaymentSweep:
        add_open_index(cloud.dynamodb, TABLES.payments)
        return PaymentSweep(store, queue, lambda: self.NOW)

    def test_what_is_not_final_after_fifteen_minutes_is_stuck(
        self, store: PaymentStore, sweep: PaymentSweep, processing: PaymentProcessing
    ) -> None:
        for name, at in (
            ("old", "11:00:00.000000"),
            ("at_the_line", "11:45:00.000000"),
            ("young", "11:45:00.000001"),
            ("done", "10:00:00.000000"),
        ):
            store.create(payment_request(name), actor="api", at=f"2026-01-01T{at}Z")
        processing.charge("done", STEP)
        found = sweep.stuck(has_time=lambda: True)
        assert sorted(payment.payment_id for payment in found) == ["at_the_line", "old"]

    def test_every_page_of_every_shard_is_looked_at(
        self, store: PaymentStore, sweep: PaymentSweep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.store._OPEN_PAGE", 1)
        names = {f"pay_{number}" for number in range(40)}
        for name in names:
            store.create(payment_request(name), actor="api", at="2026-01-01T00:00:00.000000Z")
        found = sweep.stuck(has_time=lambda: True)
        assert sorted(payment.payment_id for payment in found) == sorted(names)

    def test_it_stops_when_time_is_up(self, store: PaymentStore, sweep: PaymentSweep) -> None:
        for number in range(5):
            store.create(payment_request(f"pay_{number}"), actor="api", at="2026-01-01T00:00:00Z")
        looks = iter([True, True, False])
        assert len(sweep.stuck(has_time=lambda: next(looks))) == 2

    def test_what_is_stuck_is_queued_again_as_it_was(
        self, store: PaymentStore, sweep: PaymentSweep, cloud: Cloud
    ) -> None:
        request = payment_request(source="batch:b:7")
        store.create(request, actor="batch", at="2026-01-01T00:00:00.000000Z")
        assert sweep.put_back(sweep.stuck(has_time=lambda: True)) == 1
        [message] = cloud.messages()
        assert decode_message(message["Body"]) == request


class TestTally:
    """What is counted: each status a payment reaches, once, by whoever's write decided."""

    def test_a_payment_is_counted_once_for_each_status(
        self, store: PaymentStore, queue: PaymentQueue, ledger: SandboxLedger
    ) -> None:
        counted: list[str] = []

        def tally(payment: Payment) -> None:
            counted.append(payment.status.value)

        intake = PaymentIntake(store, queue, tally=tally)
        processing = PaymentProcessing(store, SandboxGateway(ledger), tally=tally)
        for _ in range(2):
            intake.submit(payment_request())
        for _ in range(2):
            processing.charge("pay_1", STEP)
        assert counted == ["PENDING", "PROCESSING", "COMPLETED"]

    def test_a_row_is_counted_when_its_message_creates_the_payment(
        self, store: PaymentStore
    ) -> None:
        counted: list[str] = []
        dispatch = PaymentDispatch(
            store, Started(), tally=lambda payment: counted.append(payment.payment_id)
        )
        for _ in range(2):
            dispatch.dispatch(payment_request(source="batch:b:2"))
        assert counted == ["pay_1"]

    def test_figures_are_by_service_and_currency_and_hold_no_id(
        self, store: PaymentStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        payment, _ = store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        count_payment(payment)
        told = json.loads(capsys.readouterr().out)
        [directive] = told["_aws"]["CloudWatchMetrics"]
        assert sorted(directive["Dimensions"][0]) == ["currency", "service"]
        assert (told["currency"], told["PaymentsAccepted"], told["AmountAccepted"]) == (
            "USD",
            [1],
            [9999],
        )
        assert "pay_1" not in str(told)
