"""The verbs over Stripe: what is asked, and what each answer means for a payment."""

from collections.abc import Mapping
from typing import Any

import pytest

from payments.core.content import Content
from payments.core.faults import GatewayRefused, GatewayUnavailable
from payments.core.payment import Failure, Payment, PaymentStatus, ProcessorAnswer
from payments.gateways import failures
from payments.gateways.port import CANCELLED, Approved, Declined, Pending, Prepared
from payments.gateways.stripe.gateway import StripeGateway
from payments.gateways.stripe.intents import OUR_CANCELLATION
from payments.gateways.stripe.wire import Answer
from tests.unit.gateways.stripe.test_client import Scripted, answer, client, error

CREATED_AT = "2026-01-01T00:00:00.000000Z"


def payment(*, reference: str | None, **fields: Any) -> Payment:
    """Return a payment that Stripe can charge; name only what the test is about."""
    content = Content("pay_1", 9999, "USD", 2, "cus_1", "pm_1")._replace(**fields)
    return Payment(
        content=content,
        status=PaymentStatus.PENDING,
        version=1,
        content_hash=content.hash,
        source="api",
        correlation_id="request-1",
        created_at=CREATED_AT,
        updated_at=CREATED_AT,
        audit_hash="0" * 64,
        gateway_reference=reference,
    )


def intent(status: str, **fields: Any) -> dict[str, Any]:
    """Return an intent as Stripe would answer for the payment above."""
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "amount": 9999,
        "amount_received": 9999 if status == "succeeded" else 0,
        "currency": "usd",
        "livemode": False,
        "last_payment_error": None,
        "cancellation_reason": None,
        "metadata": {"payment_id": "pay_1", "environment": "dev"},
        **fields,
    }


def in_state(status: str, **fields: Any) -> Answer:
    """Return the refusal to confirm or cancel an intent that is in a state for neither."""
    code = "payment_intent_unexpected_state"
    return answer(
        400, error("invalid_request_error", code=code, payment_intent=intent(status, **fields))
    )


def declined(code: str, decline_code: str | None = None) -> Answer:
    """Return a confirmation's decline."""
    told = {"type": "card_error", "code": code, "decline_code": decline_code}
    left = intent("requires_payment_method", last_payment_error=told)
    return answer(
        402, error("card_error", code=code, decline_code=decline_code, payment_intent=left)
    )


def gateway(*answers: Answer | Exception) -> tuple[StripeGateway, Scripted]:
    transport = Scripted(*answers)
    return StripeGateway(client(transport), environment="dev"), transport


def bound(**fields: Any) -> Payment:
    return payment(reference="pi_1", **fields)


def asked(transport: Scripted) -> list[str]:
    return [f"{each.method} {each.path.rpartition('/')[2]}" for each in transport.requests]


LAST_ERROR = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
CANCELED = answer(200, intent("canceled", cancellation_reason=OUR_CANCELLATION))


