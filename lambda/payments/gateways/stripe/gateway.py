"""Payments through Stripe: an intent that is not confirmed, then its confirmation."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from payments.core.clock import utc_text
from payments.core.faults import FieldError, GatewayRefused, GatewayUnavailable
from payments.core.payment import Failure, Payment, ProcessorAnswer
from payments.gateways.failures import (
    AUTHENTICATION_REQUIRED,
    CANCELED_AT_PROCESSOR,
    PAYMENT_METHOD_UNUSABLE,
)
from payments.gateways.port import (
    CANCELLED,
    Approved,
    ChargeOutcome,
    Declined,
    Pending,
    Prepared,
)
from payments.gateways.stripe.amounts import stripe_amount
from payments.gateways.stripe.client import KeptFailure, Reply, StripeClient
from payments.gateways.stripe.declines import card_failure, decline_code, request_failure
from payments.gateways.stripe.intents import (
    INTENTS,
    OUR_CANCELLATION,
    compare,
    intent_of,
    refused,
)

CONFIRM_SECONDS: Final = 20.0
"""How long a confirmation may take: the card's issuer is asked."""

_OPEN: Final = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
"""The statuses of an intent that has no outcome."""
_CREATE_KEYS: Final = ("create", "create-2", "create-3")


class StripeGateway:
    """Charges cards through one Stripe account; see :class:`payments.gateways.port.PaymentGateway`.

    ``environment`` tells the payments of environments apart that share an account.
    """

    def __init__(self, client: StripeClient, *, environment: str) -> None:
        self._client = client
        self._environment = environment

    def prepare(self, payment: Payment) -> Prepared | Declined:
        """Create the payment's intent, unconfirmed. See :meth:`PaymentGateway.prepare`."""
        content = payment.content
        if content.processor_customer is None or content.processor_payment_method is None:
            return Declined(PAYMENT_METHOD_UNUSABLE)
        amount = stripe_amount(content)
        if isinstance(amount, FieldError):
            return Declined(Failure(amount.code, f"The {amount.field} {amount.message}."))
        reply = self._create(
            payment,
            {
                "amount": str(amount),
                "currency": payment.currency.lower(),
                "customer": content.processor_customer,
                "payment_method": content.processor_payment_method,
                "payment_method_types[]": "card",
                "capture_method": content.capture,
                "metadata[payment_id]": payment.payment_id,
                "metadata[environment]": self._environment,
            },
        )
        if reply.error:
            declined = _declined(reply)
            if declined is None:
                raise refused(reply)
            return declined
        return Prepared(self._intent(payment, reply)["id"])

    def charge(self, payment: Payment) -> ChargeOutcome:
        """Confirm the payment's intent, once or again. See :meth:`PaymentGateway.charge`."""
        reply = self._client.post(
            f"{INTENTS}/{payment.gateway_reference}/confirm",
            {"off_session": "true", "error_on_requires_action": "true"},
            read_seconds=CONFIRM_SECONDS,
        )
        declined = _declined(reply)
        if declined is not None:
            return self._closed(payment, declined)
        intent = self._intent(payment, reply)
        match intent["status"]:
            case "requires_payment_method":
                # Declined before; the answer was lost.
                return self._closed(payment, _last_decline(intent, reply))
            case "requires_action":
                answer = ProcessorAnswer("requires_action", reply.request_id)
                return self._closed(payment, Declined(AUTHENTICATION_REQUIRED, answer))
        return self._decided(payment, intent, reply)

    def cancel(self, payment: Payment) -> ChargeOutcome:
        """Cancel the payment's intent, unless it has an outcome. See :meth:`PaymentGateway.cancel`."""
        reply = self._client.post(
            f"{INTENTS}/{payment.gateway_reference}/cancel",
            {"cancellation_reason": OUR_CANCELLATION},
        )
        return self._decided(payment, self._intent(payment, reply), reply)

    def look_up(self, payment: Payment) -> ChargeOutcome | Prepared:
        """Read the payment's intent, and change nothing. See :meth:`PaymentGateway.look_up`."""
        reply = self._client.get(f"{INTENTS}/{payment.gateway_reference}")
        intent = self._intent(payment, reply)
        if intent["status"] in _OPEN:
            return Prepared(intent["id"])
        return self._decided(payment, intent, reply)

    def _create(self, payment: Payment, form: Mapping[str, str]) -> Reply:
        """Create an intent under the payment's key, so that a repeated call finds the same intent.

        The next key is taken where Stripe keeps a failure under the first one, or another release
        sent other parameters with it. An intent too many harms nobody: none moves money before it
        is confirmed, and only the one whose id is stored ever is.
        """
        for name in _CREATE_KEYS:
            # A disposable environment that is built again may charge the same payment id anew.
            key = f"{self._environment}:{payment.payment_id}:{payment.created_at}:{name}"
            try:
                reply = self._client.post(INTENTS, form, key=key)
            except KeptFailure:
                continue
            if reply.error.get("type") != "idempotency_error":
                return reply
        raise GatewayUnavailable("Stripe keeps a failure under each key of this payment")

    def _intent(self, payment: Payment, reply: Reply) -> Mapping[str, Any]:
        """Return the intent that a reply holds, as its object or in its error, once it is checked."""
        return intent_of(reply, payment, environment=self._environment, live=self._client.live)

    def _decided(self, payment: Payment, intent: Mapping[str, Any], reply: Reply) -> ChargeOutcome:
        """Return the outcome that an intent has. What is authorised and not captured is approved."""
        match intent["status"], payment.content.capture:
            case "succeeded", "automatic":
                compare("amount_received", intent.get("amount_received"), intent["amount"])
                return Approved(intent["id"])
            case "succeeded", _:
                return Approved(intent["id"])
            case "requires_capture", "manual":
                return Approved(intent["id"], capture_before=self._capture_before(intent))
            case "processing", _:
                return Pending()
            case "canceled", _:
                return _why_canceled(intent, reply)
            case status, _ if status in _OPEN:
                raise GatewayUnavailable(f"the intent still has a status of {status}")
            case status, _:
                raise GatewayRefused(f"the intent has a status of {status}")

    def _capture_before(self, intent: Mapping[str, Any]) -> str | None:
        """Return until when an authorised amount is held, which only its charge tells."""
        reply = self._client.get(f"/v1/charges/{intent.get('latest_charge')}")
        match reply.document:
            case {"payment_method_details": {"card": {"capture_before": int(seconds)}}}:
                return utc_text(datetime.fromtimestamp(seconds, UTC))
        return None

    def _closed(self, payment: Payment, declined: Declined) -> ChargeOutcome:
        """Cancel an intent that was declined, so that nobody can confirm it; return its end."""
        outcome = self.cancel(payment)
        # A twin may have been charged in between, or Stripe is still at it.
        return declined if isinstance(outcome, Declined) else outcome


