"""The consumer of the queues, the workflow's steps, its deaths and the sweep, as Lambda calls them."""

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

import payment_processor
from payment_processor import consume, handler, release_expired, restart, run_step, sweep, wake
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueues
from payments.aws.turns import Turns
from payments.core.faults import (
    ChargePending,
    GatewayBusy,
    GatewayRefused,
    GatewayUnavailable,
    PaymentNotFound,
)
from payments.core.messages import FORMAT, PaymentMessage, decode_message, encode_message
from payments.core.payment import Payment
from payments.flows.charge import Charging
from payments.flows.delivery import Delivery
from payments.flows.hints import Hints
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.sweep import (
    Expired,
    ExpirySweep,
    OperationSweep,
    PaymentSweep,
    RefundReviewSweep,
)
from payments.gateways.port import ChargeOutcome, Hint, Pending, RefundHint
from payments.runtime import payment_processor as runtime
from payments.runtime.payment_processor import Deliveries
from payments.telemetry.logs import logger
from tests.unit.aws_events import context, load, sqs_event
from tests.unit.cloud import (
    AT,
    ROW,
    TABLES,
    WITNESS,
    Cloud,
    ScriptedGateway,
    Started,
    add_held_index,
    add_open_index,
    payment_request,
    statuses,
)


def failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def row_message(payment_id: str = "pay_1", **changes: Any) -> str:
    return encode_message(PaymentMessage(payment_request(payment_id, source=ROW, **changes)))


@pytest.fixture
def gateway() -> ScriptedGateway:
    """A processor that approves, unless the test says otherwise."""
    return ScriptedGateway()


@pytest.fixture
def on_gateway(
    store: PaymentStore, gateway: ScriptedGateway, workflow: Started, deliveries: Deliveries
) -> Deliveries:
    """What messages are handled with, on that processor."""
    return replace(deliveries, delivery=Delivery(store, Charging(store, gateway), workflow))


