"""Stripe's events are hints: which charge or refund of ours one is about, and nothing else.

The hints are followed over Stripe's double: whatever an event says, the double's answer counts.
"""

from typing import Any

import pytest

from local.stripe_double.account import REFUND_SECONDS
from local.stripe_double.faults import Fault
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.core.asking import Asked
from payments.core.faults import ChargePending, GatewayUnavailable
from payments.core.operation import Operation, OperationKind, OperationStatus
from payments.core.payment import Payment, PaymentRequest, PaymentStatus
from payments.flows.charge import Charging
from payments.flows.hints import RELEASED, Hints
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.gateways.port import Hint, RefundHint
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.events import hint_of
from payments.gateways.stripe.operations import StripeOperations
from tests.unit.aws_events import load
from tests.unit.cloud import AT, WITNESS, statuses
from tests.unit.gateways.stripe.doubled import ENVIRONMENT, Stripe


class TestHint:
    """What an event is about."""

    @pytest.fixture
    def event(self) -> dict[str, Any]:
        """An event as EventBridge delivers it."""
        loaded: dict[str, Any] = load("stripe_through_eventbridge")
        return loaded

    def test_an_event_tells_the_payment_and_the_charge(self, event: dict[str, Any]) -> None:
        assert hint_of(event, environment="dev") == Hint("pay_1", "pi_3MtwBwLkdIwHu7ix28a3tqPa")

    def test_an_event_of_another_environment_in_the_same_account_is_none_of_ours(
        self, event: dict[str, Any]
    ) -> None:
        assert hint_of(event, environment="prod") is None

    def test_an_event_about_a_refund_tells_which(self, event: dict[str, Any]) -> None:
        refund: dict[str, Any] = {"object": "refund", "id": "re_1", "payment_intent": "pi_1"}
        event["detail"]["data"]["object"] |= refund
        assert hint_of(event, environment="dev") is None
        event["detail"]["data"]["object"]["metadata"]["operation"] = "refund-1"
        assert hint_of(event, environment="dev") == RefundHint("pay_1", "pi_1", "refund-1")

    def test_an_event_about_a_charge_tells_that_something_was_given_back(
        self, event: dict[str, Any]
    ) -> None:
        event["detail"]["data"]["object"] |= {"object": "charge", "payment_intent": "pi_1"}
        assert hint_of(event, environment="dev") == RefundHint("pay_1", "pi_1", None)

    @pytest.mark.parametrize(
        "changes",
        [
            {"metadata": {}},
            {"metadata": {"environment": "dev"}},
            {"metadata": {"environment": "dev", "payment_id": 1}},
            {"metadata": None},
            {"id": None},
            {"object": "charge"},
            {"object": "charge", "payment_intent": None},
            {"object": "refund", "payment_intent": None},
            {"object": "dispute", "payment_intent": "pi_1"},
        ],
    )
    def test_what_is_not_of_our_making_is_passed_over(
        self, event: dict[str, Any], changes: dict[str, Any]
    ) -> None:
        event["detail"]["data"]["object"].update(changes)
        assert hint_of(event, environment="dev") is None

    @pytest.mark.parametrize(
        "detail", [None, {}, {"data": None}, {"data": {"object": "pi_1"}}, "text"]
    )
    def test_what_is_no_event_is_passed_over(self, event: dict[str, Any], detail: object) -> None:
        assert hint_of({**event, "detail": detail}, environment="dev") is None


class Account:
    """One Stripe account, our books of it, and the events that it has sent."""

    def __init__(
        self, store: PaymentStore, operations: OperationStore, intake: OperationIntake
    ) -> None:
        self.stripe = Stripe()
        self.store = store
        self.operations = operations
        self.intake = intake
        client = StripeClient(self.stripe.transport, self.stripe.read_key, live=False)
        gateway = StripeOperations(client, environment=ENVIRONMENT)
        self.performing = Performing(store, operations, gateway)
        self.charging = Charging(store, self.stripe.gateway)
        self.hints = Hints(self.charging, self.performing, intake)

    def charge(self, **fields: Any) -> Payment:
        """Take a payment through one try, whose answer may get lost."""
        content = self.stripe.payment(**fields).content
        self.store.create(PaymentRequest(content, "api", "request-1"), actor="api", at=AT)
        try:
            return self.charging.charge_by_id("pay_1", WITNESS)
        except GatewayUnavailable:
            return self.payment()

    def refund(self, refund_id: str) -> Operation:
        """Ask for a refund of 10.00."""
        asked = Asked(
            kind=OperationKind.REFUND,
            payment_id="pay_1",
            operation_id=refund_id,
            amount="10.00",
            source="api",
            correlation_id="request-2",
        )
        return self.intake.refund(asked)[0]

    def payment(self) -> Payment:
        """Return the payment as it stands."""
        payment = self.store.get("pay_1")
        assert payment is not None
        return payment

    def operation(self, kind: OperationKind, operation_id: str) -> Operation:
        """Return an operation as it stands."""
        operation = self.operations.get("pay_1", kind, operation_id)
        assert operation is not None
        return operation

    def follow(self, type_: str) -> list[str | None]:
        """Follow every event of a type, and change nothing at Stripe by it."""
        events = [each for each in self.stripe.double.account.events if each["type"] == type_]
        asked = len(self.stripe.transport.requests)
        followed = []
        for event in events:
            hint = hint_of({"detail": event}, environment=ENVIRONMENT)
            assert hint is not None
            followed.append(self.hints.follow(hint, WITNESS))
        assert {each.method for each in self.stripe.transport.requests[asked:]} <= {"GET"}
        return followed


@pytest.fixture
def account(
    store: PaymentStore, operation_store: OperationStore, operation_intake: OperationIntake
) -> Account:
    return Account(store, operation_store, operation_intake)


