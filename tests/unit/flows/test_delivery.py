"""A message about a payment: one try, and what becomes of what one try cannot finish."""

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from payments.aws.batches import BatchStore
from payments.aws.payments import PaymentStore
from payments.batches.progress import BatchStatus
from payments.core.faults import (
    GatewayBusy,
    GatewayRefused,
    GatewayUnavailable,
    PaymentNotFound,
)
from payments.core.messages import PaymentMessage, message_of
from payments.core.payment import PaymentStatus
from payments.flows.charge import Charging
from payments.flows.delivery import (
    LONGEST_DELAY_SECONDS,
    Again,
    Delivery,
    Done,
    Failed,
    Left,
    delay_seconds,
)
from payments.gateways.port import CANCELLED, Approved, Declined, Pending
from tests.unit.cloud import (
    AT,
    BATCH_ID,
    OTHER_ROW,
    ROW,
    WITNESS,
    Cloud,
    ScriptedGateway,
    Started,
    calls_of,
    payment_request,
    statuses,
)

ROW_MESSAGE = PaymentMessage(payment_request(source=ROW))


@pytest.fixture
def gateway() -> ScriptedGateway:
    """A processor that approves, unless the test says otherwise."""
    return ScriptedGateway()


@pytest.fixture
def delivery(store: PaymentStore, gateway: ScriptedGateway, workflow: Started) -> Delivery:
    """The rules for a message, on that processor."""
    return Delivery(store, Charging(store, gateway), workflow)


@pytest.fixture
def message(store: PaymentStore) -> PaymentMessage:
    """The message about a payment that was accepted by API."""
    payment, _ = store.create(payment_request(), actor="api", at=AT)
    return message_of(payment)


class TestOneTry:
    """Almost every payment: one message, one try, no workflow."""

    def test_the_first_message_pays_and_saves_the_read(
        self,
        store: PaymentStore,
        cloud: Cloud,
        delivery: Delivery,
        message: PaymentMessage,
        workflow: Started,
    ) -> None:
        calls = calls_of(cloud.dynamodb)
        assert delivery.deliver(message, WITNESS, is_first=True) == Done()
        assert calls == ["TransactWriteItems", "TransactWriteItems"]
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]
        assert workflow.started == []

    def test_a_row_becomes_a_payment_and_is_paid_without_a_read(
        self, store: PaymentStore, cloud: Cloud, delivery: Delivery
    ) -> None:
        calls = calls_of(cloud.dynamodb)
        assert delivery.deliver(ROW_MESSAGE, WITNESS, is_first=True) == Done()
        assert calls == ["TransactWriteItems"] * 3
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]

    @pytest.mark.parametrize("is_first", [True, False])
    def test_a_message_that_is_behind_goes_on_from_what_is_stored(
        self,
        store: PaymentStore,
        delivery: Delivery,
        gateway: ScriptedGateway,
        message: PaymentMessage,
        is_first: bool,  # noqa: FBT001 - a case
    ) -> None:
        gateway.answers["charge"] = GatewayUnavailable()
        delivery.deliver(message, WITNESS, is_first=True)
        gateway.answers["charge"] = ScriptedGateway().answers["charge"]
        assert delivery.deliver(message, WITNESS, is_first=is_first) == Done()
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]

    def test_a_message_about_what_is_not_there_says_so(
        self, delivery: Delivery, message: PaymentMessage
    ) -> None:
        assert message.accepted is not None
        request = payment_request("pay_none")
        accepted = replace(message.accepted, content=request.content)
        with pytest.raises(PaymentNotFound):
            delivery.deliver(PaymentMessage(request), WITNESS, is_first=False)
        with pytest.raises(PaymentNotFound):
            delivery.deliver(PaymentMessage(request, accepted), WITNESS, is_first=True)


