"""Captures and cancellations: they exclude each other in one write, before any call leaves."""

from collections.abc import Callable
from typing import Any

import pytest

from payments.aws.items import deserialize
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueues
from payments.core.amounts import Amounts
from payments.core.asking import Asked
from payments.core.audit import chain_faults
from payments.core.content import Content
from payments.core.faults import (
    CaptureConflict,
    GatewayUnavailable,
    NotCancelable,
    NotCapturable,
    StaleTransition,
)
from payments.core.operation import Operation, OperationKind, OperationRef, OperationStatus
from payments.core.payment import Failure, Payment, PaymentRequest, PaymentStatus, Transition
from payments.flows.charge import Charging
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.sweep import ExpirySweep
from payments.gateways.port import Captured, Done, OperationOutcome, Refused
from tests.unit.cloud import AT, ROW, TABLES, WITNESS, Cloud, ScriptedGateway, add_held_index

NO = Failure("declined", "No.")
CANCEL_1 = OperationRef("pay_1", OperationKind.CANCEL, "1")


class Processor:
    """Answers every verb with one outcome; an error is raised."""

    def __init__(self, outcome: OperationOutcome | Captured | Exception) -> None:
        self.outcome: Any = outcome
        self.calls: list[str] = []

    def refund(self, _: Payment, __: Operation) -> OperationOutcome:
        return self._answer("refund")  # type: ignore[no-any-return]

    def capture(self, _: Payment, __: Operation) -> OperationOutcome:
        return self._answer("capture")  # type: ignore[no-any-return]

    def void(self, _: Payment, __: Operation) -> OperationOutcome | Captured:
        return self._answer("void")  # type: ignore[no-any-return]

    def look_up_operation(self, _: Payment, __: Operation) -> OperationOutcome | None:
        return None

    def _answer(self, verb: str) -> Any:
        self.calls.append(verb)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def request(source: str = "api") -> PaymentRequest:
    """Return a request for 100.00 USD that shall be captured later."""
    return PaymentRequest(Content("pay_1", 10000, "USD", 2, capture="manual"), source, "request-1")


def asked(capture_id: str, amount: str | None = None, *, final: bool = True) -> Asked:
    return Asked(
        kind=OperationKind.CAPTURE,
        payment_id="pay_1",
        operation_id=capture_id,
        source="api",
        correlation_id="request-2",
        amount=amount,
        final=final,
    )


def capture_ref(capture_id: str) -> OperationRef:
    return OperationRef("pay_1", OperationKind.CAPTURE, capture_id)


@pytest.fixture
def authorized(store: PaymentStore, charging: Charging) -> None:
    """A payment of 100.00 USD that is authorised."""
    store.create(request(), actor="api", at=AT)
    payment = charging.charge_by_id("pay_1", WITNESS)
    assert payment.status is PaymentStatus.AUTHORIZED


@pytest.fixture
def perform(store: PaymentStore, operation_store: OperationStore) -> Callable[..., Operation]:
    """Carry out an operation at a processor that answers so."""

    def perform(which: OperationRef, outcome: Any = Done("re_1")) -> Operation:  # noqa: B008
        return Performing(store, operation_store, Processor(outcome)).perform(which, WITNESS)

    return perform


@pytest.fixture
def now(store: PaymentStore, cloud: Cloud) -> Callable[[], Payment]:
    """Return the payment as it stands, whose audit trail must hold."""

    def now() -> Payment:
        records = sorted(
            map(deserialize, cloud.items(TABLES.audit_logs)), key=lambda each: each["sequence"]
        )
        assert chain_faults("pay_1", records) == []
        payment = store.get("pay_1")
        assert payment is not None
        return payment

    return now