class TestMessages:
    """Messages of the queues."""

    def test_a_real_event_is_paid_in_one_invocation(
        self, store: PaymentStore, deliveries: Deliveries, workflow: Started
    ) -> None:
        store.create(payment_request("pay_123456"), actor="api", at=AT)
        answer = consume(load("sqs_messages"), deliveries, context())
        assert answer == {"batchItemFailures": []}
        assert statuses(store, "pay_123456") == ["PENDING", "PROCESSING", "COMPLETED"]
        assert workflow.started == []

    def test_no_messages_are_no_failures(self, deliveries: Deliveries) -> None:
        assert failed(consume({"Records": []}, deliveries, context())) == []

    def test_one_poisonous_message_of_ten_is_set_aside_and_the_others_are_paid(
        self, store: PaymentStore, deliveries: Deliveries, cloud: Cloud
    ) -> None:
        event = load("sqs_one_poison_of_ten")
        answer = consume(event, deliveries, context())
        assert failed(answer) == []
        assert [message["Body"] for message in cloud.taken(cloud.dead_letters_url)] == [
            event["Records"][6]["body"]
        ]
        paid = [item["payment_id"]["S"] for item in cloud.items(TABLES.payments)]
        assert len(paid) == 9
        assert {statuses(store, name)[-1] for name in paid} == {"COMPLETED"}

    def test_a_message_that_fails_unexpectedly_fails_alone(
        self, store: PaymentStore, on_gateway: Deliveries, gateway: ScriptedGateway
    ) -> None:
        class Defect(ScriptedGateway):
            def charge(self, payment: Payment) -> ChargeOutcome:
                if payment.payment_id == "pay_1":
                    raise RuntimeError("a defect of ours")
                return super().charge(payment)

        delivery = Delivery(store, Charging(store, Defect()), Started())
        bodies = [row_message(f"pay_{number}") for number in range(3)]
        answer = consume(sqs_event(*bodies), replace(on_gateway, delivery=delivery), context())
        assert failed(answer) == ["message-1"]
        assert [statuses(store, f"pay_{number}")[-1] for number in (0, 2)] == ["COMPLETED"] * 2

    def test_what_one_try_cannot_finish_is_done_with_once_its_workflow_runs(
        self, on_gateway: Deliveries, gateway: ScriptedGateway, workflow: Started, cloud: Cloud
    ) -> None:
        gateway.answers["charge"] = GatewayUnavailable()
        assert failed(consume(sqs_event(row_message()), on_gateway, context())) == []
        assert workflow.started == ["pay_1"]
        assert cloud.messages() == []

    def test_what_has_no_workflow_left_and_no_outcome_is_left_to_the_sweep(
        self, store: PaymentStore, gateway: ScriptedGateway, deliveries: Deliveries, cloud: Cloud
    ) -> None:
        """Its message ends: the sweep sends one each time, and they must not pile up."""
        gateway.answers |= {"charge": GatewayUnavailable(), "cancel": GatewayUnavailable()}
        delivery = Delivery(store, Charging(store, gateway), Started(is_spent=True))
        spent = replace(deliveries, delivery=delivery)
        assert failed(consume(sqs_event(row_message()), spent, context())) == []
        assert statuses(store)[-1] == "PROCESSING"
        assert cloud.messages() == []

    def test_each_payment_is_logged_under_its_own_ids(
        self, on_gateway: Deliveries, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written = io.StringIO()
        monkeypatch.setattr(logger.registered_handler, "stream", written)
        gateway.answers["charge"] = GatewayBusy("told")
        names = [f"pay_{number}" for number in range(4)]
        bodies = [row_message(name, correlation_id=f"of-{name}") for name in names]
        consume(sqs_event(*bodies), on_gateway, context())
        told = [json.loads(line) for line in written.getvalue().splitlines()]
        waiting = [line for line in told if line["message"] == "payment waits"]
        assert sorted(line["payment_id"] for line in waiting) == names
        for line in waiting:
            assert line["correlation_id"] == f"of-{line['payment_id']}"
            assert line["reason"] == "GatewayBusy: told"


class TestSideBySide:
    """Ten messages side by side: a slow one holds up none of its neighbours."""

    @pytest.fixture
    def slow(self, store: PaymentStore, deliveries: Deliveries) -> Iterator[Deliveries]:
        """A processor that does not answer for ``pay_3`` until the test is over."""
        answered = threading.Event()

        class Slow(ScriptedGateway):
            def charge(self, payment: Payment) -> ChargeOutcome:
                if payment.payment_id == "pay_3":
                    answered.wait(timeout=60)
                return super().charge(payment)

        delivery = Delivery(store, Charging(store, Slow()), Started())
        yield replace(deliveries, delivery=delivery)
        answered.set()

    def test_only_the_slow_one_is_reported_when_time_is_up(
        self, slow: Deliveries, store: PaymentStore
    ) -> None:
        bodies = [row_message(f"pay_{number}") for number in range(10)]
        started = time.monotonic()
        answer = consume(sqs_event(*bodies), slow, context(milliseconds_left=6_000))
        assert failed(answer) == ["message-3"]
        assert time.monotonic() - started < 5
        paid = [name for name in (f"pay_{number}" for number in range(10)) if name != "pay_3"]
        assert {statuses(store, name)[-1] for name in paid} == {"COMPLETED"}

    def test_ten_wait_for_the_processor_at_the_same_time(
        self, store: PaymentStore, deliveries: Deliveries
    ) -> None:
        """The barrier opens only when all ten are there."""
        together = threading.Barrier(10, timeout=20)

        class Meeting(ScriptedGateway):
            def prepare(self, payment: Payment) -> Any:
                together.wait()
                raise GatewayBusy("told")

        delivery = Delivery(store, Charging(store, Meeting()), Started())
        for number in range(10):
            store.create(payment_request(f"pay_{number}"), actor="api", at=AT)
        bodies = [
            encode_message(PaymentMessage(payment_request(f"pay_{number}"))) for number in range(10)
        ]
        answer = consume(sqs_event(*bodies), replace(deliveries, delivery=delivery), context())
        assert failed(answer) == []


class TestTurns:
    """Where the processor takes only so many payments a second, each message waits for its turn."""

    @pytest.fixture
    def waits(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """How long the messages wait; nobody really does."""
        waited: list[float] = []
        monkeypatch.setattr("payment_processor.time.sleep", waited.append)
        return waited

    def test_messages_are_handled_at_its_pace(
        self, on_gateway: Deliveries, cloud: Cloud, waits: list[float]
    ) -> None:
        turns = Turns(
            cloud.dynamodb, TABLES.processing_status, per_second=4, clock=lambda: 1_700_000_000.0
        )
        for batch in ("a", "b"):
            bodies = [row_message(f"{batch}_{number}") for number in range(3)]
            assert (
                failed(consume(sqs_event(*bodies), replace(on_gateway, turns=turns), context()))
                == []
            )
        assert sorted(waits) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]

    def test_the_line_tells_since_when_payments_by_api_have_waited(
        self, on_gateway: Deliveries, cloud: Cloud, waits: list[float]
    ) -> None:
        turns = Turns(cloud.dynamodb, TABLES.processing_status, per_second=100)
        of_rows, by_api = (
            sqs_event(row_message("a"), row_message("b"), queue=queue)
            for queue in ("payment-rows-dev", "payment-events-dev")
        )
        for number, record in enumerate(by_api["Records"]):
            record["attributes"]["SentTimestamp"] = str(1_700_000_000_250 + number)
        consume(of_rows, replace(on_gateway, turns=turns), context())
        assert turns.front() is None
        consume(by_api, replace(on_gateway, turns=turns), context())
        front = turns.front()
        assert front is not None
        assert front.timestamp() == pytest.approx(1_700_000_000.25)
        assert len(waits) == 4

    def test_without_a_limit_nobody_waits(self, on_gateway: Deliveries, waits: list[float]) -> None:
        assert failed(consume(sqs_event(row_message()), on_gateway, context())) == []
        assert waits == [0.0]

    def test_a_message_that_gets_no_turn_is_handled_all_the_same(
        self, store: PaymentStore, on_gateway: Deliveries, cloud: Cloud, waits: list[float]
    ) -> None:
        turns = Turns(cloud.dynamodb, "nowhere", per_second=4)
        answer = consume(sqs_event(row_message()), replace(on_gateway, turns=turns), context())
        assert failed(answer) == []
        assert waits == [0.0]
        assert statuses(store)[-1] == "COMPLETED"


class TestRefusals:
    """Whatever the processor refuses for a fault of ours is counted, and told by an alarm."""

    @pytest.fixture
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
        """What is counted."""
        counts: list[dict[str, int]] = []
        monkeypatch.setattr("payment_processor.metrics.count", counts.append)
        return counts

    @pytest.mark.parametrize(
        ("error", "expected"),
        [(GatewayRefused("no key"), [{"ProcessorRefusals": 1}]), (GatewayBusy("told"), [])],
    )
    def test_a_message_that_waits_for_us_is_told_from_one_that_waits_for_it(
        self,
        on_gateway: Deliveries,
        gateway: ScriptedGateway,
        counted: list[dict[str, int]],
        error: Exception,
        expected: list[dict[str, int]],
    ) -> None:
        gateway.answers["prepare"] = error
        assert failed(consume(sqs_event(row_message()), on_gateway, context())) == []
        assert counted == expected

    def test_a_step_of_the_workflow_counts_too(
        self, store: PaymentStore, counted: list[dict[str, int]]
    ) -> None:
        store.create(payment_request(), actor="api", at=AT)
        charging = Charging(store, ScriptedGateway(prepare=GatewayRefused("no key")))
        step = {
            "action": "charge",
            "payment_id": "pay_1",
            "correlation_id": "request-1",
            "execution_arn": "arn:aws:states:eu-central-1:1:execution:payment-workflow-dev:pay_1",
            "attempt": 0,
        }
        with pytest.raises(GatewayRefused):
            run_step(step, "invocation", charging)
        assert counted == [{"ProcessorRefusals": 1}]


class TestEvents:
    """Events of the processor, which are hints to look."""

    EVENT = load("stripe_through_eventbridge")

    @pytest.fixture
    def hints_at(
        self, store: PaymentStore, performing: Performing, operation_intake: OperationIntake
    ) -> Callable[[ScriptedGateway], Hints]:
        """Return what follows hints at a processor."""
        return lambda gateway: Hints(Charging(store, gateway), performing, operation_intake)

    @pytest.fixture
    def bound(self, store: PaymentStore) -> None:
        """A payment whose charge has no outcome yet."""
        payment, _ = store.create(payment_request(), actor="api", at=AT)
        with pytest.raises(GatewayUnavailable):
            Charging(store, ScriptedGateway(charge=GatewayUnavailable())).charge(payment, WITNESS)

    @pytest.mark.usefixtures("bound")
    def test_an_event_wakes_a_look_and_the_look_decides(
        self, store: PaymentStore, hints_at: Callable[[ScriptedGateway], Hints]
    ) -> None:
        hints = hints_at(ScriptedGateway())
        for _ in range(2):
            answer = wake(self.EVENT, "invocation", Hint("pay_1", "ref"), hints)
            assert answer == {"status": "COMPLETED"}
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]

    def test_an_event_about_none_of_ours_asks_nobody(
        self, hints_at: Callable[[ScriptedGateway], Hints]
    ) -> None:
        gateway = ScriptedGateway()
        for hint in (None, Hint("pay_none", "ref"), RefundHint("pay_none", "ref", None)):
            assert wake(self.EVENT, "invocation", hint, hints_at(gateway)) == {"status": None}
        assert gateway.calls == []

    @pytest.mark.usefixtures("bound")
    @pytest.mark.parametrize("error", [GatewayUnavailable, GatewayBusy, GatewayRefused])
    def test_an_event_that_cannot_be_followed_is_let_go(
        self,
        store: PaymentStore,
        hints_at: Callable[[ScriptedGateway], Hints],
        error: type[Exception],
    ) -> None:
        hints = hints_at(ScriptedGateway(look_up=error("told")))
        assert wake(self.EVENT, "invocation", Hint("pay_1", "ref"), hints) == {"status": None}
        assert statuses(store) == ["PENDING", "PROCESSING"]

    def test_the_function_tells_events_of_the_processor_from_dead_workflows(
        self, monkeypatch: pytest.MonkeyPatch, hints_at: Callable[[ScriptedGateway], Hints]
    ) -> None:
        monkeypatch.setattr(runtime, "hint_of", lambda _: None)
        monkeypatch.setattr(runtime, "hints", lambda: hints_at(ScriptedGateway()))
        given = context()
        given.function_name = "payment-processor-dev"
        given.memory_limit_in_mb = 512
        given.invoked_function_arn = "arn:aws:lambda:eu-central-1:1:function:payment-processor-dev"
        assert handler(self.EVENT, given) == {"status": None}


