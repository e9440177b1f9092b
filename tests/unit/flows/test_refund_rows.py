"""A row of a file of refunds becomes a refund or is recorded as not paid, never both."""

from collections.abc import Callable
from typing import Any

import pytest

from payments.aws.batches import BatchStore
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueues
from payments.batches.progress import BatchStatus
from payments.core.content import RefundContent
from payments.core.faults import GatewayBusy, GatewayUnavailable, ServiceUnavailable
from payments.core.messages import (
    RefundRowMessage,
    decode_message,
    encode_message,
    refund_row_message,
)
from payments.core.operation import Operation, OperationKind, OperationRef, OperationStatus
from payments.core.payment import Failure, Payment
from payments.core.review import OwnRefund, Person, Review, ReviewLimits
from payments.flows.charge import Charging
from payments.flows.delivery import Again, Done, Failed, OperationDelivery
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.refund_rows import RefundRowDelivery
from payments.flows.review import RefundReviews
from payments.gateways.port import Captured, OperationOutcome
from payments.gateways.port import Done as Happened
from payments.gateways.port import Refused as No
from tests.unit.cloud import (
    AT,
    BATCH_ID,
    TABLES,
    WITNESS,
    Cloud,
    Started,
    payment_request,
    repeat_committed_writes,
)

R1 = OperationRef("pay_1", OperationKind.REFUND, "r1")
OUTCOMES = ("completed", "failed", "duplicate", "conflict", "refused")


def row(amount: str = "60.00", refund_id: str = "r1", line: int = 2) -> RefundRowMessage:
    """Return the message of a row that refunds a part of pay_1."""
    return refund_row_message(BATCH_ID, line, RefundContent("pay_1", refund_id, amount, "damaged"))


class Processor:
    """Answers refunds as the test says; an error is raised."""

    def __init__(self, *answers: OperationOutcome | Exception) -> None:
        self.answers = list(answers)
        self.names: list[str] = []

    def refund(self, _: Payment, operation: Operation) -> OperationOutcome:
        self.names.append(operation.name)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def look_up_operation(self, _: Payment, __: Operation) -> OperationOutcome | None:
        return None

    def capture(self, _: Payment, operation: Operation) -> OperationOutcome:
        raise NotImplementedError(operation.name)

    def void(self, _: Payment, operation: Operation) -> OperationOutcome | Captured:
        raise NotImplementedError(operation.name)


@pytest.fixture(autouse=True)
def paid(store: PaymentStore, charging: Charging) -> None:
    """A payment of 100.00 USD that was charged."""
    store.create(payment_request("pay_1", 10000, "USD"), actor="api", at=AT)
    charging.charge_by_id("pay_1", WITNESS)


@pytest.fixture
def rows_at(
    store: PaymentStore,
    operation_store: OperationStore,
    operation_intake: OperationIntake,
    workflow: Started,
) -> Callable[[Processor], RefundRowDelivery]:
    """What handles rows, at a processor."""

    def make(processor: Processor) -> RefundRowDelivery:
        performing = Performing(store, operation_store, processor)
        delivery = OperationDelivery(performing, workflow)
        return RefundRowDelivery(operation_intake, operation_store, delivery)

    return make


@pytest.fixture
def count(cloud: Cloud) -> Callable[[], list[int]]:
    """Say what the rows of the batch are counted as."""
    batches = BatchStore(cloud.dynamodb, TABLES.processing_status)
    details = {"bucket": "b", "key": "k", "version_id": "1", "batch_id": BATCH_ID}
    batches.record(
        BATCH_ID,
        BatchStatus.PROCESSING,
        AT,
        details={**details, "dry_run": False, "reports": "s3://results", "kind": "refunds"},
    )

    def counted() -> list[int]:
        progress = batches.progress(BATCH_ID)
        assert progress is not None
        told = progress.describe()
        return [told[name] for name in OUTCOMES]

    return counted


def amounts(store: PaymentStore) -> tuple[int, int, int]:
    payment = store.get("pay_1")
    assert payment is not None
    now = payment.amounts
    return now.refunded, now.refunds_pending, now.refundable


