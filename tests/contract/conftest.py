"""The contract, the account in process that the handler answers from, and the stack."""

import pytest

from tests.contract.contract import Contract, load
from tests.synth.conftest import dev, prod, stack, stacks
from tests.unit.conftest import (
    batch_store,
    batches,
    charging,
    cloud,
    dead_letters,
    deliveries,
    delivery,
    dry_runs,
    events,
    intake,
    ledger,
    objects,
    operation_intake,
    operation_store,
    performing,
    queues,
    rows,
    services,
    store,
    workflow,
)

__all__ = [
    "batch_store",
    "batches",
    "charging",
    "cloud",
    "contract",
    "dead_letters",
    "deliveries",
    "delivery",
    "dev",
    "dry_runs",
    "events",
    "intake",
    "ledger",
    "objects",
    "operation_intake",
    "operation_store",
    "performing",
    "prod",
    "queues",
    "rows",
    "services",
    "stack",
    "stacks",
    "store",
    "workflow",
]


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The OpenAPI document."""
    return load()
