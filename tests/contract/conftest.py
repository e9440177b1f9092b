"""The contract, the account in process that the handler answers from, and the stack."""

import pytest

from tests.contract.contract import Contract, load
from tests.synth.conftest import dev, prod, stack, stacks
from tests.unit.conftest import (
    batch_store,
    batches,
    cloud,
    intake,
    ledger,
    objects,
    processing,
    queue,
    store,
)

__all__ = [
    "batch_store",
    "batches",
    "cloud",
    "contract",
    "dev",
    "intake",
    "ledger",
    "objects",
    "processing",
    "prod",
    "queue",
    "stack",
    "stacks",
    "store",
]


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The OpenAPI document."""
    return load()