class TestRow:
    """One message about a row."""

    def test_its_message_is_read_as_it_was_written_and_older_code_lets_it_wait(self) -> None:
        message = row().again()
        assert decode_message(encode_message(message)) == message
        assert '"version":3' in encode_message(message)

    def test_one_hop_is_all_that_it_needs(
        self, rows_at: Callable[[Processor], RefundRowDelivery], store: PaymentStore, cloud: Cloud
    ) -> None:
        rows = rows_at(Processor(Happened("re_1")))
        assert rows.deliver(row(), WITNESS) == Done()
        assert amounts(store) == (6000, 0, 4000)
        assert cloud.messages() == []

    def test_what_the_processor_refuses_is_counted_as_failed(
        self,
        rows_at: Callable[[Processor], RefundRowDelivery],
        store: PaymentStore,
        count: Callable[[], list[int]],
    ) -> None:
        rows = rows_at(Processor(No(Failure("declined", "No."))))
        assert rows.deliver(row(), WITNESS) == Done()
        assert (amounts(store), count()) == ((0, 0, 10000), [0, 1, 0, 0, 0])

    def test_a_busy_processor_makes_it_wait_and_it_goes_on_by_the_same_name(
        self,
        rows_at: Callable[[Processor], RefundRowDelivery],
        store: PaymentStore,
        count: Callable[[], list[int]],
    ) -> None:
        processor = Processor(GatewayBusy("told"), Happened("re_1"))
        rows = rows_at(processor)
        assert isinstance(rows.deliver(row(), WITNESS), Again)
        assert (amounts(store), count()) == ((0, 6000, 4000), [0, 0, 0, 0, 0])
        assert rows.deliver(row().again(), WITNESS) == Done()
        assert (amounts(store), count()) == ((6000, 0, 4000), [1, 0, 0, 0, 0])
        assert processor.names == [R1.name] * 2

    def test_an_unknown_outcome_goes_on_in_a_workflow_and_stays_reserved(
        self,
        rows_at: Callable[[Processor], RefundRowDelivery],
        store: PaymentStore,
        workflow: Started,
        count: Callable[[], list[int]],
    ) -> None:
        rows = rows_at(Processor(GatewayUnavailable("no answer")))
        assert rows.deliver(row(), WITNESS) == Done()
        assert workflow.started == [R1.name]
        assert (amounts(store), count()) == ((0, 6000, 4000), [0, 0, 0, 0, 0])

    def test_writes_that_are_sent_twice_refund_and_count_once(
        self,
        rows_at: Callable[[Processor], RefundRowDelivery],
        store: PaymentStore,
        cloud: Cloud,
        count: Callable[[], list[int]],
    ) -> None:
        repeat_committed_writes(cloud)
        rows = rows_at(Processor(Happened("re_1")))
        for message in (row(), row("50.00", "r2", 3), row(line=4)):
            assert rows.deliver(message, WITNESS) == Done()
        assert (amounts(store), count()) == ((6000, 0, 4000), [1, 0, 1, 0, 1])

    def test_a_refund_that_comes_back_later_is_still_one_row(
        self,
        rows_at: Callable[[Processor], RefundRowDelivery],
        store: PaymentStore,
        operation_store: OperationStore,
        count: Callable[[], list[int]],
    ) -> None:
        rows_at(Processor(Happened("re_1"))).deliver(row(), WITNESS)

        class Returned(Processor):
            def look_up_operation(self, _: Payment, __: Operation) -> OperationOutcome:
                return No(Failure("returned", "It came back."))

        back = Performing(store, operation_store, Returned()).perform(R1, WITNESS)
        assert back.status is OperationStatus.FAILED
        assert (amounts(store), count()) == ((0, 0, 10000), [1, 0, 0, 0, 0])


