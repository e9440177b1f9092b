"""Fifteen public reports of what went wrong between others and their processor, tried on us.

Each test is named for the report and does what would show the same fault here.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from local.stripe_double.faults import Fault
from payments.api.requests import parse_payment_json
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.batches.layout import PAYMENTS
from payments.batches.records import ValidRow, read_rows
from payments.core.asking import Asked
from payments.core.content import Content
from payments.core.faults import GatewayUnavailable, InvalidRequest
from payments.core.messages import message_of
from payments.core.operation import OperationKind, OperationStatus
from payments.core.payment import Payment, PaymentRequest, PaymentStatus, Transition
from payments.flows.charge import Charging
from payments.flows.delivery import Again, Delivery, Done
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.events import hint_of
from payments.gateways.stripe.gateway import StripeGateway
from payments.gateways.stripe.needs import STRIPE_NEEDS
from payments.gateways.stripe.operations import StripeOperations
from payments.gateways.stripe.wire import Answer, Request
from tests.unit.cloud import AT, WITNESS, Cloud, Started, statuses
from tests.unit.gateways.stripe.doubled import ENVIRONMENT, Stripe


@pytest.fixture
def stripe() -> Stripe:
    return Stripe()


@pytest.fixture
def accept(store: PaymentStore, stripe: Stripe) -> Callable[..., Payment]:
    """Accept a payment by a card that approves."""

    def accept(payment_id: str = "pay_1", **fields: Any) -> Payment:
        content = stripe.payment(payment_id, **fields).content
        payment, _ = store.create(PaymentRequest(content, "api", "request-1"), actor="api", at=AT)
        return payment

    return accept


@pytest.fixture
def charging(store: PaymentStore, stripe: Stripe) -> Charging:
    return Charging(store, stripe.gateway)


def status(store: PaymentStore, payment_id: str = "pay_1") -> PaymentStatus:
    payment = store.get(payment_id)
    assert payment is not None
    return payment.status


def posts(stripe: Stripe, path: str = "/v1/payment_intents") -> list[Request]:
    return [
        each for each in stripe.transport.requests if (each.method, each.path) == ("POST", path)
    ]


class DiesAt(PaymentStore):
    """A store whose process dies when it is to write a status."""

    dies_at: PaymentStatus | None = None

    def transition(self, payment: Payment, transition: Transition) -> Payment:
        """Die before the write."""
        if transition.to is self.dies_at:
            raise SystemExit
        return super().transition(payment, transition)


def test_01_akash_console_3449_a_slow_success_is_not_charged_again_by_twins(
    store: PaymentStore, charging: Charging, stripe: Stripe, accept: Callable[..., Payment]
) -> None:
    """The answer takes longer than anybody waits; the message and the execution come again."""
    accepted = accept()
    stripe.plan(Fault.LOSE, "confirm")
    with pytest.raises(GatewayUnavailable):
        charging.charge(accepted, WITNESS)
    charging.charge(accepted, WITNESS)
    charging.charge(accepted, WITNESS)
    charging.charge_by_id("pay_1", WITNESS)
    charging.settle("pay_1", WITNESS)
    assert status(store) is PaymentStatus.COMPLETED
    assert stripe.taken() == [9999]


def test_02_woocommerce_stripe_2339_every_request_that_creates_carries_a_key(
    store: PaymentStore, charging: Charging, stripe: Stripe, accept: Callable[..., Payment]
) -> None:
    """Three answers in a row get lost: one intent, one charge."""
    accept()
    stripe.plan(Fault.LOSE, "create", times=3)
    for _ in range(3):
        with pytest.raises(GatewayUnavailable):
            charging.charge_by_id("pay_1", WITNESS)
    charging.charge_by_id("pay_1", WITNESS)
    assert len({each.headers["Idempotency-Key"] for each in posts(stripe)}) == 1
    assert len(stripe.double.account.intents) == 1
    assert (status(store), stripe.taken()) == (PaymentStatus.COMPLETED, [9999])


def test_03_woocommerce_stripe_489_an_event_during_the_charge_only_reads(
    store: PaymentStore, charging: Charging, stripe: Stripe, accept: Callable[..., Payment]
) -> None:
    accept()
    stripe.plan(Fault.LOSE, "confirm")
    with pytest.raises(GatewayUnavailable):
        charging.charge_by_id("pay_1", WITNESS)
    before = len(stripe.transport.requests)
    for event in stripe.double.account.events:
        hint = hint_of({"detail": event}, environment=ENVIRONMENT)
        if hint is not None:
            charging.look_up(hint.payment_id, hint.reference, WITNESS)
    assert {each.method for each in stripe.transport.requests[before:]} == {"GET"}
    assert (status(store), stripe.taken()) == (PaymentStatus.COMPLETED, [9999])


def test_04_pympp_155_neither_a_rolled_secret_nor_a_release_changes_key_or_parameters(
    store: PaymentStore, stripe: Stripe, accept: Callable[..., Payment]
) -> None:
    accept()
    stripe.plan(Fault.LOSE, "create")
    with pytest.raises(GatewayUnavailable):
        Charging(store, stripe.gateway).charge_by_id("pay_1", WITNESS)
    stripe.double.key = "sk_test_rolled"
    again = replace(WITNESS, request_id="another invocation", attempt=7)
    Charging(store, stripe.another()).charge_by_id("pay_1", again)
    first, *others = posts(stripe)
    assert others
    for other in others:
        assert other.fields == first.fields
        assert other.headers["Idempotency-Key"] == first.headers["Idempotency-Key"]
    assert stripe.taken() == [9999]


def test_05_stripe_java_389_a_release_that_asks_otherwise_fails_nobody(
    store: PaymentStore, charging: Charging, stripe: Stripe, accept: Callable[..., Payment]
) -> None:
    """The release before sent one field less under the same key, and its answer got lost."""
    accepted = accept()
    carry = stripe.transport

    def older(request: Request) -> Answer:
        fields = dict(request.fields)
        fields.pop("metadata[environment]", None)
        return carry(replace(request, fields=fields))

    old = StripeGateway(StripeClient(older, stripe.read_key, live=False), environment=ENVIRONMENT)
    stripe.plan(Fault.LOSE, "create")
    with pytest.raises(GatewayUnavailable):
        old.prepare(accepted)
    charging.charge_by_id("pay_1", WITNESS)
    assert (status(store), stripe.taken()) == (PaymentStatus.COMPLETED, [9999])


def test_06_stripe_terminal_android_470_what_was_confirmed_is_not_declined_for_a_409(
    store: PaymentStore, charging: Charging, stripe: Stripe, accept: Callable[..., Payment]
) -> None:
    """The answer is lost, then 409 twice, then the intent is in no state to be confirmed."""
    accept()
    stripe.plan(Fault.LOSE, "confirm")
    stripe.plan(Fault.KEY_IN_USE, "confirm", times=2)
    for _ in range(3):
        with pytest.raises(GatewayUnavailable):
            charging.charge_by_id("pay_1", WITNESS)
    charging.charge_by_id("pay_1", WITNESS)
    assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]
    assert stripe.taken() == [9999]


def test_07_stripe_ruby_598_odoo_101243_no_key_is_used_at_two_endpoints(
    store: PaymentStore,
    operation_store: OperationStore,
    operation_intake: OperationIntake,
    charging: Charging,
    stripe: Stripe,
    accept: Callable[..., Payment],
) -> None:
    accept()
    charging.charge_by_id("pay_1", WITNESS)
    refunded(store, operation_store, operation_intake, stripe, "r1", "10.00")
    accept("pay_2", processor_payment_method="pm_card_visa_chargeDeclinedLostCard")
    charging.charge_by_id("pay_2", WITNESS)
    paths: dict[str, set[str]] = {}
    for request in stripe.transport.requests:
        if "Idempotency-Key" in request.headers:
            paths.setdefault(request.headers["Idempotency-Key"], set()).add(request.path)
    assert sorted(path for used in paths.values() for path in used) == [
        "/v1/payment_intents",
        "/v1/payment_intents",
        "/v1/refunds",
    ]
    assert all(len(used) == 1 for used in paths.values())


@pytest.mark.parametrize(
    ("amount", "currency", "charged"),
    [
        ("5", "UGX", 500),
        ("5", "ISK", 500),
        ("18.60", "KWD", 18600),
        ("5.124", "KWD", None),
        ("500", "JPY", 500),
        ("500.00", "MGA", 500),
        ("0.20", "MGA", None),
    ],
)
@pytest.mark.parametrize("by", ["API", "CSV"])
def test_08_woocommerce_stripe_2674_rubymoney_1127_amounts_are_charged_as_written_or_refused(
    store: PaymentStore,
    charging: Charging,
    stripe: Stripe,
    by: str,
    amount: str,
    currency: str,
    charged: int | None,
) -> None:
    asked = {
        "payment_id": "pay_1",
        "amount": amount,
        "currency": currency,
        "processor_customer": stripe.customer,
        "processor_payment_method": "pm_card_visa",
    }
    content = by_api(asked) if by == "API" else by_csv(asked)
    assert (content is None) is (charged is None)
    if content is None:
        return
    store.create(PaymentRequest(content, "api", "request-1"), actor="api", at=AT)
    charging.charge_by_id("pay_1", WITNESS)
    assert (status(store), stripe.taken()) == (PaymentStatus.COMPLETED, [charged])


def by_api(asked: dict[str, str]) -> Content | None:
    try:
        return parse_payment_json(json.dumps(asked), STRIPE_NEEDS)
    except InvalidRequest as refused:
        errors = refused.errors
    assert [error.code for error in errors] == ["amount_not_supported"]
    return None


def by_csv(asked: dict[str, str]) -> Content | None:
    [row] = read_rows([",".join(asked.values()).encode()], tuple(asked), 2, PAYMENTS, STRIPE_NEEDS)
    if isinstance(row, ValidRow):
        content: Content = row.content
        return content
    assert [error.code for error in row.errors] == ["amount_not_supported"]
    return None


def test_09_gumroad_6566_nobody_fails_because_stripe_is_busy(
    store: PaymentStore, accept: Callable[..., Payment], stripe: Stripe
) -> None:
    """Eighty payments at a time, where Stripe takes twenty-five a second."""
    accepted = [accept(f"pay_{number}") for number in range(80)]
    stripe.double.rate = 25
    workflow = Started()
    delivery = Delivery(store, Charging(store, stripe.gateway), workflow)
    waiting = [message_of(payment) for payment in accepted]
    busy = 0
    for _ in range(20):
        verdicts = [
            (message, delivery.deliver(message, WITNESS, is_first=message.tries == 0))
            for message in waiting
        ]
        assert all(isinstance(verdict, Again | Done) for _, verdict in verdicts)
        waiting = [message.again() for message, verdict in verdicts if isinstance(verdict, Again)]
        busy += len(waiting)
        stripe.double.move_clock(1)
        if not waiting:
            break
    assert busy > 80
    assert Counter(status(store, f"pay_{number}") for number in range(80)) == {
        PaymentStatus.COMPLETED: 80
    }
    assert workflow.started == []


def test_10_medusa_12674_settling_what_is_charged_completes_it_and_gives_nothing_back(
    store: PaymentStore, charging: Charging, stripe: Stripe, accept: Callable[..., Payment]
) -> None:
    accept()
    stripe.plan(Fault.LOSE, "confirm")
    with pytest.raises(GatewayUnavailable):
        charging.charge_by_id("pay_1", WITNESS)
    charging.settle("pay_1", WITNESS)
    charging.settle("pay_1", WITNESS)
    assert (status(store), stripe.taken()) == (PaymentStatus.COMPLETED, [9999])
    assert stripe.double.account.refunds == {}


def test_11_stripe_official_79_a_late_failure_turns_no_paid_payment(
    store: PaymentStore, charging: Charging, accept: Callable[..., Payment]
) -> None:
    """After ``COMPLETED`` comes the failure of another try, and one of a foreign intent."""
    accept()
    charging.charge_by_id("pay_1", WITNESS)
    payment = store.get("pay_1")
    assert payment is not None
    metadata = {"payment_id": "pay_1", "environment": ENVIRONMENT}
    for intent in (payment.gateway_reference, "pi_foreign"):
        failed = {"object": "payment_intent", "id": intent, "metadata": metadata}
        event = {"detail": {"type": "payment_intent.payment_failed", "data": {"object": failed}}}
        hint = hint_of(event, environment=ENVIRONMENT)
        assert hint is not None
        charging.look_up(hint.payment_id, hint.reference, WITNESS)
    assert store.get("pay_1") == payment


@pytest.mark.parametrize("by", ["event", "retry"])
def test_12_medusa_16398_what_is_canceled_in_the_dashboard_does_not_wait_for_ever(
    store: PaymentStore,
    charging: Charging,
    stripe: Stripe,
    accept: Callable[..., Payment],
    by: str,
) -> None:
    accept()
    stripe.plan(Fault.REFUSE, "confirm")
    with pytest.raises(GatewayUnavailable):
        charging.charge_by_id("pay_1", WITNESS)
    payment = store.get("pay_1")
    assert payment is not None
    assert payment.gateway_reference is not None
    stripe.double.account.cancel(payment.gateway_reference, {})
    if by == "event":
        hint = hint_of({"detail": stripe.double.account.events[-1]}, environment=ENVIRONMENT)
        assert hint is not None
        charging.look_up(hint.payment_id, hint.reference, WITNESS)
    else:
        charging.charge_by_id("pay_1", WITNESS)
    ended = store.get("pay_1")
    assert ended is not None
    assert (ended.status, ended.failure and ended.failure.code) == (
        PaymentStatus.FAILED,
        "canceled_at_processor",
    )
    assert stripe.taken() == []


def refunded(
    store: PaymentStore,
    operations: OperationStore,
    intake: OperationIntake,
    stripe: Stripe,
    refund_id: str,
    amount: str,
) -> OperationStatus:
    """Ask for a refund and have it carried out."""
    asked = Asked(
        kind=OperationKind.REFUND,
        payment_id="pay_1",
        operation_id=refund_id,
        amount=amount,
        source="api",
        correlation_id="request-2",
    )
    accepted, _, _ = intake.refund(asked)
    client = StripeClient(stripe.transport, stripe.read_key, live=False)
    gateway = StripeOperations(client, environment=ENVIRONMENT)
    performing = Performing(store, operations, gateway)
    return performing.perform(accepted.ref, WITNESS).status


def test_13_saleor_apps_2446_equal_refunds_are_two_and_the_same_one_twice_is_one(
    store: PaymentStore,
    operation_store: OperationStore,
    operation_intake: OperationIntake,
    charging: Charging,
    stripe: Stripe,
    accept: Callable[..., Payment],
) -> None:
    accept()
    charging.charge_by_id("pay_1", WITNESS)
    for refund_id in ("r1", "r2", "r1", "r2"):
        done = refunded(store, operation_store, operation_intake, stripe, refund_id, "10.00")
        assert done is OperationStatus.COMPLETED
    [charge] = stripe.double.account.money()["pay_1"]
    assert charge["refunded"] == 2000
    payment = store.get("pay_1")
    assert payment is not None
    assert payment.amounts.refunded == 2000


@pytest.mark.parametrize("fault", [Fault.HTML, Fault.HTML_DONE])
@pytest.mark.parametrize("at", ["create", "confirm"])
def test_14_stripe_go_642_html_is_unknown_no_crash_and_no_decline(
    store: PaymentStore,
    charging: Charging,
    stripe: Stripe,
    accept: Callable[..., Payment],
    at: str,
    fault: Fault,
) -> None:
    accept()
    stripe.plan(fault, at)
    with pytest.raises(GatewayUnavailable):
        charging.charge_by_id("pay_1", WITNESS)
    charging.charge_by_id("pay_1", WITNESS)
    assert (status(store), stripe.taken()) == (PaymentStatus.COMPLETED, [9999])


@pytest.mark.parametrize("dies_at", [PaymentStatus.PROCESSING, PaymentStatus.COMPLETED])
def test_15_worldcubeassociation_4305_a_process_that_dies_in_between_charges_once(
    store: PaymentStore,
    cloud: Cloud,
    stripe: Stripe,
    accept: Callable[..., Payment],
    dies_at: PaymentStatus,
) -> None:
    """Between creating the intent and binding to it, and between confirming and recording it."""
    accept()
    dying = DiesAt(cloud.dynamodb, store._tables)
    dying.dies_at = dies_at
    with pytest.raises(SystemExit):
        Charging(dying, stripe.gateway).charge_by_id("pay_1", WITNESS)
    Charging(store, stripe.gateway).charge_by_id("pay_1", WITNESS)
    assert (status(store), stripe.taken()) == (PaymentStatus.COMPLETED, [9999])
    assert len(stripe.double.account.intents) == 1
