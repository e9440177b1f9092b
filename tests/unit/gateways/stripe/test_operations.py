"""Refunds, captures and releases at Stripe, beyond what every processor must do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from local.stripe_double.faults import Fault
from payments.core.amounts import Amounts
from payments.core.content import Content
from payments.core.faults import GatewayRefused, GatewayUnavailable
from payments.core.operation import Operation, OperationKind
from payments.core.payment import Payment
from payments.gateways import failures
from payments.gateways.port import Approved, Captured, Done, Pending, Prepared, Refused
from payments.gateways.stripe.amounts import our_amount, stripe_amount
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.operations import StripeOperations
from tests.unit.gateways.processors import operation_of
from tests.unit.gateways.stripe.doubled import ENVIRONMENT, Stripe

REFUND, CAPTURE, CANCEL = OperationKind.REFUND, OperationKind.CAPTURE, OperationKind.CANCEL


@pytest.fixture
def stripe() -> Stripe:
    return Stripe()


def operations(stripe: Stripe, *, environment: str = ENVIRONMENT) -> StripeOperations:
    client = StripeClient(stripe.transport, stripe.read_key, live=False)
    return StripeOperations(client, environment=environment)


def charged(stripe: Stripe, payment_id: str = "pay_1", **fields: Any) -> Payment:
    payment = stripe.payment(payment_id, **fields)
    prepared = stripe.gateway.prepare(payment)
    assert isinstance(prepared, Prepared)
    payment = replace(payment, gateway_reference=prepared.reference)
    assert isinstance(stripe.gateway.charge(payment), Approved)
    return replace(payment, amounts=Amounts.charged(payment.amount_minor))


def refund(payment: Payment, amount: int = 500, name: str = "r1") -> Operation:
    return operation_of(payment, REFUND, name, amount)


class TestRefunds:
    """Known by our name for them, in their metadata."""

    def test_it_names_intent_amount_and_operation_under_a_key_of_its_own(
        self, stripe: Stripe
    ) -> None:
        payment = charged(stripe)
        asked = refund(payment)
        operations(stripe).refund(payment, asked)
        request = stripe.transport.requests[-1]
        assert (request.method, request.path) == ("POST", "/v1/refunds")
        assert request.fields == {
            "payment_intent": payment.gateway_reference,
            "amount": "500",
            "metadata[payment_id]": "pay_1",
            "metadata[environment]": "test",
            "metadata[operation]": asked.name,
        }
        assert request.headers["Idempotency-Key"] == f"test:{asked.name}:{asked.requested_at}"

    def test_it_is_found_behind_a_hundred_others(self, stripe: Stripe) -> None:
        payment = charged(stripe, amount_minor=1_000_000)
        first = refund(payment, 10, "first")
        done = operations(stripe).refund(payment, first)
        for number in range(120):
            operations(stripe).refund(payment, refund(payment, 10, f"r{number}"))
        assert operations(stripe).look_up_operation(payment, first) == done

    def test_a_lost_answer_is_found_when_the_rest_is_refunded_already(self, stripe: Stripe) -> None:
        """Asked again after a day, without a look before: the key is forgotten, the money is not."""
        payment = charged(stripe)
        whole = refund(payment, payment.amount_minor)
        stripe.plan(Fault.LOSE, "refund")
        with pytest.raises(GatewayUnavailable):
            operations(stripe).refund(payment, whole)
        stripe.double.move_clock(25 * 3600)
        assert isinstance(operations(stripe).refund(payment, whole), Done)
        assert len(stripe.double.account.refunds) == 1

    def test_a_kept_failure_is_unknown_until_a_look_finds_what_it_did(self, stripe: Stripe) -> None:
        payment = charged(stripe)
        stripe.plan(Fault.FAILURE_DONE, "refund")
        for _ in range(2):
            with pytest.raises(GatewayUnavailable):
                operations(stripe).refund(payment, refund(payment))
        assert isinstance(operations(stripe).look_up_operation(payment, refund(payment)), Done)

    def test_a_release_that_asks_otherwise_under_the_same_key_is_no_refusal(
        self, stripe: Stripe
    ) -> None:
        payment = charged(stripe)
        key = f"test:{refund(payment).name}:{refund(payment).requested_at}"
        client = StripeClient(stripe.transport, stripe.read_key, live=False)
        client.post("/v1/refunds", {"payment_intent": "pi_none"}, key=key)
        with pytest.raises(GatewayUnavailable):
            operations(stripe).refund(payment, refund(payment))
        assert stripe.double.account.refunds == {}

    def test_an_amount_that_stripe_cannot_write_is_refused_unasked(self, stripe: Stripe) -> None:
        payment = charged(stripe, amount_minor=18600, currency="KWD", exponent=3)
        before = len(stripe.transport.requests)
        outcome = operations(stripe).refund(payment, refund(payment, 5124))
        assert outcome == Refused(failures.AMOUNT_NOT_SUPPORTED)
        assert len(stripe.transport.requests) == before

    def test_an_amount_is_refunded_in_stripes_minor_units(self, stripe: Stripe) -> None:
        payment = charged(stripe, amount_minor=500, currency="UGX", exponent=0)
        assert isinstance(operations(stripe).refund(payment, refund(payment, 200)), Done)
        [made] = stripe.double.account.refunds.values()
        assert made["amount"] == 20000

    def test_what_charged_nothing_is_no_refusal_for_good(self, stripe: Stripe) -> None:
        """Only our own fault can ask for it, so on-call is told and nothing is recorded."""
        payment = stripe.payment()
        prepared = stripe.gateway.prepare(payment)
        assert isinstance(prepared, Prepared)
        payment = replace(payment, gateway_reference=prepared.reference)
        with pytest.raises(GatewayRefused):
            operations(stripe).refund(payment, refund(payment))

    @pytest.mark.parametrize(
        "change",
        [
            {"amount": 501},
            {"currency": "eur"},
            {"payment_intent": "pi_other"},
            {"metadata": {"environment": "other"}},
            {"metadata": None},
        ],
    )
    def test_an_answer_about_something_else_ends_no_refund(
        self, stripe: Stripe, change: Mapping[str, Any]
    ) -> None:
        payment = charged(stripe)
        stripe.plan(Fault.OTHER_ANSWER, "refund", change=change)
        with pytest.raises(GatewayRefused):
            operations(stripe).refund(payment, refund(payment))

    def test_a_status_of_a_later_version_is_no_outcome(self, stripe: Stripe) -> None:
        payment = charged(stripe)
        stripe.plan(Fault.OTHER_ANSWER, "refund", change={"status": "on_its_way"})
        with pytest.raises(GatewayUnavailable):
            operations(stripe).refund(payment, refund(payment))

    def test_another_environments_operations_are_not_taken_for_ours(self, stripe: Stripe) -> None:
        payment = charged(stripe)
        operations(stripe).refund(payment, refund(payment))
        with pytest.raises(GatewayRefused):
            operations(stripe, environment="other").look_up_operation(payment, refund(payment))


class TestCaptures:
    """An intent captures once."""

    def held(self, stripe: Stripe, **fields: Any) -> Payment:
        payment = charged(stripe, capture="manual", **fields)
        return replace(payment, amounts=Amounts())

    def test_a_part_is_captured_and_the_rest_is_released(self, stripe: Stripe) -> None:
        payment = self.held(stripe)
        assert isinstance(
            operations(stripe).capture(payment, operation_of(payment, CAPTURE, "c1", 4000)), Done
        )
        [money] = stripe.double.account.money()["pay_1"]
        assert (money["amount"], money["captured"]) == (9999, 4000)

    def test_a_capture_that_is_not_final_is_refused_while_something_is_left(
        self, stripe: Stripe
    ) -> None:
        payment = replace(self.held(stripe), amounts=Amounts.held(9999))
        capture = replace(operation_of(payment, CAPTURE, "c1", 4000), final=False)
        assert operations(stripe).capture(payment, capture) == Refused(failures.CAPTURES_ONCE)
        assert stripe.taken() == []

    def test_too_much_is_refused(self, stripe: Stripe) -> None:
        payment = self.held(stripe)
        capture = operation_of(payment, CAPTURE, "c1", 10000)
        assert operations(stripe).capture(payment, capture) == Refused(failures.CAPTURE_REFUSED)

    def test_what_somebody_else_captured_is_not_taken_for_ours(self, stripe: Stripe) -> None:
        payment = self.held(stripe)
        stripe.double.account.capture(payment.gateway_reference or "", {"amount_to_capture": 700})
        capture = operation_of(payment, CAPTURE, "c1", 4000)
        elsewhere = Refused(failures.CAPTURED_ELSEWHERE)
        assert operations(stripe).capture(payment, capture) == elsewhere
        assert operations(stripe).look_up_operation(payment, capture) == elsewhere
        cancel = operation_of(payment, CANCEL, "x1", 9999)
        assert operations(stripe).void(payment, cancel) == Captured(700)

    def test_an_authorisation_expires(self, stripe: Stripe) -> None:
        payment = self.held(stripe)
        stripe.double.move_clock(7 * 24 * 3600)
        capture = operation_of(payment, CAPTURE, "c1", 4000)
        assert operations(stripe).capture(payment, capture) == Refused(failures.AUTHORIZATION_OVER)
        cancel = operation_of(payment, CANCEL, "x1", 9999)
        assert isinstance(operations(stripe).void(payment, cancel), Done)

    def test_until_when_it_is_held_is_what_stripe_says(self, stripe: Stripe) -> None:
        payment = self.held(stripe)
        outcome = stripe.gateway.look_up(payment)
        assert isinstance(outcome, Approved)
        assert outcome.capture_before == "2026-01-08T00:00:00.000000Z"

    @pytest.mark.parametrize("verb", ["capture", "void"])
    def test_an_answer_that_tells_no_end_is_pending(self, stripe: Stripe, verb: str) -> None:
        payment = self.held(stripe)
        at = {"capture": "capture", "void": "cancel"}[verb]
        stripe.plan(Fault.OTHER_ANSWER, at, change={"status": "requires_capture"})
        operation = operation_of(payment, CAPTURE, "c1", 4000)
        assert getattr(operations(stripe), verb)(payment, operation) == Pending()

    @pytest.mark.parametrize("verb", ["capture", "void"])
    def test_a_status_of_a_later_version_is_no_outcome(self, stripe: Stripe, verb: str) -> None:
        payment = self.held(stripe)
        at = {"capture": "capture", "void": "cancel"}[verb]
        stripe.plan(Fault.OTHER_ANSWER, at, change={"status": "later"})
        operation = operation_of(payment, CAPTURE, "c1", 4000)
        with pytest.raises(GatewayUnavailable):
            getattr(operations(stripe), verb)(payment, operation)


@pytest.mark.parametrize(
    ("amount", "currency", "exponent"),
    [(9999, "USD", 2), (5, "UGX", 0), (5, "ISK", 0), (500, "MGA", 2), (18600, "KWD", 3)],
)
def test_what_stripe_tells_in_its_minor_units_is_read_in_ours(
    amount: int, currency: str, exponent: int
) -> None:
    content = Content("pay_1", amount, currency, exponent)
    theirs = stripe_amount(content)
    assert isinstance(theirs, int)
    assert our_amount(theirs, content) == amount