class TestHopeless:
    """What nobody can handle is moved to the dead-letter queue at once, with the reason."""

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("not json", "InvalidMessage: the message is not JSON"),
            ("{}", "InvalidMessage: version must be a positive integer"),
            (
                json.dumps({"version": FORMAT, "kind": "x"}),
                "InvalidMessage: kind must be 'payment', 'operation' or 'refund-row'",
            ),
            (encode_message(PaymentMessage(payment_request())), "PaymentNotFound: pay_1"),
        ],
    )
    def test_it_is_set_aside_with_its_reason_and_is_no_failure(
        self, deliveries: Deliveries, cloud: Cloud, body: str, reason: str
    ) -> None:
        assert failed(consume(sqs_event(body), deliveries, context())) == []
        [letter] = cloud.taken(cloud.dead_letters_url)
        assert letter["Body"] == body
        assert letter["MessageAttributes"]["reason"]["StringValue"] == reason

    def test_what_cannot_be_set_aside_is_delivered_again(
        self, deliveries: Deliveries, cloud: Cloud
    ) -> None:
        cloud.sqs.delete_queue(QueueUrl=cloud.dead_letters_url)
        assert failed(consume(sqs_event("hopeless"), deliveries, context())) == ["message-0"]


class TestBusy:
    """What is busy is sent again after a delay, as a message of its own: no receive is used up."""

    @pytest.mark.parametrize("error", [GatewayBusy, GatewayRefused])
    def test_it_is_sent_again_later_with_one_more_try(
        self,
        on_gateway: Deliveries,
        gateway: ScriptedGateway,
        cloud: Cloud,
        monkeypatch: pytest.MonkeyPatch,
        error: type[Exception],
    ) -> None:
        monkeypatch.setattr("payments.flows.delivery.delay_seconds", lambda tries: tries * 100)
        gateway.answers["charge"] = error("told")
        message = PaymentMessage(payment_request(source=ROW), tries=2)
        answer = consume(sqs_event(encode_message(message)), on_gateway, context())
        assert failed(answer) == []
        assert cloud.attributes(cloud.rows_url) == {"": 0, "Delayed": 1, "NotVisible": 0}
        assert cloud.attributes(cloud.events_url) == {"": 0, "Delayed": 0, "NotVisible": 0}

    def test_the_message_that_is_sent_again_is_the_same_but_for_its_tries(
        self,
        on_gateway: Deliveries,
        gateway: ScriptedGateway,
        cloud: Cloud,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("payments.flows.delivery.delay_seconds", lambda _: 0)
        gateway.answers["charge"] = GatewayBusy("told")
        message = PaymentMessage(payment_request(source=ROW), tries=2)
        consume(sqs_event(encode_message(message)), on_gateway, context())
        [again] = cloud.taken(cloud.rows_url)
        assert decode_message(again["Body"]) == message.again()

    def test_a_message_that_was_tried_before_is_not_taken_for_the_first(
        self, store: PaymentStore, on_gateway: Deliveries, cloud: Cloud
    ) -> None:
        """It looks the payment up, whose message may be long behind."""
        payment, _ = store.create(payment_request(), actor="api", at=AT)
        reads: list[str] = []
        cloud.dynamodb.meta.events.register(
            "before-call.dynamodb.GetItem", lambda **_: reads.append("read")
        )
        message = PaymentMessage(payment_request(), payment)
        consume(sqs_event(encode_message(message)), on_gateway, context())
        assert reads == []
        for event in (
            sqs_event(encode_message(message.again())),
            sqs_event(encode_message(message), receives=2),
        ):
            reads.clear()
            consume(event, on_gateway, context())
            assert reads == ["read"]

    def test_what_cannot_be_sent_again_is_delivered_again(
        self, on_gateway: Deliveries, gateway: ScriptedGateway, cloud: Cloud
    ) -> None:
        gateway.answers["charge"] = GatewayBusy("told")
        cloud.sqs.delete_queue(QueueUrl=cloud.rows_url)
        assert failed(consume(sqs_event(row_message()), on_gateway, context())) == ["message-0"]


class TestOurOwnFailure:
    """On a failure of our own, the message itself waits, longer each time."""

    @pytest.fixture
    def _throttled(self, cloud: Cloud) -> None:
        def throttle(**_: object) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "AnyOperation")

        cloud.dynamodb.meta.events.register("before-call.dynamodb", throttle)

    def received(self, cloud: Cloud, receives: int) -> dict[str, Any]:
        """Return the event of a message that is in flight in the queue of rows."""
        cloud.sqs.send_message(QueueUrl=cloud.rows_url, MessageBody=row_message())
        [received] = cloud.sqs.receive_message(QueueUrl=cloud.rows_url, VisibilityTimeout=0)[
            "Messages"
        ]
        event = sqs_event(received["Body"], queue="payment-rows-dev", receives=receives)
        event["Records"][0]["receiptHandle"] = received["ReceiptHandle"]
        return event

    @pytest.mark.usefixtures("_throttled")
    def test_it_is_hidden_and_no_copy_of_it_is_made(
        self, deliveries: Deliveries, cloud: Cloud
    ) -> None:
        event = self.received(cloud, receives=3)
        assert failed(consume(event, deliveries, context())) == ["message-0"]
        assert cloud.attributes(cloud.rows_url) == {"": 0, "Delayed": 0, "NotVisible": 1}

    @pytest.mark.usefixtures("_throttled")
    @pytest.mark.parametrize(("receives", "hidden", "delayed"), [(39, 1, 0), (40, 0, 1)])
    def test_a_copy_takes_its_place_before_its_receives_are_used_up(
        self,
        deliveries: Deliveries,
        cloud: Cloud,
        monkeypatch: pytest.MonkeyPatch,
        receives: int,
        hidden: int,
        delayed: int,
    ) -> None:
        monkeypatch.setattr(payment_processor, "delay_seconds", lambda _: 60)
        event = self.received(cloud, receives)
        answer = consume(event, deliveries, context())
        assert len(failed(answer)) == hidden
        waiting = cloud.attributes(cloud.rows_url)
        assert (waiting["NotVisible"], waiting["Delayed"]) == (hidden, delayed)

    @pytest.mark.usefixtures("_throttled")
    def test_the_delay_grows_with_the_receives(
        self, deliveries: Deliveries, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []

        def note(tries: int) -> int:
            asked.append(tries)
            return 60

        monkeypatch.setattr(payment_processor, "delay_seconds", note)
        for receives in (1, 5, 45):
            consume(sqs_event(row_message(), receives=receives), deliveries, context())
        assert asked == [0, 4, 44]


class TestNewer:
    """A message of a newer release waits for that release."""

    @pytest.mark.parametrize("queue", ["events", "rows"])
    def test_it_is_hidden_in_its_queue_and_never_set_aside(
        self, deliveries: Deliveries, cloud: Cloud, queue: str
    ) -> None:
        url = getattr(cloud, f"{queue}_url")
        cloud.sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"version": FORMAT + 1}))
        [received] = cloud.sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
        event = sqs_event(received["Body"], queue=f"payment-{queue}-dev")
        event["Records"][0]["receiptHandle"] = received["ReceiptHandle"]
        assert failed(consume(event, deliveries, context())) == ["message-0"]
        assert cloud.attributes(url) == {"": 0, "Delayed": 0, "NotVisible": 1}
        assert cloud.taken(cloud.dead_letters_url) == []

    def test_it_is_kept_although_it_cannot_be_hidden(
        self, deliveries: Deliveries, cloud: Cloud
    ) -> None:
        event = sqs_event(json.dumps({"version": FORMAT + 1}))
        assert failed(consume(event, deliveries, context())) == ["message-0"]
        assert cloud.taken(cloud.dead_letters_url) == []