class TestReview:
    """A large refund waits for somebody else than who uploaded the file."""

    def test_it_waits_and_its_row_ends_with_the_decision(
        self,
        store: PaymentStore,
        operation_store: OperationStore,
        queues: PaymentQueues,
        workflow: Started,
        count: Callable[[], list[int]],
    ) -> None:
        limits = ReviewLimits.read("USD=50.00")
        performing = Performing(store, operation_store, Processor(Happened("re_1")))
        rows = RefundRowDelivery(
            OperationIntake(store, operation_store, queues, limits=limits),
            operation_store,
            OperationDelivery(performing, workflow),
        )
        small, large = (
            refund_row_message(
                BATCH_ID, line, RefundContent("pay_1", f"r{line}", amount), "AIDAALICE"
            )
            for line, amount in ((2, "40.00"), (3, "20.00"))
        )
        assert decode_message(encode_message(large)) == large
        # Together they are above the limit.
        for message in (small, large, large):
            assert rows.deliver(message, WITNESS) == Done()
        held = operation_store.get("pay_1", OperationKind.REFUND, "r3")
        assert held is not None
        assert held.status is OperationStatus.IN_REVIEW
        assert (amounts(store), count()) == ((4000, 2000, 4000), [1, 0, 0, 0, 0])
        reviews = RefundReviews(store, operation_store, queues)
        decision = {"note": "no", "request_id": "request-9"}
        with pytest.raises(OwnRefund):
            reviews.decide("pay_1", "r3", Review.REJECTED, by=Person.of("AIDAALICE"), **decision)
        reviews.decide("pay_1", "r3", Review.REJECTED, by=Person.of("AIDABOB"), **decision)
        assert (amounts(store), count()) == ((4000, 0, 6000), [1, 1, 0, 0, 0])


class TestDecidedOnce:
    """What was decided about a row stays, whatever the payment allows later."""

    def test_a_row_that_was_refused_is_not_refunded_when_it_would_be_allowed(
        self,
        rows_at: Callable[[Processor], RefundRowDelivery],
        store: PaymentStore,
        operation_store: OperationStore,
        count: Callable[[], list[int]],
    ) -> None:
        no = Processor(GatewayUnavailable("no answer"))
        rows_at(no).deliver(row("60.00", "r1", 2), WITNESS)
        rows = rows_at(Processor())
        rows.deliver(row("60.00", "r2", 3), WITNESS)
        assert count() == [0, 0, 0, 0, 1]
        # The first refund fails after all: there is enough for the second one now.
        failing = Performing(store, operation_store, Processor(No(Failure("declined", "No."))))
        failing.perform(R1, WITNESS)
        assert amounts(store) == (0, 0, 10000)
        assert rows.deliver(row("60.00", "r2", 3), WITNESS) == Done()
        assert (amounts(store), count()) == ((0, 0, 10000), [0, 1, 0, 0, 1])
        assert operation_store.get("pay_1", OperationKind.REFUND, "r2") is None

    def test_a_row_that_a_twin_has_accepted_meanwhile_is_not_reported(
        self,
        store: PaymentStore,
        operation_store: OperationStore,
        operation_intake: OperationIntake,
        rows_at: Callable[[Processor], RefundRowDelivery],
        count: Callable[[], list[int]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        write = operation_store.record_not_refunded
        twin = rows_at(Processor(Happened("re_1")))
        told: list[int] = []

        def record_late(*arguments: Any, **named: Any) -> None:
            if not told:
                told.append(1)
                # What refused it is over, and the twin is faster.
                store.get = read  # type: ignore[method-assign]  # the test's own
                twin.deliver(row(), WITNESS)
            write(*arguments, **named)

        read = store.get
        monkeypatch.setattr(operation_store, "record_not_refunded", record_late)
        store.get = lambda _: None  # type: ignore[method-assign,assignment]  # nothing there yet
        assert rows_at(Processor()).deliver(row(), WITNESS) == Done()
        assert (told, amounts(store), count()) == ([1], (6000, 0, 4000), [1, 0, 0, 0, 0])

    def test_a_row_that_is_always_overtaken_is_tried_later(
        self,
        rows_at: Callable[[Processor], RefundRowDelivery],
        operation_store: OperationStore,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def away(*_: Any, **__: Any) -> None:
            raise ServiceUnavailable("no answer")

        monkeypatch.setattr(operation_store, "record_not_refunded", away)
        assert isinstance(rows_at(Processor()).deliver(row("500.00"), WITNESS), Failed)