class TestPrepare:
    """An intent that is not confirmed, named by the payment and nothing that changes."""

    def test_it_is_created_with_all_that_the_charge_will_need(self) -> None:
        stripe, transport = gateway(answer(200, intent("requires_confirmation")))
        assert stripe.prepare(payment(reference=None)) == Prepared("pi_1")
        [request] = transport.requests
        assert (request.method, request.path) == ("POST", "/v1/payment_intents")
        assert request.fields == {
            "amount": "9999",
            "currency": "usd",
            "customer": "cus_1",
            "payment_method": "pm_1",
            "payment_method_types[]": "card",
            "capture_method": "automatic",
            "metadata[payment_id]": "pay_1",
            "metadata[environment]": "dev",
        }
        assert request.headers["Idempotency-Key"] == f"dev:pay_1:{CREATED_AT}:create"
        assert request.read_seconds == 8

    def test_an_intent_for_a_later_capture_says_so(self) -> None:
        stripe, transport = gateway(answer(200, intent("requires_confirmation")))
        stripe.prepare(payment(reference=None, capture="manual"))
        assert transport.requests[0].fields["capture_method"] == "manual"

    @pytest.mark.parametrize("kind", ["idempotency error", "kept failure"])
    def test_a_key_that_is_spoilt_is_followed_by_the_next(self, kind: str) -> None:
        spoilt = {
            "idempotency error": answer(400, error("idempotency_error")),
            "kept failure": answer(500, error("api_error"), {"idempotent-replayed": "true"}),
        }[kind]
        stripe, transport = gateway(spoilt, spoilt, answer(200, intent("requires_confirmation")))
        assert stripe.prepare(payment(reference=None)) == Prepared("pi_1")
        keys = [request.headers["Idempotency-Key"] for request in transport.requests]
        first = f"dev:pay_1:{CREATED_AT}:create"
        assert keys == [first, f"{first}-2", f"{first}-3"]

    def test_where_every_key_is_spoilt_the_outcome_is_unknown_and_never_a_decline(self) -> None:
        stripe, _ = gateway(*[answer(400, error("idempotency_error"))] * 3)
        with pytest.raises(GatewayUnavailable):
            stripe.prepare(payment(reference=None))

    @pytest.mark.parametrize(
        ("error_fields", "failure"),
        [
            (
                {"code": "resource_missing", "param": "payment_method"},
                failures.PAYMENT_METHOD_UNUSABLE,
            ),
            ({"code": "resource_missing", "param": "customer"}, failures.PAYMENT_METHOD_UNUSABLE),
            ({"param": "payment_method"}, failures.PAYMENT_METHOD_UNUSABLE),
            ({"code": "amount_too_small"}, failures.AMOUNT_NOT_SUPPORTED),
            ({"code": "amount_too_large", "param": "amount"}, failures.AMOUNT_NOT_SUPPORTED),
            ({"param": "currency"}, failures.CURRENCY_NOT_SUPPORTED),
        ],
    )
    def test_what_stripe_cannot_take_is_declined_with_a_code_of_ours(
        self, error_fields: Mapping[str, str], failure: Failure
    ) -> None:
        stripe, _ = gateway(answer(400, error("invalid_request_error", **error_fields)))
        outcome = stripe.prepare(payment(reference=None))
        assert outcome == Declined(failure)
        assert isinstance(outcome, Declined)
        assert outcome.answer == ProcessorAnswer(error_fields.get("code"), "req_1")

    @pytest.mark.parametrize(
        "error_fields",
        [
            {"code": "parameter_unknown", "param": "payment_method"},
            {"code": "parameter_invalid_empty", "param": "capture_method"},
            {"code": "testmode_charges_only"},
            {},
        ],
    )
    def test_a_request_that_is_our_fault_declines_nobody(
        self, error_fields: Mapping[str, str]
    ) -> None:
        stripe, _ = gateway(answer(400, error("invalid_request_error", **error_fields)))
        with pytest.raises(GatewayRefused):
            stripe.prepare(payment(reference=None))

    def test_an_amount_that_it_certainly_cannot_take_is_declined_unasked(self) -> None:
        stripe, transport = gateway()
        outcome = stripe.prepare(
            payment(amount_minor=5124, currency="KWD", exponent=3, reference=None)
        )
        assert isinstance(outcome, Declined)
        assert outcome.failure.code == "amount_not_supported"
        assert transport.requests == []

    @pytest.mark.parametrize("missing", ["processor_customer", "processor_payment_method"])
    def test_a_payment_without_a_payment_method_is_declined_unasked(self, missing: str) -> None:
        stripe, transport = gateway()
        outcome = stripe.prepare(payment(reference=None, **{missing: None}))
        assert outcome == Declined(failures.PAYMENT_METHOD_UNUSABLE)
        assert transport.requests == []


