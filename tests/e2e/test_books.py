"""The books of all that every other test did, in both environments, before these are destroyed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from local import surroundings
from tests.e2e.environment import Environment, eventually
from tests.e2e.operators import Operator

pytestmark = pytest.mark.last


def right(proved: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return what a proof says, which must hold."""
    assert proved.returncode == 0, proved.stdout + proved.stderr
    told: dict[str, Any] = json.loads(proved.stdout)
    assert told["holds"]
    return told


def test_the_books_of_all_that_was_paid_are_right(
    environment: Environment, payment_id: Callable[[], str]
) -> None:
    name = payment_id()
    environment.api.submit({"payment_id": name, "amount": "10.00", "currency": "CHF"})
    environment.api.final(name)
    refund = {"refund_id": "r1", "amount": "4.00"}
    environment.api.request("POST", f"/payments/{name}/refunds", body=refund)

    def refunded() -> bool | None:
        found = environment.api.request("GET", f"/payments/{name}/refunds/r1").json()
        return found["status"] == "COMPLETED" or None

    eventually(refunded, patience=60)
    command = [sys.executable, "-m", "operations", "books", "prove", "--json"]
    told = right(
        subprocess.run(
            [*command, "--env", environment.suffix],
            env=surroundings.for_operations(os.environ) | environment.aws_access,
            capture_output=True,
            text=True,
            check=False,
        )
    )
    assert min(told["payments"], told["operations"]) > 0


def test_who_keeps_the_books_of_a_protected_environment_finds_them_right(
    operator: Callable[..., Operator],
) -> None:
    keeper = operator("books")
    suffix = keeper.environment.suffix
    right(keeper.run("books", "prove", "--json", "--env", suffix))