def _declined(reply: Reply) -> Declined | None:
    """Return the decline that a reply is; ``None`` where it tells the state of an intent instead."""
    match reply.error:
        case {"type": "card_error"}:
            failure: Failure | None = card_failure(reply.error)
        case {"code": "payment_intent_unexpected_state"}:
            failure = None
        case _:
            failure = request_failure(reply.error)
    if failure is None:
        return None
    return Declined(failure, ProcessorAnswer(decline_code(reply.error), reply.request_id))


def _last_decline(intent: Mapping[str, Any], reply: Reply) -> Declined:
    error = intent.get("last_payment_error")
    if error:
        return Declined(card_failure(error), ProcessorAnswer(decline_code(error), reply.request_id))
    return Declined(PAYMENT_METHOD_UNUSABLE, ProcessorAnswer(None, reply.request_id))


def _why_canceled(intent: Mapping[str, Any], reply: Reply) -> Declined:
    """Return why a canceled intent did not charge: the reason outlives the cancellation."""
    if intent.get("last_payment_error"):
        return _last_decline(intent, reply)
    ours = intent.get("cancellation_reason") == OUR_CANCELLATION
    answer = ProcessorAnswer("canceled", reply.request_id)
    return Declined(CANCELLED if ours else CANCELED_AT_PROCESSOR, answer)