class TestCharge:
    """A confirmation, once or many times: the intent's state is the outcome."""

    def test_it_confirms_off_session_without_a_key_and_without_a_payment_method(self) -> None:
        stripe, transport = gateway(answer(200, intent("succeeded")))
        assert stripe.charge(bound()) == Approved("pi_1")
        [request] = transport.requests
        assert (request.method, request.path) == ("POST", "/v1/payment_intents/pi_1/confirm")
        assert request.fields == {"off_session": "true", "error_on_requires_action": "true"}
        assert "Idempotency-Key" not in request.headers
        assert request.read_seconds == 20

    @pytest.mark.parametrize(
        ("code", "decline_code", "failure"),
        [
            ("card_declined", "insufficient_funds", failures.INSUFFICIENT_FUNDS),
            ("card_declined", "generic_decline", failures.CARD_DECLINED),
            ("card_declined", "fraudulent", failures.CARD_DECLINED),
            ("card_declined", "lost_card", failures.CARD_DECLINED),
            ("card_declined", "stolen_card", failures.CARD_DECLINED),
            ("card_declined", "merchant_blacklist", failures.CARD_DECLINED),
            ("card_declined", "currency_not_supported", failures.CURRENCY_NOT_SUPPORTED),
            ("card_declined", "invalid_amount", failures.AMOUNT_NOT_SUPPORTED),
            ("card_declined", "card_not_supported", failures.PAYMENT_METHOD_UNUSABLE),
            ("expired_card", None, failures.EXPIRED_CARD),
            ("incorrect_cvc", None, failures.CARD_DECLINED),
            ("processing_error", None, failures.CARD_DECLINED),
            (
                "authentication_required",
                "authentication_required",
                failures.AUTHENTICATION_REQUIRED,
            ),
        ],
    )
    def test_a_decline_is_closed_and_told_in_our_words_with_stripes_code(
        self, code: str, decline_code: str | None, failure: Failure
    ) -> None:
        stripe, transport = gateway(declined(code, decline_code), CANCELED)
        outcome = stripe.charge(bound())
        assert outcome == Declined(failure)
        assert isinstance(outcome, Declined)
        assert outcome.answer == ProcessorAnswer(decline_code or code, "req_1")
        assert asked(transport) == ["POST confirm", "POST cancel"]

    @pytest.mark.parametrize(
        ("charge", "until"),
        [
            (
                {"payment_method_details": {"card": {"capture_before": 1_767_830_400}}},
                "2026-01-08T00:00:00.000000Z",
            ),
            ({"payment_method_details": {"card": {}}}, None),
            ({"payment_method_details": None}, None),
        ],
    )
    def test_what_is_captured_later_is_approved_once_it_is_authorised_and_says_until_when(
        self, charge: Mapping[str, Any], until: str | None
    ) -> None:
        later = bound(capture="manual")
        stripe, transport = gateway(
            answer(200, intent("requires_capture", latest_charge="ch_1")),
            answer(200, {"id": "ch_1", **charge}),
        )
        assert stripe.charge(later) == Approved("pi_1", capture_before=until)
        assert asked(transport) == ["POST confirm", "GET ch_1"]

    def test_what_was_captured_in_part_is_approved_still(self) -> None:
        stripe, _ = gateway(answer(200, intent("succeeded", amount_received=500)))
        assert stripe.look_up(bound(capture="manual")) == Approved("pi_1")

    def test_a_decline_whose_cancellation_finds_money_taken_is_approved(self) -> None:
        stripe, _ = gateway(declined("card_declined"), in_state("succeeded"))
        assert stripe.charge(bound()) == Approved("pi_1")

    def test_a_decline_that_could_not_be_closed_is_unknown_still(self) -> None:
        stripe, _ = gateway(declined("card_declined"), GatewayUnavailable("reset"))
        with pytest.raises(GatewayUnavailable):
            stripe.charge(bound())

    @pytest.mark.parametrize(
        ("told", "outcome"),
        [
            (in_state("succeeded"), Approved("pi_1")),
            (in_state("processing"), Pending()),
            (answer(200, intent("processing")), Pending()),
            (in_state("canceled"), Declined(failures.CANCELED_AT_PROCESSOR)),
            (in_state("canceled", cancellation_reason=OUR_CANCELLATION), Declined(CANCELLED)),
            (
                in_state("canceled", last_payment_error=LAST_ERROR),
                Declined(failures.INSUFFICIENT_FUNDS),
            ),
        ],
    )
    def test_a_repeated_charge_is_what_the_intents_state_says(
        self, told: Answer, outcome: object
    ) -> None:
        stripe, transport = gateway(told)
        assert stripe.charge(bound()) == outcome
        assert asked(transport) == ["POST confirm"]

    @pytest.mark.parametrize(
        ("told", "failure"),
        [
            (
                in_state("requires_payment_method", last_payment_error=LAST_ERROR),
                failures.INSUFFICIENT_FUNDS,
            ),
            (in_state("requires_payment_method"), failures.PAYMENT_METHOD_UNUSABLE),
            (answer(200, intent("requires_action")), failures.AUTHENTICATION_REQUIRED),
            (
                answer(
                    400,
                    error(
                        "invalid_request_error",
                        param="payment_method",
                        payment_intent=intent("requires_confirmation"),
                    ),
                ),
                failures.PAYMENT_METHOD_UNUSABLE,
            ),
        ],
    )
    def test_what_nobody_can_confirm_any_more_is_closed_and_declined(
        self, told: Answer, failure: Failure
    ) -> None:
        stripe, transport = gateway(told, CANCELED)
        assert stripe.charge(bound()) == Declined(failure)
        assert asked(transport) == ["POST confirm", "POST cancel"]

    @pytest.mark.parametrize(
        ("told", "raised"),
        [
            (answer(200, intent("requires_confirmation")), GatewayUnavailable),
            (answer(200, intent("requires_capture")), GatewayRefused),
            (answer(200, intent("a status of a later version")), GatewayRefused),
            (
                answer(
                    404, error("invalid_request_error", code="resource_missing", param="intent")
                ),
                GatewayRefused,
            ),
            (
                answer(400, error("invalid_request_error", code="parameter_unknown", param="x")),
                GatewayRefused,
            ),
            (answer(400, error("idempotency_error")), GatewayRefused),
        ],
    )
    def test_what_is_no_outcome_is_never_taken_for_one(
        self, told: Answer, raised: type[Exception]
    ) -> None:
        stripe, _ = gateway(told)
        with pytest.raises(raised):
            stripe.charge(bound())