class TestSettled:
    """A message about a payment that is settled is done without another call."""

    def test_a_repeated_message_reads_once_and_is_done(
        self, cloud: Cloud, delivery: Delivery, gateway: ScriptedGateway, message: PaymentMessage
    ) -> None:
        delivery.deliver(message, WITNESS, is_first=True)
        gateway.calls.clear()
        calls = calls_of(cloud.dynamodb)
        assert delivery.deliver(message, WITNESS, is_first=False) == Done()
        assert (calls, gateway.calls) == (["GetItem"], [])

    def test_a_repeated_message_that_looks_like_the_first_charges_nothing(
        self, cloud: Cloud, delivery: Delivery, gateway: ScriptedGateway, message: PaymentMessage
    ) -> None:
        delivery.deliver(message, WITNESS, is_first=True)
        gateway.calls.clear()
        calls = calls_of(cloud.dynamodb)
        assert delivery.deliver(message, WITNESS, is_first=True) == Done()
        assert (calls, gateway.calls) == (["TransactWriteItems"], ["prepare"])

    def test_a_repeated_row_finds_its_payment_by_the_write_and_is_done(
        self, cloud: Cloud, delivery: Delivery, gateway: ScriptedGateway
    ) -> None:
        delivery.deliver(ROW_MESSAGE, WITNESS, is_first=True)
        gateway.calls.clear()
        calls = calls_of(cloud.dynamodb)
        assert delivery.deliver(ROW_MESSAGE, WITNESS, is_first=False) == Done()
        assert (calls, gateway.calls) == (["TransactWriteItems"], [])


class TestRows:
    """Rows whose payment id is taken, and what is counted."""

    def counted(self, batch_store: BatchStore) -> dict[str, int]:
        batch_store.record(BATCH_ID, BatchStatus.PROCESSING, "2026-01-01")
        progress = batch_store.progress(BATCH_ID)
        assert progress is not None
        return {outcome: count for outcome, count in progress.outcomes.items() if count}

    def not_paid(self, batch_store: BatchStore) -> list[tuple[int, str]]:
        rows = batch_store.not_paid(BATCH_ID, range(batch_store.row_shards))
        return [(row.line, row.outcome) for row in rows]

    def test_a_row_with_another_amount_is_a_conflict_and_is_counted_once(
        self, store: PaymentStore, delivery: Delivery, batch_store: BatchStore
    ) -> None:
        stored, _ = store.create(payment_request(), actor="api", at=AT)
        row = PaymentMessage(payment_request(amount_minor=1, source=ROW))
        for _ in range(3):
            assert delivery.deliver(row, WITNESS, is_first=False) == Done()
        assert store.get("pay_1") == stored
        assert self.not_paid(batch_store) == [(2, "conflict")]
        assert self.counted(batch_store) == {"conflict": 1}

    def test_a_row_that_repeats_a_payment_is_a_duplicate_and_is_counted_once(
        self, delivery: Delivery, batch_store: BatchStore, gateway: ScriptedGateway
    ) -> None:
        delivery.deliver(ROW_MESSAGE, WITNESS, is_first=True)
        row = PaymentMessage(payment_request(source=OTHER_ROW))
        for _ in range(3):
            assert delivery.deliver(row, WITNESS, is_first=False) == Done()
        assert self.not_paid(batch_store) == [(3, "duplicate")]
        assert self.counted(batch_store) == {"completed": 1, "duplicate": 1}
        assert gateway.calls == ["prepare", "charge"]

    def test_a_duplicate_of_a_payment_that_is_open_carries_it_through(
        self, store: PaymentStore, delivery: Delivery, batch_store: BatchStore
    ) -> None:
        store.create(payment_request(source=ROW), actor="batch", at=AT)
        row = PaymentMessage(payment_request(source=OTHER_ROW))
        assert delivery.deliver(row, WITNESS, is_first=True) == Done()
        assert statuses(store)[-1] == "COMPLETED"
        assert self.counted(batch_store) == {"completed": 1, "duplicate": 1}


