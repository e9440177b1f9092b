"""Stripe as the processor."""

from payments.aws.secret import Secret
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.gateway import StripeGateway
from payments.gateways.stripe.http import API_BASE, HttpTransport
from payments.runtime.clients import client
from payments.runtime.settings import optional_setting, setting


def stripe_gateway() -> StripeGateway:
    """Return the gateway to this environment's Stripe account."""
    return StripeGateway(
        StripeClient(
            HttpTransport(optional_setting("STRIPE_API_BASE") or API_BASE),
            Secret(client("secretsmanager"), setting("PROCESSOR_KEY_ARN")),
            live=setting("PROCESSOR_MODE") == "live",
        ),
        environment=setting("ENVIRONMENT_SUFFIX"),
    )
