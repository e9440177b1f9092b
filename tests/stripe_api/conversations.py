"""Conversations that Stripe and its double must both hold: what is asked, and what is answered.

``python -m tests.stripe_api`` holds them with the double and, where ``STRIPE_TEST_KEY`` is set, with
Stripe's test mode.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from payments.gateways.stripe.client import API_VERSION
from payments.gateways.stripe.wire import Answer, Request, Transport

_SECONDS: Final = 30.0


class Unlike(AssertionError):
    """An answer is not what the conversation expects."""


@dataclass
class Caller:
    """Asks through one transport with one key, and notes what was said.

    ``run`` is part of each idempotency key, so that the conversations can be held again.
    """

    transport: Transport
    key: str
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    said: list[tuple[Request, Answer]] = field(default_factory=list)

    def ask(
        self,
        endpoint: str,
        form: Mapping[str, str] | None = None,
        *,
        key: str | None = None,
        secret: str | None = None,
    ) -> "Said":
        """Ask for something, such as ``POST /v1/refunds``, under a key of this run."""
        method, _, path = endpoint.partition(" ")
        headers = {
            "Authorization": f"Bearer {self.key if secret is None else secret}",
            "Stripe-Version": API_VERSION,
        }
        if key is not None:
            headers["Idempotency-Key"] = f"{self.run}:{key}"
        request = Request(
            method="POST" if method == "POST" else "GET",
            path=path,
            fields=form or {},
            headers=headers,
            read_seconds=_SECONDS,
        )
        answer = self.transport(request)
        self.said.append((request, answer))
        return Said(endpoint, answer.status, answer.headers, json.loads(answer.body))

    def customer(self) -> str:
        """Make a customer."""
        return str(self.ask("POST /v1/customers").expect(200)["id"])

    def card(self, customer: str, name: str = "pm_card_visa") -> str:
        """Attach a test card to a customer."""
        path = f"POST /v1/payment_methods/{name}/attach"
        return str(self.ask(path, {"customer": customer}).expect(200)["id"])

    def intent(
        self, card: str = "pm_card_visa", *, key: str | None = None, **form: str
    ) -> dict[str, Any]:
        """Create an intent as the gateway does, for a new customer's card."""
        customer = self.customer()
        asked = {
            "amount": "5000",
            "currency": "usd",
            "customer": customer,
            "payment_method": self.card(customer, card),
            "payment_method_types[]": "card",
            "capture_method": "automatic",
            "metadata[payment_id]": "pay_1",
            "metadata[environment]": "conformance",
            **form,
        }
        made = self.ask("POST /v1/payment_intents", asked, key=key)
        made.expect(200, status="requires_confirmation", amount_received=0, livemode=False)
        return made.document

    def confirm(self, intent: Mapping[str, Any]) -> "Said":
        """Confirm an intent as the gateway does."""
        return self.ask(
            f"POST /v1/payment_intents/{intent['id']}/confirm",
            {"off_session": "true", "error_on_requires_action": "true"},
        )


@dataclass(frozen=True)
class Said:
    """One answer, as JSON."""

    endpoint: str
    http: int
    headers: Mapping[str, str]
    document: dict[str, Any]

    def expect(self, http: int, /, **fields: Any) -> dict[str, Any]:
        """Return the object that was answered, if HTTP status and these fields are as expected.

        A name may be a path: ``error__payment_intent__status``.

        Raises:
            Unlike: something is otherwise.
        """
        found: dict[str, Any] = {"HTTP": self.http}
        expected: dict[str, Any] = {"HTTP": http}
        for name, value in fields.items():
            told: Any = self.document
            for part in name.split("__"):
                told = told.get(part) if isinstance(told, dict) else None
            found[name], expected[name] = told, value
        if found != expected:
            raise Unlike(f"{self.endpoint} answered {found} where {expected} was expected")
        return self.document

    def expect_error(self, http: int, /, **fields: Any) -> dict[str, Any]:
        """Return the error that was answered, likewise."""
        self.expect(http, **{f"error__{name}": value for name, value in fields.items()})
        error: dict[str, Any] = self.document["error"]
        return error


