"""Holds the conversations with Stripe's double, and with Stripe's test mode if there is a key."""

import os
import sys
import threading
from collections.abc import Callable

from local.stripe_double.double import TEST_KEY, StripeDouble
from local.stripe_double.server import DoubleServer
from payments.core.faults import GatewayUnavailable
from payments.gateways.stripe.http import API_BASE, HttpTransport
from tests.stripe_api.conversations import CONVERSATIONS, Caller, Unlike


def main(say: Callable[[str], object] = sys.stdout.write) -> int:
    """Hold them all; return how many went otherwise.

    Raises:
        SystemExit: the key is a live one.
    """
    with DoubleServer(StripeDouble()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        otherwise = _hold("the double", server.url, TEST_KEY, say)
        server.shutdown()
    key = os.environ.get("STRIPE_TEST_KEY", "")
    if not key:
        say("Stripe itself was not asked: STRIPE_TEST_KEY is not set.\n")
        return otherwise
    if not key.startswith(("sk_test_", "rk_test_")):
        raise SystemExit("STRIPE_TEST_KEY is no key of the test mode")
    return otherwise + _hold("Stripe's test mode", API_BASE, key, say)


def _hold(whom: str, url: str, key: str, say: Callable[[str], object]) -> int:
    otherwise = 0
    say(f"{whom} ({url}):\n")
    for conversation in CONVERSATIONS:
        told = "as expected"
        try:
            conversation(Caller(HttpTransport(url), key))
        except (Unlike, GatewayUnavailable) as unlike:
            otherwise += 1
            told = str(unlike)
        say(f"  {conversation.__name__}: {told}\n")
    return otherwise


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