@pytest.mark.usefixtures("authorized")
class TestCaptures:
    """What is captured, what is left and what is released."""

    def test_an_authorised_payment_waits_for_nobody_of_ours(
        self, now: Callable[[], Payment]
    ) -> None:
        payment = now()
        assert payment.amounts == Amounts.held(10000)
        assert payment.capture_before is not None
        assert not payment.status.is_open

    def test_a_whole_capture_completes_the_payment(
        self,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
    ) -> None:
        operation_intake.capture(asked("c1"))
        assert perform(capture_ref("c1")).status is OperationStatus.COMPLETED
        payment = now()
        assert payment.status is PaymentStatus.COMPLETED
        assert payment.amounts == Amounts.charged(10000)
        assert payment.capture_before is None

    def test_a_final_capture_releases_what_it_leaves(
        self,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
    ) -> None:
        operation_intake.capture(asked("c1", "60.00"))
        with pytest.raises(NotCapturable, match="operation_pending"):
            operation_intake.capture(asked("c2", "40.00"))
        perform(capture_ref("c1"))
        payment = now()
        assert payment.status is PaymentStatus.COMPLETED
        assert (payment.amounts.captured, payment.amounts.released) == (6000, 4000)
        assert payment.amounts.refundable == 6000

    def test_parts_are_captured_until_nothing_is_left(
        self,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
    ) -> None:
        for capture_id, amount in (("c1", "60.00"), ("c2", "40.00")):
            operation_intake.capture(asked(capture_id, amount, final=False))
        perform(capture_ref("c1"))
        assert now().status is PaymentStatus.AUTHORIZED
        perform(capture_ref("c2"))
        assert now().status is PaymentStatus.COMPLETED

    def test_a_capture_that_failed_can_be_asked_for_again(
        self,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
    ) -> None:
        operation_intake.capture(asked("c1", "60.00"))
        assert perform(capture_ref("c1"), Refused(NO)).status is OperationStatus.FAILED
        assert now().amounts == Amounts.held(10000)
        assert operation_intake.capture(asked("c2"))[2]

    def test_two_captures_of_60_on_100_are_one(self, operation_intake: OperationIntake) -> None:
        operation_intake.capture(asked("c1", "60.00", final=False))
        with pytest.raises(NotCapturable, match="exceeds_capturable"):
            operation_intake.capture(asked("c2", "60.00", final=False))

    def test_a_replay_answers_what_is_stored_even_after_the_end(
        self, operation_intake: OperationIntake, perform: Callable[..., Operation]
    ) -> None:
        operation_intake.capture(asked("c1"))
        done = perform(capture_ref("c1"))
        assert operation_intake.capture(asked("c1"))[0] == done
        with pytest.raises(CaptureConflict):
            operation_intake.capture(asked("c1", final=False))
        with pytest.raises(NotCapturable, match="payment_state"):
            operation_intake.capture(asked("c2"))