class TestWorkflow:
    """What one try cannot finish goes on in the payment's workflow."""

    @pytest.mark.parametrize("answer", [GatewayUnavailable(), Pending()])
    def test_an_outcome_that_is_open_starts_the_workflow_under_the_payments_id(
        self,
        delivery: Delivery,
        gateway: ScriptedGateway,
        message: PaymentMessage,
        workflow: Started,
        answer: Exception | Pending,
    ) -> None:
        gateway.answers["charge"] = answer
        assert delivery.deliver(message, WITNESS, is_first=True) == Done()
        assert workflow.started == ["pay_1"]
        assert workflow.inputs == [{"payment_id": "pay_1", "correlation_id": "request-1"}]

    def test_a_processor_that_cannot_be_asked_to_prepare_is_unknown_too(
        self,
        delivery: Delivery,
        gateway: ScriptedGateway,
        message: PaymentMessage,
        workflow: Started,
    ) -> None:
        gateway.answers["prepare"] = GatewayUnavailable()
        assert delivery.deliver(message, WITNESS, is_first=True) == Done()
        assert workflow.started == ["pay_1"]

    def test_a_row_whose_payment_came_from_elsewhere_names_the_payments_own_origin(
        self,
        store: PaymentStore,
        delivery: Delivery,
        gateway: ScriptedGateway,
        workflow: Started,
    ) -> None:
        """One input for one payment, or Step Functions would refuse the running execution's name."""
        store.create(payment_request(correlation_id="first"), actor="api", at=AT)
        gateway.answers["charge"] = GatewayUnavailable()
        delivery.deliver(ROW_MESSAGE, WITNESS, is_first=True)
        assert workflow.inputs == [{"payment_id": "pay_1", "correlation_id": "first"}]

    def test_a_workflow_that_cannot_be_started_fails_the_message_and_not_the_payment(
        self, store: PaymentStore, gateway: ScriptedGateway, message: PaymentMessage
    ) -> None:
        gateway.answers["charge"] = GatewayUnavailable()
        deaf = Started(deaf_to=frozenset({"pay_1"}))
        verdict = Delivery(store, Charging(store, gateway), deaf).deliver(
            message, WITNESS, is_first=True
        )
        assert isinstance(verdict, Failed)
        assert "ServiceUnavailable" in verdict.reason


class TestNoExecutionLeft:
    """All executions of a payment died: its message settles it, and never what is not decided."""

    @pytest.fixture
    def workflow(self) -> Started:
        return Started(is_spent=True)

    @pytest.mark.parametrize(
        ("truth", "ends_as"),
        [(Approved("ref"), "COMPLETED"), (Declined(CANCELLED), "FAILED")],
    )
    def test_what_stays_unknown_ends_as_the_processor_says(
        self,
        store: PaymentStore,
        delivery: Delivery,
        gateway: ScriptedGateway,
        message: PaymentMessage,
        truth: Approved | Declined,
        ends_as: str,
    ) -> None:
        gateway.answers |= {"charge": GatewayUnavailable(), "cancel": truth}
        assert delivery.deliver(message, WITNESS, is_first=True) == Done()
        assert gateway.calls == ["prepare", "charge", "cancel"]
        assert statuses(store)[-1] == ends_as

    def test_what_is_not_bound_yet_is_closed_without_asking(
        self,
        store: PaymentStore,
        delivery: Delivery,
        gateway: ScriptedGateway,
        message: PaymentMessage,
    ) -> None:
        gateway.answers["prepare"] = GatewayUnavailable()
        assert delivery.deliver(message, WITNESS, is_first=True) == Done()
        assert gateway.calls == ["prepare"]
        assert statuses(store) == ["PENDING", "PROCESSING", "FAILED"]

    @pytest.mark.parametrize("answer", [GatewayUnavailable(), Pending()])
    def test_what_the_processor_still_does_not_tell_is_left_to_the_sweep(
        self,
        store: PaymentStore,
        delivery: Delivery,
        gateway: ScriptedGateway,
        message: PaymentMessage,
        answer: Exception | Pending,
    ) -> None:
        gateway.answers |= {"charge": GatewayUnavailable(), "cancel": answer}
        assert isinstance(delivery.deliver(message, WITNESS, is_first=True), Left)
        assert statuses(store)[-1] == "PROCESSING"

    def test_a_charge_that_is_not_decided_is_not_cancelled(
        self,
        store: PaymentStore,
        delivery: Delivery,
        gateway: ScriptedGateway,
        message: PaymentMessage,
    ) -> None:
        gateway.answers["charge"] = Pending()
        assert isinstance(delivery.deliver(message, WITNESS, is_first=True), Left)
        assert gateway.calls == ["prepare", "charge"]
        assert statuses(store)[-1] == "PROCESSING"

    def test_a_processor_that_is_busy_is_asked_again_later(
        self, delivery: Delivery, gateway: ScriptedGateway, message: PaymentMessage
    ) -> None:
        gateway.answers |= {"charge": GatewayUnavailable(), "cancel": GatewayBusy()}
        assert isinstance(delivery.deliver(message, WITNESS, is_first=True), Again)


