"""An environment whose processor is Stripe's double, in an emulator of its own.

A deployment has one processor, so these tests need one beside that of ``tests/e2e``. They are not
part of ``make test``; ``make e2e-stripe`` runs them.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from local import emulator, stripe, surroundings
from local.deployment import Deployment
from local.stripe_double.double import TEST_KEY
from local.workspace import REPOSITORY, Workspace
from tests.e2e.environment import Environment

WORKSPACE = Workspace(state=REPOSITORY / ".local/e2e-stripe", suffix="test-stripe")
RATE = 25


@dataclass(frozen=True)
class StripeEnvironment:
    """The deployed environment, and the double that charges for it."""

    environment: Environment
    double: stripe.Double

    def payments(self, *command: str, typed: str | None = None) -> str:
        """Run a ``payments`` command against the environment; return what it prints."""
        return subprocess.run(
            [sys.executable, "-m", "operations", "--env", WORKSPACE.suffix, *command],
            env=surroundings.for_operations(os.environ) | self.environment.aws_access,
            cwd=REPOSITORY,
            input=typed,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def pay(self, **fields: object) -> str:
        """Order a payment of 99.99 USD by the card that approves; return its id."""
        payment_id = f"pay_{uuid.uuid4().hex}"
        payment = {"payment_id": payment_id, "amount": "99.99", "currency": "USD"}
        answer = self.environment.api.submit(payment | self.double.card | fields)
        assert answer.status == 202, answer.body
        return payment_id

    def charged(self, payment_id: str) -> list[int]:
        """Return what was really taken for a payment, charge by charge, less what was given back."""
        return [
            charge["captured"] - charge["refunded"]
            for charge in self.double.charges().get(payment_id, [])
            if not charge["released"]
        ]


@pytest.fixture(scope="session")
def deployed() -> Iterator[StripeEnvironment]:
    """The environment, destroyed through cdktf in the end. It has no key yet."""
    with emulator.exclusive(WORKSPACE):
        emulator.stop(WORKSPACE)
        stripe.stop(WORKSPACE)
        double = stripe.start(WORKSPACE, port=emulator.free_port(), rate=RATE)
        try:
            started = emulator.start(
                WORKSPACE, port=emulator.free_port(), settings={"SFN_WAIT_SCALE": "0.1"}
            )
            deployment = Deployment(WORKSPACE, started)
            deployment.deploy()
            yield StripeEnvironment(Environment(deployment), double)
            deployment.destroy()
        finally:
            emulator.stop(WORKSPACE)
            stripe.stop(WORKSPACE)


@pytest.fixture(scope="session")
def give_key(deployed: StripeEnvironment) -> Callable[[str], str]:
    """Give the environment a key, as its team does."""
    return lambda key: deployed.payments("processor", "set-key", typed=f"{key}\n")


@pytest.fixture(scope="session")
def system(deployed: StripeEnvironment, give_key: Callable[[str], str]) -> StripeEnvironment:
    """The environment with its key."""
    give_key(TEST_KEY)
    return deployed