@pytest.mark.usefixtures("authorized")
class TestCancel:
    """An authorised payment that is not wanted any more."""

    def test_what_was_authorised_is_released(
        self,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
    ) -> None:
        cancel, payment, created = operation_intake.cancel("pay_1", "request-2", reason="abandoned")
        assert (cancel.ref, cancel.amount_minor, created) == (CANCEL_1, 10000, True)
        assert payment.status is PaymentStatus.AUTHORIZED
        perform(CANCEL_1)
        assert now().status is PaymentStatus.CANCELED
        assert now().amounts == Amounts(authorized=10000, released=10000)
        again, payment, created = operation_intake.cancel("pay_1", "request-3")
        assert (again.status, created) == (OperationStatus.COMPLETED, False)
        assert payment.status is PaymentStatus.CANCELED

    def test_a_cancellation_rules_out_a_capture(self, operation_intake: OperationIntake) -> None:
        operation_intake.cancel("pay_1", "request-2")
        with pytest.raises(NotCapturable, match="operation_pending"):
            operation_intake.capture(asked("c1"))

    def test_a_capture_rules_out_a_cancellation(
        self, operation_intake: OperationIntake, perform: Callable[..., Operation]
    ) -> None:
        operation_intake.capture(asked("c1"))
        with pytest.raises(NotCancelable, match="operation_pending"):
            operation_intake.cancel("pay_1", "request-2")
        perform(capture_ref("c1"))
        with pytest.raises(NotCancelable, match="already_captured"):
            operation_intake.cancel("pay_1", "request-2")

    def test_a_void_whose_answer_is_lost_keeps_what_it_reserved(
        self,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
    ) -> None:
        operation_intake.cancel("pay_1", "request-2")
        with pytest.raises(GatewayUnavailable):
            perform(CANCEL_1, GatewayUnavailable("no answer"))
        assert now().amounts.releases_pending == 10000
        perform(CANCEL_1)
        assert now().status is PaymentStatus.CANCELED

    def test_a_void_that_is_refused_leaves_the_payment_authorised_and_may_follow_again(
        self,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
    ) -> None:
        operation_intake.cancel("pay_1", "request-2")
        perform(CANCEL_1, Refused(NO))
        assert now().amounts == Amounts.held(10000)
        assert operation_intake.cancel("pay_1", "request-3")[0].operation_id == "2"

    @pytest.mark.parametrize("amount", [10000, 6000])
    def test_what_the_processor_captured_instead_is_what_our_books_say(
        self,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
        amount: int,
    ) -> None:
        operation_intake.cancel("pay_1", "request-2")
        cancel = perform(CANCEL_1, Captured(amount))
        assert cancel.status is OperationStatus.FAILED
        assert cancel.failure is not None
        assert cancel.failure.code == "already_captured"
        payment = now()
        assert payment.status is PaymentStatus.COMPLETED
        assert (payment.amounts.captured, payment.amounts.released) == (amount, 10000 - amount)

    def test_what_expired_after_a_part_was_captured_is_completed(
        self,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
    ) -> None:
        operation_intake.capture(asked("c1", "60.00", final=False))
        perform(capture_ref("c1"))
        with pytest.raises(NotCancelable, match="already_captured"):
            operation_intake.cancel("pay_1", "request-2")
        operation_intake.cancel("pay_1", "sweep", has_expired=True)
        perform(CANCEL_1)
        payment = now()
        assert payment.status is PaymentStatus.COMPLETED
        assert (payment.amounts.captured, payment.amounts.released) == (6000, 4000)


@pytest.mark.usefixtures("authorized")
class TestExpiry:
    """An authorisation that nobody captured in time."""

    def look(
        self,
        cloud: Cloud,
        store: PaymentStore,
        operation_store: OperationStore,
        operation_intake: OperationIntake,
        at: str,
    ) -> int:
        sweep = ExpirySweep(store, operation_store, operation_intake, clock=lambda: at)
        return sweep.look("payment-processor", "sweep-1", has_time=lambda: True).cancelled

    def test_it_is_released_by_the_processor_and_not_before_its_time(
        self,
        cloud: Cloud,
        store: PaymentStore,
        operation_store: OperationStore,
        operation_intake: OperationIntake,
        perform: Callable[..., Operation],
        now: Callable[[], Payment],
    ) -> None:
        add_held_index(cloud.dynamodb, TABLES.payments)
        world = (cloud, store, operation_store, operation_intake)
        assert self.look(*world, AT) == 0
        assert self.look(*world, "2999-01-01T00:00:00.000000Z") == 1
        # Nothing is assumed: the payment is as it was until the processor has answered.
        assert now().status is PaymentStatus.AUTHORIZED
        cancel = perform(CANCEL_1)
        assert cancel.reason == "authorization_expired"
        assert now().status is PaymentStatus.CANCELED
        assert self.look(*world, "2999-01-02T00:00:00.000000Z") == 0

    def test_a_processor_that_refuses_is_asked_again_a_day_later(
        self,
        cloud: Cloud,
        store: PaymentStore,
        operation_store: OperationStore,
        queues: PaymentQueues,
    ) -> None:
        add_held_index(cloud.dynamodb, TABLES.payments)
        asked = []
        for at in ("2999-01-01T00:00", "2999-01-01T12:00", "2999-01-02T00:00"):
            time = f"{at}:00.000001Z"

            def clock(time: str = time) -> str:
                return time

            intake = OperationIntake(store, operation_store, queues, clock)
            sweep = ExpirySweep(store, operation_store, intake, clock)
            found = sweep.look("payment-processor", "sweep", has_time=lambda: True)
            asked.append((found.cancelled, found.refused))
            refusing = Performing(store, operation_store, Processor(Refused(NO)), clock)
            for cancel in operation_store.of("pay_1"):
                refusing.perform(cancel.ref, WITNESS)
        assert asked == [(1, []), (0, ["pay_1"]), (1, ["pay_1"])]

    def test_what_cannot_be_released_hides_nothing_behind_it(
        self, cloud: Cloud, store: PaymentStore
    ) -> None:
        """A page of the index has a hundred payments, and all of these are on one shard."""
        add_held_index(cloud.dynamodb, TABLES.payments)
        [item] = cloud.items(TABLES.payments)
        for number in range(150):
            copy = {
                **item,
                "payment_id": {"S": f"held_{number:03}"},
                "capture_before": {"S": f"2026-01-01T00:00:00.{number:06}Z"},
            }
            cloud.dynamodb.put_item(TableName=TABLES.payments, Item=copy)
        found = list(store.expired("2026-02-01T00:00:00.000000Z"))
        assert found == [f"held_{number:03}" for number in range(150)]