_STATE: Final = "payment_intent_unexpected_state"


def charge_once(caller: Caller) -> None:
    """A confirmed intent has charged, and says so to whoever confirms or cancels it again."""
    intent = caller.intent()
    caller.confirm(intent).expect(200, status="succeeded", amount_received=5000)
    for verb in ("confirm", "cancel"):
        caller.ask(f"POST /v1/payment_intents/{intent['id']}/{verb}").expect_error(
            400,
            type="invalid_request_error",
            code=_STATE,
            payment_intent__id=intent["id"],
            payment_intent__status="succeeded",
            payment_intent__metadata__payment_id="pay_1",
        )
    caller.ask(f"GET /v1/payment_intents/{intent['id']}").expect(200, status="succeeded")


def keys(caller: Caller) -> None:
    """A key names one request to one endpoint, and repeats its first answer."""
    form = {"amount": "5000", "currency": "usd"}
    first = caller.ask("POST /v1/payment_intents", form, key="one")
    again = caller.ask("POST /v1/payment_intents", form, key="one")
    first.expect(200)
    again.expect(200, id=first.document["id"])
    if again.headers.get("idempotent-replayed") != "true":
        raise Unlike("a repeated answer does not say so")
    other = {**form, "amount": "6000"}
    caller.ask("POST /v1/payment_intents", other, key="one").expect_error(
        400, type="idempotency_error"
    )
    caller.ask("POST /v1/customers", key="one").expect_error(400, type="idempotency_error")
    faulty = {**form, "amount": "x"}
    caller.ask("POST /v1/payment_intents", faulty, key="two").expect_error(400)
    caller.ask("POST /v1/payment_intents", form, key="two").expect(200)


def decline(caller: Caller) -> None:
    """A decline keeps its reason, loses its payment method, and outlives the cancellation."""
    intent = caller.intent("pm_card_chargeCustomerFail")
    caller.confirm(intent).expect_error(
        402, type="card_error", code="card_declined", decline_code="generic_decline"
    )
    path = f"/v1/payment_intents/{intent['id']}"
    caller.ask(f"GET {path}").expect(
        200,
        status="requires_payment_method",
        payment_method=None,
        last_payment_error__code="card_declined",
    )
    caller.confirm(intent).expect_error(
        400, code=_STATE, payment_intent__status="requires_payment_method"
    )
    caller.ask(f"POST {path}/cancel", {"cancellation_reason": "abandoned"}).expect(
        200,
        status="canceled",
        cancellation_reason="abandoned",
        last_payment_error__code="card_declined",
    )
    for verb in ("confirm", "cancel"):
        caller.ask(f"POST {path}/{verb}").expect_error(
            400, code=_STATE, payment_intent__status="canceled"
        )


def authentication(caller: Caller) -> None:
    """A card that wants to see its holder is declined off session."""
    intent = caller.intent("pm_card_authenticationRequired")
    caller.confirm(intent).expect_error(402, type="card_error", code="authentication_required")
    caller.ask(f"GET /v1/payment_intents/{intent['id']}").expect(
        200, status="requires_payment_method"
    )


def faults_of_requests(caller: Caller) -> None:
    """What is wrong with a request is named."""
    create, form = "POST /v1/payment_intents", {"amount": "5000", "currency": "usd"}
    caller.ask(create, form, secret="sk_test_nobody").expect_error(401)
    invalid = "invalid_request_error"
    for change, told in (
        ({"amout": "1"}, {"code": "parameter_unknown", "param": "amout"}),
        ({"amount": "1"}, {"code": "amount_too_small"}),
        ({"currency": "xau"}, {"param": "currency"}),
        ({"customer": "cus_nobody"}, {"code": "resource_missing", "param": "customer"}),
        ({"payment_method": "pm_nobody"}, {"code": "resource_missing", "param": "payment_method"}),
    ):
        caller.ask(create, {**form, **change}).expect_error(400, type=invalid, **told)
    caller.ask(create, {"currency": "usd"}).expect_error(
        400, code="parameter_missing", param="amount"
    )
    caller.ask("GET /v1/payment_intents/pi_nobody").expect_error(404, code="resource_missing")


