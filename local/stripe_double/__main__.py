"""Entry point of ``python -m local.stripe_double``."""

import argparse
import sys
from pathlib import Path

from local.stripe_double.double import TEST_KEY, StripeDouble
from local.stripe_double.server import DoubleServer


def main(arguments: list[str] | None = None) -> int:
    """Serve one account on loopback until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m local.stripe_double",
        description="A strict double of Stripe's API on 127.0.0.1. It charges nobody.",
    )
    parser.add_argument("--port", type=int, default=12111, help="where to listen (default: 12111)")
    parser.add_argument("--key", default=TEST_KEY, help=f"the account's key (default: {TEST_KEY})")
    parser.add_argument("--rate", type=float, help="requests a second that each endpoint takes")
    parser.add_argument("--seed", type=int, default=0, help="what ids are drawn from")
    parser.add_argument("--certificate", type=Path, help="serve TLS with this certificate (PEM)")
    parser.add_argument("--private-key", type=Path, help="the certificate's key (PEM)")
    options = parser.parse_args(arguments)
    double = StripeDouble(seed=options.seed, key=options.key, rate=options.rate)
    with DoubleServer(
        double, options.port, certificate=options.certificate, private_key=options.private_key
    ) as server:
        print(f"Stripe's double listens on {server.url}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