class TestCancelBeforeTheCharge:
    """A payment that nobody has charged yet."""

    @pytest.mark.parametrize("in_review", [False, True])
    def test_it_is_cancelled_at_once_and_never_charged(
        self,
        operation_intake: OperationIntake,
        store: PaymentStore,
        now: Callable[[], Payment],
        in_review: bool,  # noqa: FBT001 - a parameter of the test
    ) -> None:
        payment, _ = store.create(request(), actor="api", at=AT)
        if in_review:
            change = Transition(
                to=PaymentStatus.IN_REVIEW, at=AT, actor="test", request_id="request"
            )
            store.transition(payment, change)
        cancel, cancelled, created = operation_intake.cancel("pay_1", "request-2")
        assert (cancel.status, cancelled.status) == (
            OperationStatus.COMPLETED,
            PaymentStatus.CANCELED,
        )
        assert created
        gateway = ScriptedGateway()
        assert Charging(store, gateway).charge(payment, WITNESS).status is PaymentStatus.CANCELED
        assert "charge" not in gateway.calls
        assert now().status is PaymentStatus.CANCELED
        assert not operation_intake.cancel("pay_1", "request-3")[2]

    def test_its_row_ends_as_cancelled(
        self, operation_intake: OperationIntake, store: PaymentStore, cloud: Cloud
    ) -> None:
        store.create(request(ROW), actor="batch", at=AT)
        operation_intake.cancel("pay_1", "request-2")
        (item,) = cloud.items(TABLES.processing_status)
        assert item["canceled"] == {"N": "1"}

    @pytest.mark.parametrize("ends", [PaymentStatus.PROCESSING, PaymentStatus.FAILED])
    def test_one_that_is_charged_or_has_failed_cannot_be_cancelled(
        self, operation_intake: OperationIntake, store: PaymentStore, ends: PaymentStatus
    ) -> None:
        payment, _ = store.create(request(), actor="api", at=AT)
        for to in dict.fromkeys((PaymentStatus.PROCESSING, ends)):
            change = Transition(to=to, at=AT, actor="test", request_id="request")
            payment = store.transition(payment, change)
        with pytest.raises(NotCancelable, match="payment_state"):
            operation_intake.cancel("pay_1", "request-2")

    def test_the_charge_that_is_first_wins(
        self, operation_store: OperationStore, store: PaymentStore
    ) -> None:
        payment, _ = store.create(request(), actor="api", at=AT)
        change = Transition(to=PaymentStatus.PROCESSING, at=AT, actor="test", request_id="request")
        store.transition(payment, change)
        late: Any = type("Late", (), {"get": lambda *_: payment})()
        queue: Any = None
        intake = OperationIntake(late, operation_store, queue)
        with pytest.raises(Exception, match="moved by too many") as refused:
            intake.cancel("pay_1", "request-2")
        assert not isinstance(refused.value, StaleTransition)
        assert operation_store.of("pay_1") == []