def amounts(caller: Caller) -> None:
    """Some currencies take whole units only, or a last digit of 0."""
    create = "POST /v1/payment_intents"
    for currency, good, bad in (("isk", "50000", "50001"), ("ugx", "500000", "500001")):
        caller.ask(create, {"currency": currency, "amount": good}).expect(200)
        caller.ask(create, {"currency": currency, "amount": bad}).expect_error(400)
    caller.ask(create, {"currency": "kwd", "amount": "18600"}).expect(200)
    caller.ask(create, {"currency": "kwd", "amount": "5124"}).expect_error(400)


def refunds(caller: Caller) -> None:
    """Parts are given back until nothing is left, and found among the refunds of the intent."""
    intent = caller.intent()
    caller.confirm(intent).expect(200)
    asked = {"payment_intent": intent["id"], "metadata[operation]": "refund-1"}
    first = caller.ask("POST /v1/refunds", {**asked, "amount": "2000"}, key="refund")
    first.expect(200, status="succeeded", amount=2000, currency="usd", payment_intent=intent["id"])
    again = caller.ask("POST /v1/refunds", {**asked, "amount": "2000"}, key="refund")
    again.expect(200, id=first.document["id"])
    caller.ask("POST /v1/refunds", {**asked, "amount": "3001"}).expect_error(400, param="amount")
    found = caller.ask("GET /v1/refunds", {"payment_intent": intent["id"], "limit": "100"})
    found.expect(200, has_more=False)
    named = [each["metadata"].get("operation") for each in found.document["data"]]
    if named != ["refund-1"]:
        raise Unlike(f"the refunds of the intent are {named}")
    caller.ask("POST /v1/refunds", {"payment_intent": intent["id"]}).expect(200, amount=3000)
    caller.ask("POST /v1/refunds", asked).expect_error(400, code="charge_already_refunded")
    caller.ask(f"GET /v1/refunds/{first.document['id']}").expect(200, status="succeeded")


def captures(caller: Caller) -> None:
    """What is held is captured once, in part, or released."""
    intent = caller.intent(capture_method="manual")
    held = caller.confirm(intent).expect(200, status="requires_capture", amount_capturable=5000)
    charge = caller.ask(f"GET /v1/charges/{held['latest_charge']}").expect(200, captured=False)
    until = charge["payment_method_details"]["card"].get("capture_before")
    if not isinstance(until, int) or until <= charge["created"]:
        raise Unlike(f"the amount is held until {until}")
    path = f"POST /v1/payment_intents/{intent['id']}"
    form = {"amount_to_capture": "4000", "metadata[operation]": "capture-1"}
    caller.ask(f"{path}/capture", {**form, "amount_to_capture": "5001"}).expect_error(
        400, code="amount_too_large"
    )
    caller.ask(f"{path}/capture", form).expect(
        200, status="succeeded", amount_received=4000, metadata__operation="capture-1"
    )
    caller.ask(f"{path}/capture", form).expect_error(
        400, code=_STATE, payment_intent__status="succeeded"
    )
    released = caller.intent(capture_method="manual")
    caller.confirm(released).expect(200, status="requires_capture")
    path = f"POST /v1/payment_intents/{released['id']}"
    caller.ask(f"{path}/cancel").expect(200, status="canceled", amount_received=0)
    caller.ask(f"{path}/capture").expect_error(400, code=_STATE, payment_intent__status="canceled")


CONVERSATIONS: Final[tuple[Callable[[Caller], None], ...]] = (
    charge_once,
    keys,
    decline,
    authentication,
    faults_of_requests,
    amounts,
    refunds,
    captures,
)
