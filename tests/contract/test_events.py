"""The events that the OpenAPI document describes are those that the code announces."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from lib.foundation.subscriptions import ONLY_UPDATES
from payments.aws.items import deserialize
from payments.aws.payments import PaymentStore
from payments.batches.progress import BatchStatus
from payments.batches.steps import BatchProcessing
from payments.core.announcements import announcement
from payments.core.operation import STEPS, OperationKind, OperationStatus
from payments.core.payment import PaymentStatus
from payments.flows.charge import Charging
from tests.contract.contract import Contract, load
from tests.unit.cloud import TABLES, WITNESS, Cloud, payment_request, planned, process

ROWS = b"payment_id,amount,currency\npay_1,1.00,USD\npay 2,1.00,USD\n"
SCHEMAS = {
    name: hook["post"]["requestBody"]["content"]["text/plain; charset=UTF-8"]["schema"]["allOf"][1][
        "properties"
    ]["Message"]["contentSchema"]
    for name, hook in load().document["webhooks"].items()
}


def faults(contract: Contract, event: Mapping[str, Any]) -> list[str]:
    """Return what about an event is not as the document says of its type."""
    schema = SCHEMAS[event["event_type"]]
    sent = json.loads(json.dumps(event))
    return contract.faults(schema, sent) + list(contract.unknown_members(sent, schema))


def test_every_event_that_can_be_announced_is_described_and_no_other() -> None:
    payments = {status.event_type for status in PaymentStatus if status.event_type}
    batches = {f"batch.{status.lower()}" for status in BatchStatus if status.has_ended}
    operations = {
        f"{kind}.{to.lower()}"
        for kind in (OperationKind.REFUND, OperationKind.CAPTURE)
        for _, to in STEPS[kind]
        if to is not OperationStatus.PENDING
    }
    assert set(SCHEMAS) == payments | batches | operations | {"batch.started"}


def _examples() -> Iterator[Any]:
    contract = load()
    for name, schema in SCHEMAS.items():
        for event in contract.resolve(schema)["examples"]:
            yield pytest.param(name, event, id=name)


@pytest.mark.parametrize(("name", "event"), list(_examples()))
def test_every_event_has_an_example_that_is_as_it_says(
    contract: Contract, name: str, event: dict[str, Any]
) -> None:
    assert event["event_type"] == name
    assert not faults(contract, event)


def test_every_event_has_an_example() -> None:
    assert {name for name, _ in (example.values for example in _examples())} == set(SCHEMAS)


@pytest.mark.parametrize("source", ["api", f"batch:batch_{'0' * 32}:2"])
@pytest.mark.parametrize(
    ("amount_minor", "event_type"), [(9999, "payment.completed"), (40001, "payment.failed")]
)
def test_a_settled_payment_is_announced_as_documented(
    contract: Contract,
    store: PaymentStore,
    charging: Charging,
    cloud: Cloud,
    amount_minor: int,
    event_type: str,
    source: str,
) -> None:
    request = payment_request(amount_minor=amount_minor, source=source)
    store.create(request, actor="api", at="2026-03-12T19:03:58.123456Z")
    charging.charge_by_id(request.payment_id, WITNESS)
    [record] = (item for item in cloud.items(TABLES.audit_logs) if "event_type" in item)
    event, _ = announcement(deserialize(record))
    assert event["event_type"] == event_type
    assert not faults(contract, event)


def test_the_start_and_every_end_of_a_batch_are_announced_as_documented(
    contract: Contract, batches: BatchProcessing, cloud: Cloud
) -> None:
    started = planned(batches, cloud.upload(ROWS), len(ROWS))["notification"]
    completed = process(batches, cloud.upload(ROWS, "dry-run/a.csv"), len(ROWS))["notification"]
    refused = process(batches, cloud.upload(b"\n"), 1)["notification"]
    failed = batches.fail(cloud.upload(ROWS))["notification"]
    events = [started, completed, refused, failed]
    assert [event["event_type"] for event in events] == [
        "batch.started",
        "batch.completed",
        "batch.refused",
        "batch.failed",
    ]
    assert [faults(contract, event) for event in events] == [[]] * len(events)


@pytest.mark.parametrize("member", ["event_id", "event_type", "occurred_at", "batch"])
def test_an_event_without_one_of_its_members_is_not_as_documented(
    contract: Contract, member: str
) -> None:
    (event,) = contract.resolve(SCHEMAS["batch.completed"])["examples"]
    schema = SCHEMAS["batch.completed"]
    assert contract.faults(schema, {name: event[name] for name in event if name != member})


def test_every_event_passes_the_filter_of_the_subscription() -> None:
    prefixes = tuple(rule["prefix"] for rule in ONLY_UPDATES["event_type"])
    assert [name for name in SCHEMAS if not name.startswith(prefixes)] == []
