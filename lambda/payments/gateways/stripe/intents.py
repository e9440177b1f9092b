"""A payment's intent as Stripe answers it, held against what was asked for."""

from collections.abc import Mapping
from typing import Any, Final

from payments.core.faults import GatewayRefused
from payments.core.payment import Payment
from payments.gateways.stripe.amounts import stripe_amount
from payments.gateways.stripe.client import Reply

INTENTS: Final = "/v1/payment_intents"

OUR_CANCELLATION: Final = "abandoned"
"""The reason that tells our own cancellations from those made in Stripe's dashboard."""


def intent_of(reply: Reply, payment: Payment, *, environment: str, live: bool) -> Mapping[str, Any]:
    """Return the intent that a reply holds, as its object or in its error, once it is compared.

    Raises:
        GatewayRefused: it holds none, or one that is not what was asked for. On-call is told and
            the payment waits: nobody can say what it would be charged for.
    """
    intent = reply.document or reply.error.get("payment_intent")
    if not isinstance(intent, dict):
        raise refused(reply)
    metadata = intent.get("metadata") or {}
    compare("amount", intent.get("amount"), stripe_amount(payment.content))
    compare("currency", intent.get("currency"), payment.currency.lower())
    compare("metadata.payment_id", metadata.get("payment_id"), payment.payment_id)
    compare("metadata.environment", metadata.get("environment"), environment)
    compare("livemode", intent.get("livemode"), live)
    if payment.gateway_reference is not None:
        compare("id", intent.get("id"), payment.gateway_reference)
    return intent


def compare(name: str, answered: object, asked: object) -> None:
    """Refuse an answer that says something else than was asked for."""
    if answered != asked:
        raise GatewayRefused(f"Stripe answered {name} {answered!r} where {asked!r} was asked for")


def refused(reply: Reply) -> GatewayRefused:
    """Return the error that a reply is which fits nothing else, without Stripe's own message."""
    error = reply.error
    words = [error.get("type"), error.get("code"), error.get("param"), reply.request_id]
    return GatewayRefused(" ".join(str(word) for word in words if word))
