"""Stripe's own SDK drives the double, and gets the classes that it makes of Stripe's answers."""

import threading
from collections.abc import Iterator

import pytest
import stripe

from local.stripe_double.account import API_VERSION
from local.stripe_double.double import TEST_KEY, StripeDouble
from local.stripe_double.faults import Fault, Plan
from local.stripe_double.server import DoubleServer


@pytest.fixture
def server() -> Iterator[DoubleServer]:
    with DoubleServer(StripeDouble()) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            served.shutdown()
            thread.join()


@pytest.fixture
def sdk(server: DoubleServer) -> stripe.StripeClient:
    return client(server)


def client(server: DoubleServer, key: str = TEST_KEY) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": server.url},
        max_network_retries=0,
    )


def created(sdk: stripe.StripeClient, card: str = "pm_card_visa") -> stripe.PaymentIntent:
    customer = sdk.v1.customers.create(params={"name": "Somebody"})
    return sdk.v1.payment_intents.create(
        params={
            "amount": 5000,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": card,
            "capture_method": "automatic",
            "metadata": {"payment_id": "pay_1"},
        }
    )


def test_it_charges_and_refunds(sdk: stripe.StripeClient) -> None:
    intent = created(sdk)
    charged = sdk.v1.payment_intents.confirm(intent.id, params={"off_session": True})
    assert (charged.status, charged.amount_received) == ("succeeded", 5000)
    assert charged.metadata is not None
    assert charged.metadata["payment_id"] == "pay_1"
    refund = sdk.v1.refunds.create(params={"payment_intent": intent.id, "amount": 2000})
    assert (refund.status, refund.amount) == ("succeeded", 2000)
    found = sdk.v1.refunds.list(params={"payment_intent": intent.id})
    assert [each.id for each in found.data] == [refund.id]


def test_it_pages_through_lists(sdk: stripe.StripeClient) -> None:
    made = [created(sdk).id for _ in range(5)]
    listed = sdk.v1.payment_intents.list(params={"limit": 2})
    assert [intent.id for intent in listed.auto_paging_iter()] == made[::-1]


def test_it_attaches_a_card(sdk: stripe.StripeClient) -> None:
    customer = sdk.v1.customers.create()
    card = sdk.v1.payment_methods.attach("pm_card_visa", params={"customer": customer.id})
    assert (card.customer, card.card and card.card.last4) == (customer.id, "4242")


def test_a_decline_is_a_card_error(sdk: stripe.StripeClient) -> None:
    intent = created(sdk, "pm_card_visa_chargeDeclinedInsufficientFunds")
    with pytest.raises(stripe.CardError) as raised:
        sdk.v1.payment_intents.confirm(intent.id, params={"off_session": True})
    assert raised.value.code == "card_declined"
    assert raised.value.error is not None
    assert raised.value.error.decline_code == "insufficient_funds"
    assert raised.value.request_id is not None


def test_a_state_is_an_invalid_request_that_holds_the_intent(sdk: stripe.StripeClient) -> None:
    intent = created(sdk)
    sdk.v1.payment_intents.confirm(intent.id, params={"off_session": True})
    with pytest.raises(stripe.InvalidRequestError) as raised:
        sdk.v1.payment_intents.cancel(intent.id)
    assert raised.value.code == "payment_intent_unexpected_state"
    assert raised.value.error is not None
    assert raised.value.error.payment_intent is not None
    assert raised.value.error.payment_intent.status == "succeeded"


def test_another_request_under_a_key_is_an_idempotency_error(sdk: stripe.StripeClient) -> None:
    for amount, failing in ((5000, False), (6000, True)):
        try:
            sdk.v1.payment_intents.create(
                params={"amount": amount, "currency": "usd"}, options={"idempotency_key": "one"}
            )
            assert not failing
        except stripe.IdempotencyError:
            assert failing


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.RATE_LIMITED, stripe.RateLimitError),
        (Fault.FORBIDDEN, stripe.PermissionError),
        (Fault.FAILURE, stripe.APIError),
        (Fault.HTML, stripe.APIError),
        (Fault.LOSE, stripe.APIConnectionError),
        (Fault.REFUSE, stripe.APIConnectionError),
        (Fault.KEY_IN_USE, stripe.APIError),
    ],
)
def test_a_fault_is_the_class_that_the_sdk_has_for_it(
    server: DoubleServer, sdk: stripe.StripeClient, fault: Fault, error: type[Exception]
) -> None:
    server.double.faults.plans.append(Plan(fault))
    with pytest.raises(error) as raised:
        sdk.v1.payment_intents.create(params={"amount": 5000, "currency": "usd"})
    assert raised.type is error


def test_a_wrong_key_is_an_authentication_error(server: DoubleServer) -> None:
    with pytest.raises(stripe.AuthenticationError):
        client(server, "sk_test_nobody").v1.payment_intents.list()


def test_an_unknown_parameter_is_an_invalid_request(sdk: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        sdk.v1.payment_intents.create(
            params={"amount": 5000, "currency": "usd", "amout": 1}  # type: ignore[typeddict-unknown-key]
        )
    assert raised.value.param == "amout"
