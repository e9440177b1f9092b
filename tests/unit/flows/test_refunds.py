"""Refunds: reserved in the write that accepts them, carried out once, and never guessed."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import api_handler
from payments.aws.items import deserialize
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueues
from payments.core.amounts import Amounts
from payments.core.asking import Asked
from payments.core.audit import chain_faults
from payments.core.clock import utc_text
from payments.core.faults import (
    ChargePending,
    GatewayBusy,
    GatewayUnavailable,
    InvalidRequest,
    NotRefundable,
    OperationConflict,
    OperationNotFound,
    PaymentNotFound,
    StaleTransition,
)
from payments.core.messages import OperationMessage, decode_message, operation_message
from payments.core.operation import (
    Operation,
    OperationChange,
    OperationKind,
    OperationRef,
    OperationStatus,
    OperationStep,
)
from payments.core.payment import Failure, Payment
from payments.flows.charge import Charging
from payments.flows.delivery import Again, Done, Failed, Left, OperationDelivery
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.sweep import OperationSweep
from payments.gateways.port import Captured, OperationOutcome, Pending, Refused
from payments.gateways.port import Done as Happened
from payments.runtime.api_handler import Services
from tests.unit.cloud import (
    AT,
    TABLES,
    WITNESS,
    Cloud,
    Started,
    payment_request,
    repeat_committed_writes,
)

R1 = OperationRef("pay_1", OperationKind.REFUND, "r1")
NO = Failure("declined", "No.")


class Processor:
    """Answers as the test says, and notes what was asked of it; an error is raised."""

    def __init__(
        self,
        refund: OperationOutcome | Exception = Happened("re_1"),  # noqa: B008 - frozen
        look_up: OperationOutcome | Exception | None = None,
    ) -> None:
        self.answers: dict[str, Any] = {"refund": refund, "look_up": look_up}
        self.calls: list[str] = []
        self.names: set[str] = set()

    def refund(self, _: Payment, operation: Operation) -> OperationOutcome:
        answer: OperationOutcome = self._answer("refund", operation)
        return answer

    def look_up_operation(self, _: Payment, operation: Operation) -> OperationOutcome | None:
        answer: OperationOutcome | None = self._answer("look_up", operation)
        return answer

    def capture(self, _: Payment, operation: Operation) -> OperationOutcome:
        raise NotImplementedError(operation.name)

    def void(self, _: Payment, operation: Operation) -> OperationOutcome | Captured:
        raise NotImplementedError(operation.name)

    def _answer(self, verb: str, operation: Operation) -> Any:
        self.calls.append(verb)
        self.names.add(operation.name)
        answer = self.answers[verb]
        if isinstance(answer, Exception):
            raise answer
        return answer


def asked(refund_id: str = "r1", amount: str | None = "60.00", **changes: Any) -> Asked:
    """Return a refund that is asked for."""
    return Asked(
        kind=OperationKind.REFUND,
        operation_id=refund_id,
        amount=amount,
        **{"payment_id": "pay_1", "source": "api", "correlation_id": "request-2", **changes},
    )


@pytest.fixture
def paid(store: PaymentStore, charging: Charging) -> None:
    """A payment of 100.00 USD that was charged."""
    store.create(payment_request(amount_minor=10000), actor="api", at=AT)
    charging.charge_by_id("pay_1", WITNESS)


@pytest.fixture
def perform(store: PaymentStore, operation_store: OperationStore) -> Callable[..., OperationStatus]:
    """Carry out the refund r1 at a processor."""

    def perform(processor: Processor, *, is_first: bool = True) -> OperationStatus:
        performing = Performing(store, operation_store, processor)
        return performing.perform(R1, WITNESS, is_first=is_first).status

    return perform


def amounts(store: PaymentStore) -> Amounts:
    payment = store.get("pay_1")
    assert payment is not None
    return payment.amounts


def trail_is_whole(cloud: Cloud) -> bool:
    """Whether the audit trail of the payment holds."""
    records = map(deserialize, cloud.items(TABLES.audit_logs))
    return chain_faults("pay_1", sorted(records, key=lambda each: each["sequence"])) == []


@pytest.mark.usefixtures("paid")
class TestAccepting:
    """What a request for a refund is answered with."""

    def test_a_refund_is_reserved_and_queued(
        self, operation_intake: OperationIntake, store: PaymentStore, cloud: Cloud
    ) -> None:
        refund, payment, created = operation_intake.refund(asked())
        assert (refund.status, refund.amount_minor, created) == (
            OperationStatus.PENDING,
            6000,
            True,
        )
        assert payment == store.get("pay_1")
        assert (payment.amounts.refundable, payment.amounts.refunds_pending) == (4000, 6000)
        (message,) = cloud.taken(cloud.events_url)
        assert decode_message(message["Body"]) == OperationMessage(R1, "api", "request-2")
        assert trail_is_whole(cloud)

    def test_two_refunds_of_60_on_a_payment_of_100_are_one(
        self, operation_intake: OperationIntake, store: PaymentStore
    ) -> None:
        operation_intake.refund(asked("r1"))
        with pytest.raises(NotRefundable) as refused:
            operation_intake.refund(asked("r2"))
        assert refused.value.code == "exceeds_refundable"
        assert refused.value.payment.amounts.refundable == 4000
        assert amounts(store).refunds_pending == 6000

    def test_two_refunds_that_read_the_payment_at_one_time_are_one(
        self,
        operation_intake: OperationIntake,
        operation_store: OperationStore,
        store: PaymentStore,
    ) -> None:
        payment = store.get("pay_1")
        operation_intake.refund(asked("r1"))

        class Behind:
            """A store that first shows the payment as it was before the other refund."""

            def __init__(self) -> None:
                self.shown = [payment]

            def get(self, payment_id: str) -> Payment | None:
                return self.shown.pop() if self.shown else store.get(payment_id)

        late: Any = Behind()
        queue: Any = None
        with pytest.raises(NotRefundable):
            OperationIntake(late, operation_store, queue).refund(asked("r2"))
        assert amounts(store).refunds_pending == 6000
        assert operation_store.get("pay_1", OperationKind.REFUND, "r2") is None

    def test_a_replay_answers_what_is_stored_even_if_nothing_is_left(
        self, operation_intake: OperationIntake
    ) -> None:
        first, _, _ = operation_intake.refund(asked("r1", None))
        again, payment, created = operation_intake.refund(asked("r1", None, correlation_id="other"))
        assert (again, created) == (first, False)
        assert first.amount_minor == 10000
        assert payment.amounts.refundable == 0

    def test_a_replay_without_an_amount_is_one_after_another_refund(
        self, operation_intake: OperationIntake, store: PaymentStore
    ) -> None:
        operation_intake.refund(asked("r0", "10.00"))
        rest, _, _ = operation_intake.refund(asked("r1", None))
        assert rest.amount_minor == 9000
        assert operation_intake.refund(asked("r1", None))[0] == rest
        assert amounts(store).refunds_pending == 10000

    @pytest.mark.parametrize(
        "other", [{"amount": "60.01"}, {"amount": None}, {"reason": "duplicate"}]
    )
    def test_an_id_with_other_content_is_a_conflict(
        self, operation_intake: OperationIntake, store: PaymentStore, other: dict[str, Any]
    ) -> None:
        stored, _, _ = operation_intake.refund(asked())
        with pytest.raises(OperationConflict) as refused:
            operation_intake.refund(replace(asked(), **other))
        assert refused.value.stored == stored
        assert amounts(store).refunds_pending == 6000

    def test_nothing_is_refunded_beyond_the_last_cent(
        self, operation_intake: OperationIntake
    ) -> None:
        operation_intake.refund(asked("r1", "100"))
        with pytest.raises(NotRefundable) as refused:
            operation_intake.refund(asked("r2", "0.01"))
        assert refused.value.code == "nothing_left"

    @pytest.mark.parametrize("amount", ["0", "-1", "0.001", "1e2", "1.000", ""])
    def test_an_amount_is_read_by_the_rules_of_payments(
        self, operation_intake: OperationIntake, amount: str
    ) -> None:
        with pytest.raises(InvalidRequest):
            operation_intake.refund(asked(amount=amount))

    def test_the_same_id_on_another_payment_is_another_refund(
        self, operation_intake: OperationIntake, store: PaymentStore, charging: Charging
    ) -> None:
        store.create(payment_request("pay_2", 10000), actor="api", at=AT)
        charging.charge_by_id("pay_2", WITNESS)
        for payment_id in ("pay_1", "pay_2"):
            assert operation_intake.refund(asked(payment_id=payment_id))[2]

    def test_an_answer_that_was_lost_leaves_one_refund(
        self, operation_intake: OperationIntake, store: PaymentStore, cloud: Cloud
    ) -> None:
        repeat_committed_writes(cloud)
        _, payment, created = operation_intake.refund(asked())
        assert created
        assert payment.amounts == amounts(store)
        assert trail_is_whole(cloud)


def test_a_payment_that_captured_nothing_cannot_be_refunded(
    operation_intake: OperationIntake, store: PaymentStore
) -> None:
    store.create(payment_request(), actor="api", at=AT)
    with pytest.raises(NotRefundable) as refused:
        operation_intake.refund(asked())
    assert refused.value.code == "payment_state"


def test_a_payment_that_is_not_there_cannot_be_refunded(operation_intake: OperationIntake) -> None:
    with pytest.raises(PaymentNotFound):
        operation_intake.refund(asked())


@pytest.fixture
def refunding(
    paid: None,  # noqa: ARG001 - a fixture cannot use another one otherwise
    operation_intake: OperationIntake,
    cloud: Cloud,
) -> None:
    """A refund of 60.00 that was accepted."""
    operation_intake.refund(asked())
    cloud.messages()


@pytest.mark.usefixtures("refunding")
class TestPerforming:
    """What becomes of a refund at the processor."""

    def test_what_was_refunded_is_counted(
        self,
        perform: Callable[..., OperationStatus],
        store: PaymentStore,
        operation_store: OperationStore,
        cloud: Cloud,
    ) -> None:
        assert perform(Processor()) is OperationStatus.COMPLETED
        now = amounts(store)
        assert (now.refunded, now.refunds_pending, now.refundable) == (6000, 0, 4000)
        stored = operation_store.get(*R1)
        assert stored is not None
        assert (stored.gateway_reference, stored.attempts) == ("re_1", 1)
        assert trail_is_whole(cloud)

    def test_what_was_refused_can_be_refunded_under_another_id(
        self,
        perform: Callable[..., OperationStatus],
        operation_intake: OperationIntake,
        store: PaymentStore,
    ) -> None:
        assert perform(Processor(Refused(NO))) is OperationStatus.FAILED
        assert amounts(store).refundable == 10000
        assert operation_intake.refund(asked("r2", None))[0].amount_minor == 10000

    def test_a_refund_that_was_refused_is_never_asked_for_again(
        self, perform: Callable[..., OperationStatus], operation_intake: OperationIntake
    ) -> None:
        perform(Processor(Refused(NO)))
        processor = Processor()
        assert perform(processor) is OperationStatus.FAILED
        assert operation_intake.refund(asked())[0].status is OperationStatus.FAILED
        assert processor.calls == []

    @pytest.mark.parametrize("error", [GatewayUnavailable("told"), GatewayBusy("told")])
    def test_what_is_unknown_or_not_done_stays_reserved(
        self, perform: Callable[..., OperationStatus], store: PaymentStore, error: Exception
    ) -> None:
        with pytest.raises(type(error)):
            perform(Processor(error))
        assert amounts(store).refunds_pending == 6000

    def test_a_processor_that_has_not_decided_is_asked_again(
        self, perform: Callable[..., OperationStatus], store: PaymentStore
    ) -> None:
        with pytest.raises(ChargePending):
            perform(Processor(Pending()))
        assert amounts(store).refunds_pending == 6000

    @pytest.mark.parametrize(
        ("age", "calls"), [(timedelta(minutes=59), ["refund"]), (timedelta(days=1), ["look_up"])]
    )
    def test_a_new_message_about_an_old_refund_looks_up_first(
        self,
        store: PaymentStore,
        operation_store: OperationStore,
        age: timedelta,
        calls: list[str],
    ) -> None:
        """A client sends it again a day later, when the processor has forgotten the key."""
        processor = Processor(look_up=Happened("re_1"))
        then = utc_text(datetime.now(UTC) + age)
        performing = Performing(store, operation_store, processor, clock=lambda: then)
        performing.perform(R1, WITNESS, is_first=True)
        assert processor.calls == calls

    def test_an_unknown_outcome_is_looked_up_before_it_is_asked_for_again(
        self, perform: Callable[..., OperationStatus]
    ) -> None:
        lost = Processor(GatewayUnavailable("no answer"), look_up=Happened("re_1"))
        with pytest.raises(GatewayUnavailable):
            perform(lost)
        assert perform(lost, is_first=False) is OperationStatus.COMPLETED
        assert lost.calls == ["refund", "look_up"]

    def test_what_the_processor_does_not_know_is_asked_for_by_the_same_name(
        self, perform: Callable[..., OperationStatus]
    ) -> None:
        processor = Processor()
        assert perform(processor, is_first=False) is OperationStatus.COMPLETED
        assert processor.calls == ["look_up", "refund"]
        assert len(processor.names) == 1

    def test_another_refund_meanwhile_does_not_stand_in_the_way(
        self,
        operation_intake: OperationIntake,
        store: PaymentStore,
        operation_store: OperationStore,
    ) -> None:
        class Meeting(Processor):
            def refund(self, payment: Payment, operation: Operation) -> OperationOutcome:
                operation_intake.refund(asked("r2", "40.00"))
                return super().refund(payment, operation)

        Performing(store, operation_store, Meeting()).perform(R1, WITNESS, is_first=True)
        now = amounts(store)
        assert (now.refunded, now.refunds_pending, now.refundable) == (6000, 4000, 0)

    def test_the_outcome_that_a_twin_recorded_stays(
        self, store: PaymentStore, operation_store: OperationStore
    ) -> None:
        class Twin(Processor):
            def refund(self, payment: Payment, operation: Operation) -> OperationOutcome:
                Performing(store, operation_store, Processor()).perform(R1, WITNESS, is_first=True)
                return super().refund(payment, operation)

        late = Twin(Refused(NO))
        performed = Performing(store, operation_store, late).perform(R1, WITNESS, is_first=True)
        assert performed.status is OperationStatus.COMPLETED
        assert amounts(store).refunded == 6000

    def test_an_outcome_whose_write_lost_its_answer_is_recorded_once(
        self, perform: Callable[..., OperationStatus], store: PaymentStore, cloud: Cloud
    ) -> None:
        repeat_committed_writes(cloud)
        assert perform(Processor()) is OperationStatus.COMPLETED
        assert amounts(store).refunded == 6000
        assert trail_is_whole(cloud)

    def test_a_refund_that_comes_back_fails_by_new_records(
        self,
        perform: Callable[..., OperationStatus],
        operation_intake: OperationIntake,
        store: PaymentStore,
        cloud: Cloud,
    ) -> None:
        perform(Processor())
        before = cloud.items(TABLES.audit_logs)
        assert perform(Processor(look_up=Happened("re_1"))) is OperationStatus.COMPLETED
        assert perform(Processor(look_up=Refused(NO))) is OperationStatus.FAILED
        assert amounts(store) == Amounts.charged(10000)
        assert all(record in cloud.items(TABLES.audit_logs) for record in before)
        assert operation_intake.refund(asked("r2", None))[0].amount_minor == 10000
        assert trail_is_whole(cloud)

    def test_a_refund_that_comes_back_while_another_takes_the_rest_leaves_what_is_left(
        self,
        perform: Callable[..., OperationStatus],
        operation_intake: OperationIntake,
        store: PaymentStore,
    ) -> None:
        perform(Processor())
        operation_intake.refund(asked("r2", None))
        perform(Processor(look_up=Refused(NO)))
        now = amounts(store)
        assert (now.refunded, now.refunds_pending, now.refundable) == (0, 4000, 6000)

    def test_an_operation_that_is_not_there_is_named(self, performing: Performing) -> None:
        with pytest.raises(OperationNotFound):
            performing.perform(R1._replace(operation_id="r9"), WITNESS)


@pytest.mark.usefixtures("refunding")
class TestReading:
    """What a client is told while things move."""

    @pytest.mark.parametrize(
        ("method", "resource"),
        [
            ("GET", "/payments/{payment_id}"),
            ("GET", "/payments/{payment_id}/refunds"),
            ("GET", "/payments/{payment_id}/refunds/{refund_id}"),
        ],
    )
    def test_a_refund_that_ends_between_two_reads_is_in_the_amounts_once_it_is_told(
        self, services: Services, performing: Performing, cloud: Cloud, method: str, resource: str
    ) -> None:
        read: dict[str, Callable[..., Any]] = {
            name: getattr(cloud.dynamodb, name) for name in ("get_item", "query")
        }

        def ends_after(name: str) -> Callable[..., Any]:
            def call(**arguments: Any) -> Any:
                answer = read[name](**arguments)
                # Only the first read is before the end.
                for each, original in read.items():
                    setattr(cloud.dynamodb, each, original)
                performing.perform(R1, WITNESS, is_first=True)
                return answer

            return call

        for name in read:
            setattr(cloud.dynamodb, name, ends_after(name))
        event = {
            "httpMethod": method,
            "resource": resource,
            "pathParameters": {"payment_id": "pay_1", "refund_id": "r1"},
        }
        told = json.loads(api_handler.answer(event, "request-3", services)["body"])
        assert told["amounts"]["refunded"] == "60.00"


@pytest.mark.usefixtures("refunding")
class TestDelivery:
    """A message about a refund."""

    def deliver(self, performing: Performing, workflow: Started) -> object:
        message = OperationMessage(R1, "api", "request-2")
        return OperationDelivery(performing, workflow).deliver(message, WITNESS, is_first=True)

    def test_one_hop_is_all_that_a_refund_needs(
        self, performing: Performing, workflow: Started, operation_store: OperationStore
    ) -> None:
        assert self.deliver(performing, workflow) == Done()
        assert workflow.started == []
        stored = operation_store.get(*R1)
        assert stored is not None
        assert stored.status is OperationStatus.COMPLETED

    def test_an_unknown_outcome_goes_on_in_a_workflow_of_its_own(
        self, store: PaymentStore, operation_store: OperationStore, workflow: Started
    ) -> None:
        for answer in (GatewayUnavailable("no answer"), Pending()):
            performing = Performing(store, operation_store, Processor(answer))
            assert self.deliver(performing, workflow) == Done()
        assert workflow.started == [R1.name] * 2
        assert workflow.inputs[0] == {
            "payment_id": "pay_1",
            "operation": "refund",
            "operation_id": "r1",
            "correlation_id": "request-2",
        }

    @pytest.mark.parametrize("answer", [GatewayUnavailable("no answer"), Pending()])
    def test_with_no_execution_left_it_stays_reserved_and_the_sweep_asks_again(
        self, store: PaymentStore, operation_store: OperationStore, answer: Exception | Pending
    ) -> None:
        performing = Performing(store, operation_store, Processor(answer))
        assert isinstance(self.deliver(performing, Started(is_spent=True)), Left)
        assert amounts(store).refunds_pending == 6000

    def test_a_busy_processor_makes_it_wait(
        self, store: PaymentStore, operation_store: OperationStore, workflow: Started
    ) -> None:
        performing = Performing(store, operation_store, Processor(GatewayBusy("told")))
        assert isinstance(self.deliver(performing, workflow), Again)

    def test_a_workflow_that_cannot_be_started_leaves_the_message_where_it_is(
        self, store: PaymentStore, operation_store: OperationStore
    ) -> None:
        performing = Performing(store, operation_store, Processor(GatewayUnavailable("told")))
        deaf = Started(deaf_to=frozenset({R1.name}))
        assert isinstance(self.deliver(performing, deaf), Failed)


@pytest.mark.usefixtures("refunding")
class TestSweep:
    """What the sweep finds, and what it leaves alone."""

    def look(
        self, operation_store: OperationStore, queues: PaymentQueues, at: str
    ) -> list[Operation]:
        return OperationSweep(operation_store, queues, clock=lambda: at).look(has_time=lambda: True)

    @pytest.mark.usefixtures("operation_sweep")
    def test_a_refund_that_is_stuck_goes_back_to_its_queue_and_is_not_looked_at_at_once_again(
        self, operation_store: OperationStore, queues: PaymentQueues, cloud: Cloud
    ) -> None:
        assert [each.ref for each in self.look(operation_store, queues, "2999-01-01T00:00:00Z")]
        (message,) = cloud.taken(cloud.events_url)
        stored = operation_store.get(*R1)
        assert stored is not None
        assert decode_message(message["Body"]) == operation_message(stored, tries=1)
        assert self.look(operation_store, queues, "2999-01-01T00:10:00Z") == []
        assert len(self.look(operation_store, queues, "2999-01-01T00:15:00.000001Z")) == 1

    @pytest.mark.usefixtures("operation_sweep")
    def test_a_refund_is_looked_at_for_a_month_after_it_was_done(
        self,
        performing: Performing,
        operation_store: OperationStore,
        queues: PaymentQueues,
        cloud: Cloud,
    ) -> None:
        done = performing.perform(R1, WITNESS, is_first=True)
        assert done.due_at is not None
        looks = 0
        while (stored := operation_store.get(*R1)) is not None and stored.due_at is not None:
            assert self.look(operation_store, queues, stored.due_at) == []
            assert len(cloud.taken(cloud.events_url)) == 1
            looks += 1
        assert looks == 5

    @pytest.mark.usefixtures("operation_sweep")
    def test_a_sweep_without_time_leaves_the_rest_to_the_next(
        self, operation_store: OperationStore, queues: PaymentQueues, cloud: Cloud
    ) -> None:
        sweep = OperationSweep(operation_store, queues, clock=lambda: "2999-01-01T00:00:00Z")
        assert sweep.look(has_time=lambda: False) == []
        assert cloud.messages() == []


@pytest.mark.usefixtures("paid")
class TestSandbox:
    """Magic amounts walk every path."""

    @pytest.mark.parametrize(
        ("amount", "errors", "ends"),
        [
            ("1.00", [], OperationStatus.COMPLETED),
            ("600.01", [], OperationStatus.FAILED),
            ("600.02", [GatewayUnavailable], OperationStatus.COMPLETED),
            ("600.04", [ChargePending], OperationStatus.COMPLETED),
            ("600.05", [GatewayBusy], OperationStatus.COMPLETED),
            ("600.06", [GatewayUnavailable], OperationStatus.COMPLETED),
        ],
    )
    def test_a_refund_of_a_magic_amount_ends_as_told(
        self,
        operation_intake: OperationIntake,
        performing: Performing,
        store: PaymentStore,
        charging: Charging,
        amount: str,
        errors: list[type[Exception]],
        ends: OperationStatus,
    ) -> None:
        store.create(payment_request("pay_9", 100_000), actor="api", at=AT)
        charging.charge_by_id("pay_9", WITNESS)
        refund, _, _ = operation_intake.refund(asked(amount=amount, payment_id="pay_9"))
        for error in errors:
            with pytest.raises(error):
                performing.perform(refund.ref, WITNESS, is_first=True)
        assert performing.perform(refund.ref, WITNESS).status is ends

    def test_a_refund_that_fails_late_completes_first(
        self,
        operation_intake: OperationIntake,
        performing: Performing,
        store: PaymentStore,
        charging: Charging,
    ) -> None:
        store.create(payment_request("pay_9", 100_000), actor="api", at=AT)
        charging.charge_by_id("pay_9", WITNESS)
        refund, _, _ = operation_intake.refund(asked(amount="600.03", payment_id="pay_9"))
        ends = [performing.perform(refund.ref, WITNESS).status.value for _ in range(3)]
        assert ends == ["COMPLETED", "FAILED", "FAILED"]


@pytest.mark.usefixtures("paid")
def test_a_payment_that_moved_is_read_again_and_not_overwritten(
    operation_store: OperationStore, operation_intake: OperationIntake, store: PaymentStore
) -> None:
    stale = store.get("pay_1")
    assert stale is not None
    operation_intake.refund(asked("r1", "1.00"))
    refund = operation_store.get(*R1)
    assert refund is not None
    other = replace(refund, operation_id="r2")
    change = OperationChange(to=refund.status, at=AT, actor="test", request_id="request")
    with pytest.raises(StaleTransition):
        operation_store.commit(stale, [OperationStep(None, other, change)])