class TestComparison:
    """Every answer must be about what was asked."""

    OTHERS: tuple[Mapping[str, Any], ...] = (
        {"amount": 99},
        {"currency": "eur"},
        {"livemode": True},
        {"id": "pi_2"},
        {"metadata": {"payment_id": "pay_2", "environment": "dev"}},
        {"metadata": {"payment_id": "pay_1", "environment": "prod"}},
        {"metadata": {}},
        {"metadata": None},
    )

    @pytest.mark.parametrize("other", OTHERS)
    @pytest.mark.parametrize("verb", ["charge", "cancel", "look_up"])
    def test_an_answer_about_something_else_ends_no_payment(
        self, verb: str, other: Mapping[str, Any]
    ) -> None:
        stripe, _ = gateway(answer(200, intent("succeeded", **other)))
        with pytest.raises(GatewayRefused):
            getattr(stripe, verb)(bound())

    @pytest.mark.parametrize("other", OTHERS)
    def test_nor_does_the_state_told_by_a_refusal(self, other: Mapping[str, Any]) -> None:
        stripe, _ = gateway(in_state("succeeded", **other))
        with pytest.raises(GatewayRefused):
            stripe.charge(bound())

    @pytest.mark.parametrize("other", [other for other in OTHERS if "id" not in other])
    def test_a_payment_is_not_bound_to_an_intent_for_something_else(
        self, other: Mapping[str, Any]
    ) -> None:
        stripe, _ = gateway(answer(200, intent("requires_confirmation", **other)))
        with pytest.raises(GatewayRefused):
            stripe.prepare(payment(reference=None))

    def test_an_amount_that_was_received_in_part_is_no_approval(self) -> None:
        stripe, _ = gateway(answer(200, intent("succeeded", amount_received=9998)))
        with pytest.raises(GatewayRefused):
            stripe.charge(bound())


class TestCancel:
    """After a cancellation nobody can charge; what is charged already stays."""

    def test_it_cancels_with_our_reason_and_no_key(self) -> None:
        stripe, transport = gateway(CANCELED)
        assert stripe.cancel(bound()) == Declined(CANCELLED)
        [request] = transport.requests
        assert (request.method, request.path) == ("POST", "/v1/payment_intents/pi_1/cancel")
        assert request.fields == {"cancellation_reason": OUR_CANCELLATION}
        assert "Idempotency-Key" not in request.headers

    @pytest.mark.parametrize(
        ("told", "outcome"),
        [
            (in_state("succeeded"), Approved("pi_1")),
            (in_state("processing"), Pending()),
            (in_state("canceled", cancellation_reason=OUR_CANCELLATION), Declined(CANCELLED)),
            (
                answer(200, intent("canceled", last_payment_error=LAST_ERROR)),
                Declined(failures.INSUFFICIENT_FUNDS),
            ),
        ],
    )
    def test_it_ends_as_the_intent_says(self, told: Answer, outcome: object) -> None:
        stripe, _ = gateway(told)
        assert stripe.cancel(bound()) == outcome

    @pytest.mark.parametrize("status", ["requires_payment_method", "requires_confirmation"])
    def test_an_intent_that_is_still_open_is_no_outcome(self, status: str) -> None:
        stripe, _ = gateway(answer(200, intent(status)))
        with pytest.raises(GatewayUnavailable):
            stripe.cancel(bound())


class TestLookUp:
    """Looking changes nothing."""

    @pytest.mark.parametrize(
        ("state", "outcome"),
        [
            (intent("succeeded"), Approved("pi_1")),
            (intent("processing"), Pending()),
            (intent("canceled"), Declined(failures.CANCELED_AT_PROCESSOR)),
            (intent("requires_confirmation"), Prepared("pi_1")),
            (intent("requires_action"), Prepared("pi_1")),
            (
                intent("requires_payment_method", last_payment_error=LAST_ERROR),
                Prepared("pi_1"),
            ),
        ],
    )
    def test_it_reads_the_intent_and_nothing_else(
        self, state: Mapping[str, Any], outcome: object
    ) -> None:
        stripe, transport = gateway(answer(200, state))
        assert stripe.look_up(bound()) == outcome
        assert asked(transport) == ["GET pi_1"]