class TestSteps:
    """Steps of the payment workflow."""

    EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:payment-workflow-dev:pay_1"

    def step(self, action: str = "charge", payment_id: str = "pay_1") -> dict[str, Any]:
        return {
            "action": action,
            "payment_id": payment_id,
            "correlation_id": "request-1",
            "execution_arn": self.EXECUTION,
            "attempt": 4,
        }

    @pytest.fixture
    def accepted(self, store: PaymentStore) -> Payment:
        payment, _ = store.create(payment_request(), actor="api", at=AT)
        return payment

    @pytest.mark.usefixtures("accepted")
    def test_a_step_answers_with_the_status_that_the_payment_has_now(
        self, charging: Charging
    ) -> None:
        done = {"payment_id": "pay_1", "status": "COMPLETED"}
        for action in ("charge", "charge", "settle"):
            assert run_step(self.step(action), "invocation-1", charging) == done

    @pytest.mark.usefixtures("accepted")
    def test_a_step_is_witnessed_by_its_workflow_and_execution(
        self, charging: Charging, cloud: Cloud
    ) -> None:
        run_step(self.step(), "invocation-1", charging)
        for record in cloud.items(TABLES.audit_logs)[1:]:
            assert record["actor"]["S"] == "payment-workflow-dev:pay_1"
            assert record["request_id"]["S"] == "invocation-1"
            assert record["attempt"]["N"] == "4"

    @pytest.mark.usefixtures("accepted")
    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (GatewayUnavailable("told"), GatewayUnavailable),
            (GatewayBusy("told"), GatewayBusy),
            (GatewayRefused("told"), GatewayRefused),
            (Pending(), ChargePending),
        ],
    )
    def test_what_has_no_outcome_is_raised_for_the_workflow_to_tell_apart(
        self, store: PaymentStore, answer: Exception | Pending, error: type[Exception]
    ) -> None:
        charging = Charging(store, ScriptedGateway(charge=answer))
        with pytest.raises(error):
            run_step(self.step(), "invocation-1", charging)

    @pytest.mark.parametrize("action", ["charge", "settle"])
    def test_an_unknown_payment_stops_the_step(self, charging: Charging, action: str) -> None:
        with pytest.raises(PaymentNotFound):
            run_step(self.step(action, "pay_none"), "invocation-1", charging)


