"""Stripe as the processor."""

from functools import cache

from payments.aws.secret import Secret
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.gateway import StripeGateway
from payments.gateways.stripe.http import API_BASE, HttpTransport
from payments.gateways.stripe.operations import StripeOperations
from payments.runtime.clients import client
from payments.runtime.settings import optional_setting, setting


def stripe_gateway() -> StripeGateway:
    """Return the gateway to this environment's Stripe account."""
    return StripeGateway(_client(), environment=setting("ENVIRONMENT_SUFFIX"))


def stripe_operations() -> StripeOperations:
    """Return what carries out refunds, captures and releases at the same account."""
    return StripeOperations(_client(), environment=setting("ENVIRONMENT_SUFFIX"))


@cache
def _client() -> StripeClient:
    return StripeClient(
        HttpTransport(optional_setting("STRIPE_API_BASE") or API_BASE),
        Secret(client("secretsmanager"), setting("PROCESSOR_KEY_ARN")),
        live=setting("PROCESSOR_MODE") == "live",
    )