class TestRefunds:
    """What becomes of refunds at Stripe."""

    def test_one_that_fails_late_fails_here_by_new_records(self, account: Account) -> None:
        account.charge()
        done = account.performing.perform(account.refund("r1").ref, WITNESS)
        kept = account.performing.perform(account.refund("r2").ref, WITNESS)
        assert done.gateway_reference is not None
        account.stripe.double.account.fail_refund(done.gateway_reference)
        assert account.follow("refund.failed") == ["FAILED"]
        failed = account.operation(OperationKind.REFUND, "r1")
        assert failed.status is OperationStatus.FAILED
        assert failed.failure is not None
        assert failed.failure.code == "refund_returned"
        assert account.operation(OperationKind.REFUND, "r2") == kept
        amounts = account.payment().amounts
        assert (amounts.refunded, amounts.refundable) == (1000, 8999)
        # The same event once more finds nothing to record.
        assert account.follow("refund.failed") == [None]

    @pytest.mark.parametrize("told_by", ["charge.refunded", "refund.created"])
    def test_one_whose_answer_was_lost_is_found(self, account: Account, told_by: str) -> None:
        account.charge()
        refund = account.refund("r1")
        account.stripe.plan(Fault.LOSE, "refund")
        with pytest.raises(GatewayUnavailable):
            account.performing.perform(refund.ref, WITNESS, is_first=True)
        assert account.follow(told_by) == ["COMPLETED"]
        assert account.payment().amounts.refunded == 1000

    def test_one_that_waited_is_decided(self, account: Account) -> None:
        account.charge(processor_payment_method="pm_card_pendingRefund")
        refund = account.refund("r1")
        with pytest.raises(ChargePending):
            account.performing.perform(refund.ref, WITNESS, is_first=True)
        account.stripe.double.move_clock(REFUND_SECONDS)
        [at_stripe] = account.stripe.double.account.refunds
        account.stripe.double.account.refund(at_stripe)
        assert account.follow("refund.updated") == ["COMPLETED"]

    def test_one_that_stripe_does_not_know_is_not_made_by_an_event(self, account: Account) -> None:
        payment = account.charge()
        account.refund("r1")
        assert payment.gateway_reference is not None
        hint = RefundHint("pay_1", payment.gateway_reference, None)
        assert account.hints.follow(hint, WITNESS) == "PENDING"
        assert account.stripe.double.account.refunds == {}

    def test_a_refund_that_somebody_else_made_is_none_of_ours(self, account: Account) -> None:
        payment = account.charge()
        form = {"payment_intent": payment.gateway_reference, "amount": 500}
        account.stripe.double.account.create_refund(form)
        assert account.follow("charge.refunded") == [None]
        assert account.payment() == payment

    def test_a_refund_of_another_charge_is_not_looked_at(self, account: Account) -> None:
        account.charge()
        refund = account.refund("r1")
        asked = len(account.stripe.transport.requests)
        for name in (None, refund.name):
            hint = RefundHint("pay_1", "pi_another", name)
            assert account.hints.follow(hint, WITNESS) is None
        assert len(account.stripe.transport.requests) == asked


class TestAuthorisations:
    """What becomes of amounts that Stripe holds."""

    def test_one_whose_answer_was_lost_is_found(self, account: Account) -> None:
        account.stripe.plan(Fault.LOSE, "confirm")
        assert account.charge(capture="manual").status is PaymentStatus.PROCESSING
        assert account.follow("payment_intent.amount_capturable_updated") == ["AUTHORIZED"]
        assert statuses(account.store) == ["PENDING", "PROCESSING", "AUTHORIZED"]

    def test_one_that_stripe_releases_is_cancelled(self, account: Account) -> None:
        held = account.charge(capture="manual")
        assert held.gateway_reference is not None
        account.stripe.double.account.cancel(held.gateway_reference, {})
        for _ in range(2):
            account.follow("payment_intent.canceled")
        cancel = account.operation(OperationKind.CANCEL, "1")
        assert (cancel.status, cancel.reason) == (OperationStatus.PENDING, RELEASED)
        assert account.operations.of("pay_1") == [cancel]
        account.performing.perform(cancel.ref, WITNESS)
        payment = account.payment()
        assert payment.status is PaymentStatus.CANCELED
        assert payment.amounts.capturable == 0

    def test_one_that_is_still_held_stays(self, account: Account) -> None:
        """Late or forged: the event says canceled, and Stripe says held."""
        held = account.charge(capture="manual")
        assert held.gateway_reference is not None
        assert account.hints.follow(Hint("pay_1", held.gateway_reference), WITNESS) == "AUTHORIZED"
        assert account.payment() == held
        assert account.operations.of("pay_1") == []

    def test_a_capture_that_is_under_way_hears_of_it_by_itself(self, account: Account) -> None:
        held = account.charge(capture="manual")
        asked = Asked(
            kind=OperationKind.CAPTURE,
            payment_id="pay_1",
            operation_id="c1",
            source="api",
            correlation_id="request-2",
        )
        capture, _, _ = account.intake.capture(asked)
        assert held.gateway_reference is not None
        account.stripe.double.account.cancel(held.gateway_reference, {})
        account.follow("payment_intent.canceled")
        ended = account.performing.perform(capture.ref, WITNESS)
        assert ended.failure is not None
        assert ended.failure.code == "authorization_over"
        assert account.operations.of("pay_1") == [ended]

    def test_another_charge_is_not_asked_about(self, account: Account) -> None:
        held = account.charge(capture="manual")
        asked = len(account.stripe.transport.requests)
        account.hints.follow(Hint("pay_1", "pi_another"), WITNESS)
        assert account.payment() == held
        assert len(account.stripe.transport.requests) == asked
