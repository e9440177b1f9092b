"""The contract, the account in process that the handler answers from, and the stack."""

import json
from typing import Any

import pytest

import api_handler
from payments.runtime.api_handler import Services
from tests.contract.asking import Answered, Seen, Send
from tests.contract.contract import Contract, load
from tests.synth.conftest import dev, prod, stack, stacks
from tests.unit.aws_events import load as load_event
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


@pytest.fixture
def seen() -> Seen:
    """Every answer of the test, with its operation."""
    return []


@pytest.fixture
def send(contract: Contract, services: Services, seen: Seen) -> Send:
    """Let the handler answer an event, and hold the answer against the document."""

    def call(operation: str, *, services: Services = services, **changes: Any) -> Answered:
        event = load_event(
            "api_post_payment" if operation.startswith("POST") else "api_get_payment"
        )
        event |= {"resource": operation.partition(" ")[2], **changes}
        answer = api_handler.answer(event, "request-1", services)
        status, body = answer["statusCode"], answer["body"]
        faults = contract.answer_faults(
            operation, status=status, headers=answer["headers"], body=body
        )
        assert not faults, f"{faults} in {body}"
        answered = status, json.loads(body)
        seen.append((operation, *answered))
        return answered

    return call