class TestSweep:
    """The schedule's invocation."""

    @pytest.mark.parametrize("stuck", [0, 2])
    def test_it_counts_what_is_stuck_none_included_and_puts_it_back(
        self,
        stuck: int,
        store: PaymentStore,
        queues: PaymentQueues,
        operation_sweep: OperationSweep,
        refund_reviews: RefundReviewSweep,
        cloud: Cloud,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        add_open_index(cloud.dynamodb, TABLES.payments)
        for number in range(stuck):
            store.create(payment_request(f"pay_{number}"), actor="api", at=AT)
        result = sweep(PaymentSweep(store, queues), operation_sweep, refund_reviews, context())
        assert result == {"stuck": stuck, "stuck_operations": 0}
        told = json.loads(capsys.readouterr().out.splitlines()[0])
        assert (told["StuckPayments"], told["UnreadablePayments"]) == ([stuck], [0])
        assert told["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
        assert len(cloud.messages()) == stuck

    def test_one_that_cannot_be_read_is_counted_and_the_others_are_put_back(
        self,
        store: PaymentStore,
        queues: PaymentQueues,
        operation_sweep: OperationSweep,
        refund_reviews: RefundReviewSweep,
        cloud: Cloud,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        add_open_index(cloud.dynamodb, TABLES.payments)
        for name in ("damaged", "stuck"):
            store.create(payment_request(name), actor="api", at=AT)
        cloud.dynamodb.update_item(
            TableName=TABLES.payments,
            Key={"payment_id": {"S": "damaged"}},
            UpdateExpression="SET #status = :none",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":none": {"S": "NO_STATUS"}},
        )
        result = sweep(PaymentSweep(store, queues), operation_sweep, refund_reviews, context())
        assert result == {"stuck": 1, "stuck_operations": 0}
        told = json.loads(capsys.readouterr().out.splitlines()[0])
        assert (told["StuckPayments"], told["UnreadablePayments"]) == ([1], [1])
        [message] = cloud.messages()
        assert decode_message(message["Body"]).payment_id == "stuck"

    def test_it_leaves_time_to_put_back_what_it_found(
        self,
        store: PaymentStore,
        queues: PaymentQueues,
        operation_sweep: OperationSweep,
        refund_reviews: RefundReviewSweep,
        cloud: Cloud,
    ) -> None:
        add_open_index(cloud.dynamodb, TABLES.payments)
        store.create(payment_request(), actor="api", at=AT)
        result = sweep(
            PaymentSweep(store, queues), operation_sweep, refund_reviews, context(10_000)
        )
        assert result == {"stuck": 0, "stuck_operations": 0}

    @pytest.mark.parametrize("refused", [[], ["pay_7", "pay_9"]])
    def test_what_the_processor_refuses_to_release_is_counted_and_named(
        self,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
        refused: list[str],
    ) -> None:
        expiries: Any = type("Found", (), {"look": lambda *_, **__: Expired(3, refused)})()
        assert release_expired(expiries, context()) == {"expired": 3}
        told = json.loads(capsys.readouterr().out.splitlines()[0])
        assert told["RefusedReleases"] == [len(refused)]
        named = [(line.message, vars(line)["payment_id"]) for line in caplog.records]
        assert named == [("release was refused", payment_id) for payment_id in refused]


class TestRestart:
    """EventBridge tells of a workflow that died."""

    @pytest.fixture
    def payments(self, store: PaymentStore, queues: PaymentQueues) -> PaymentSweep:
        return PaymentSweep(store, queues)

    def test_the_payment_of_a_dead_workflow_goes_back_to_its_queue(
        self,
        store: PaymentStore,
        payments: PaymentSweep,
        operation_sweep: OperationSweep,
        cloud: Cloud,
    ) -> None:
        store.create(payment_request("pay_123456"), actor="api", at=AT)
        assert restart(load("execution_timed_out"), payments, operation_sweep) == {"put_back": 1}
        [message] = cloud.taken(cloud.events_url)
        assert decode_message(message["Body"]).payment_id == "pay_123456"

    def test_a_payment_that_came_to_its_end_all_the_same_stays_as_it_is(
        self,
        store: PaymentStore,
        payments: PaymentSweep,
        operation_sweep: OperationSweep,
        charging: Charging,
        cloud: Cloud,
    ) -> None:
        store.create(payment_request("pay_123456"), actor="api", at=AT)
        charging.charge_by_id("pay_123456", WITNESS)
        assert restart(load("execution_timed_out"), payments, operation_sweep) == {"put_back": 0}
        assert cloud.messages() == []

    def test_a_workflow_of_a_payment_that_is_not_there_is_done_with(
        self, payments: PaymentSweep, operation_sweep: OperationSweep
    ) -> None:
        assert restart(load("execution_timed_out"), payments, operation_sweep) == {"put_back": 0}


class TestHandler:
    """The handler tells its events apart."""

    @pytest.fixture(autouse=True)
    def _wired(  # noqa: PLR0913, PLR0917 - what the handler runs on
        self,
        monkeypatch: pytest.MonkeyPatch,
        deliveries: Deliveries,
        charging: Charging,
        store: PaymentStore,
        queues: PaymentQueues,
        operation_sweep: OperationSweep,
        operation_store: OperationStore,
        operation_intake: OperationIntake,
        cloud: Cloud,
    ) -> None:
        add_open_index(cloud.dynamodb, TABLES.payments)
        add_held_index(cloud.dynamodb, TABLES.payments)
        monkeypatch.setattr(runtime, "operation_sweep", lambda: operation_sweep)
        refund_reviews = RefundReviewSweep(store, operation_store)
        monkeypatch.setattr(runtime, "refund_review_sweep", lambda: refund_reviews)
        expiries = ExpirySweep(store, operation_store, operation_intake)
        monkeypatch.setattr(runtime, "expiry_sweep", lambda: expiries)
        monkeypatch.setattr(runtime, "deliveries", lambda: deliveries)
        monkeypatch.setattr(runtime, "charging", lambda: charging)
        monkeypatch.setattr(runtime, "payment_sweep", lambda: PaymentSweep(store, queues))
        store.create(payment_request("pay_123456"), actor="api", at=AT)

    @pytest.mark.parametrize(
        ("event", "answer"),
        [
            (load("sqs_messages"), {"batchItemFailures": []}),
            (load("execution_timed_out"), {"put_back": 1}),
            ({"action": "sweep"}, {"stuck": 1, "stuck_operations": 0, "expired": 0}),
            (
                TestSteps().step(payment_id="pay_123456"),
                {"payment_id": "pay_123456", "status": "COMPLETED"},
            ),
        ],
        ids=["messages", "death", "sweep", "step"],
    )
    def test_each_event_gets_its_answer(
        self, event: dict[str, Any], answer: dict[str, Any]
    ) -> None:
        given = context()
        given.function_name = "payment-processor-dev"
        given.memory_limit_in_mb = 512
        given.invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
        assert handler(event, given) == answer


def test_a_queue_is_found_by_the_arn_of_a_message(
    deliveries: Deliveries,
) -> None:
    arn = "arn:aws:sqs:us-east-1:123456789012:payment-{}-dev"
    assert deliveries.queue_of(arn.format("events")) is deliveries.events
    assert deliveries.queue_of(arn.format("rows")) is deliveries.rows