class TestAgain:
    """Nobody is declined for what is busy or away: the message comes again."""

    @pytest.mark.parametrize("verb", ["prepare", "charge"])
    @pytest.mark.parametrize("error", [GatewayBusy, GatewayRefused])
    def test_a_processor_that_did_nothing_is_asked_again_later(
        self,
        store: PaymentStore,
        delivery: Delivery,
        gateway: ScriptedGateway,
        message: PaymentMessage,
        workflow: Started,
        verb: str,
        error: type[Exception],
    ) -> None:
        gateway.answers[verb] = error("told")
        verdict = delivery.deliver(message, WITNESS, is_first=True)
        assert isinstance(verdict, Again)
        assert verdict.reason == f"{error.__name__}: told"
        assert workflow.started == []
        stored = store.get("pay_1")
        assert stored is not None
        assert stored.status in {PaymentStatus.PENDING, PaymentStatus.PROCESSING}

    @pytest.mark.parametrize("operation", ["GetItem", "TransactWriteItems"])
    @pytest.mark.parametrize("is_first", [True, False])
    def test_an_aws_service_that_is_away_fails_the_message_and_not_the_payment(
        self,
        delivery: Delivery,
        cloud: Cloud,
        message: PaymentMessage,
        operation: str,
        is_first: bool,  # noqa: FBT001 - a case
    ) -> None:
        def throttle(**_: object) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, operation)

        cloud.dynamodb.meta.events.register(f"before-call.dynamodb.{operation}", throttle)
        verdict = delivery.deliver(message, WITNESS, is_first=is_first)
        if operation == "GetItem" and is_first:
            assert verdict == Done()
        else:
            assert isinstance(verdict, Failed)
            assert "ServiceUnavailable" in verdict.reason

    def test_the_delay_grows_with_each_try_is_scattered_and_ends_at_what_sqs_can_do(self) -> None:
        longest = []
        for tries in range(15):
            delays = {delay_seconds(tries) for _ in range(300)}
            assert min(delays) >= 1
            assert max(delays) <= LONGEST_DELAY_SECONDS
            assert len(delays) > 1
            longest.append(max(delays))
        assert longest[0] <= 4
        assert longest[3] > 2 * longest[0]
        assert longest[8] > 2 * longest[5]
        assert longest[-1] > LONGEST_DELAY_SECONDS * 0.9

    def test_a_message_waits_longer_the_more_often_it_was_sent_again(
        self, delivery: Delivery, gateway: ScriptedGateway, message: PaymentMessage
    ) -> None:
        gateway.answers["charge"] = GatewayBusy()
        delays = []
        for tries in (0, 9):
            verdicts = [
                delivery.deliver(replace(message, tries=tries), WITNESS, is_first=False)
                for _ in range(20)
            ]
            delays.append(max(each.delay_seconds for each in verdicts if isinstance(each, Again)))
        assert delays[0] <= 4
        assert delays[1] > 60
