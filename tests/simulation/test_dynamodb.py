"""The in-memory DynamoDB answers as moto does, which is why the simulator may use it."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.simulation.dynamodb import AwsError, InMemoryDynamoDB
from tests.simulation.moto_dynamodb import MotoDynamoDB
from tests.simulation.scheduler import SimulatorError
from tests.simulation.world import KEYS, TABLES, simulate


@pytest.fixture
def moto() -> Iterator[MotoDynamoDB]:
    with MotoDynamoDB(KEYS) as database:
        yield database


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_run_is_the_same_over_moto(seed: int, moto: MotoDynamoDB) -> None:
    outcome = simulate(seed, lambda *_: moto)
    assert outcome.trace == simulate(seed).trace
    assert outcome.violations == ()


@pytest.mark.parametrize("seed", range(3))
def test_random_operations_are_answered_as_by_moto(seed: int, moto: MotoDynamoDB) -> None:
    random, memory = Random(seed), InMemoryDynamoDB(KEYS)
    for _ in range(200):
        operation, request = _draw(random)
        assert _outcome(memory, operation, request) == _outcome(moto, operation, request), request
    for table in KEYS:
        scan = {"TableName": table}
        assert _sorted(memory.answer("Scan", scan)) == _sorted(moto.answer("Scan", scan))


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("DeleteItem", {"TableName": TABLES.payments}),
        ("GetItem", {"TableName": TABLES.payments, "Key": {"payment_id": {"S": "a"}}}),
        ("Scan", {"TableName": TABLES.payments, "FilterExpression": "a = :b"}),
        (
            "PutItem",
            {
                "TableName": TABLES.payments,
                "Item": {"payment_id": {"S": "a"}},
                "ConditionExpression": "size(x) > :y",
            },
        ),
    ],
)
def test_what_it_does_not_know_it_refuses(operation: str, request_: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError):
        InMemoryDynamoDB(KEYS).answer(operation, request_)


def _draw(random: Random) -> tuple[str, dict[str, Any]]:
    """Return one operation of the kinds that the adapters send, on few keys."""
    key = {"payment_id": {"S": random.choice("abc")}}
    versions = {
        ":before": {"N": str(random.randint(1, 3))},
        ":after": {"N": str(random.randint(1, 3))},
    }
    put = {
        "TableName": TABLES.payments,
        "Item": {
            **key,
            "version": {"N": "1"},
            "status": {"S": "PENDING"},
            "open_shard": {"N": "3"},
        },
        "ConditionExpression": "attribute_not_exists(payment_id)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    update = {
        "TableName": TABLES.payments,
        "Key": key,
        "UpdateExpression": "SET #v = :after, #s = :status REMOVE open_shard",
        "ConditionExpression": "#v = :before AND (attribute_exists(payment_id) OR NOT #s <> :status)",
        "ExpressionAttributeNames": {"#v": "version", "#s": "status"},
        "ExpressionAttributeValues": {**versions, ":status": {"S": random.choice("PC")}},
        "ReturnValuesOnConditionCheckFailure": random.choice(("ALL_OLD", "NONE")),
    }
    entry = {
        "entity_id": key["payment_id"],
        "sequence": {"N": str(random.randint(1, 12))},
        "status": {"S": "P"},
    }
    record = {
        "TableName": TABLES.audit_logs,
        "Item": {**key, "sequence": entry["sequence"]},
        "ConditionExpression": "attribute_not_exists(payment_id)",
    }
    ledger = {
        "TableName": TABLES.processing_status,
        "Key": {"entity_id": {"S": f"sandbox#{random.choice('abc')}"}, "sequence": {"N": "0"}},
        "ReturnValues": "ALL_NEW",
    }
    kept = {":kept": {"M": {"reference": {"S": random.choice("xyz")}}}}
    turn = {
        "TableName": TABLES.processing_status,
        "Key": {"entity_id": {"S": "turn#"}, "sequence": {"N": "0"}},
        "ExpressionAttributeValues": {
            ":now": {"N": str(random.randint(1, 9))},
            ":length": {"N": str(random.randint(1, 3))},
        },
        "ReturnValues": "UPDATED_NEW",
    }
    operation = {
        "payment_id": key["payment_id"],
        "operation": {"S": random.choice(("refund#a", "refund#b", "cancel#1"))},
    }
    transaction = [
        {"Put": put} if random.random() < 0.5 else {"Update": update},
        {"Put": {"TableName": TABLES.processing_status, "Item": entry}},
        {"Put": record},
    ]
    return random.choice(
        (
            ("TransactWriteItems", {"TransactItems": transaction}),
            ("TransactWriteItems", {"TransactItems": transaction}),
            ("PutItem", {"TableName": TABLES.processing_status, "Item": entry}),
            ("PutItem", {"TableName": TABLES.operations, "Item": operation}),
            (
                "Query",
                {
                    "TableName": TABLES.operations,
                    "KeyConditionExpression": "payment_id = :id AND begins_with(operation, :kind)",
                    "ExpressionAttributeValues": {
                        ":id": key["payment_id"],
                        ":kind": {"S": random.choice(("refund#", "cancel#", "capture#"))},
                    },
                    "ConsistentRead": True,
                },
            ),
            ("GetItem", {"TableName": TABLES.payments, "Key": key, "ConsistentRead": True}),
            (
                "BatchGetItem",
                {
                    "RequestItems": {
                        TABLES.payments: {
                            "Keys": [key],
                            "ConsistentRead": True,
                            "ProjectionExpression": "payment_id, version",
                        }
                    }
                },
            ),
            (
                "Query",
                {
                    "TableName": TABLES.processing_status,
                    "KeyConditionExpression": "entity_id = :id",
                    "ExpressionAttributeValues": {":id": key["payment_id"]},
                    "ConsistentRead": True,
                },
            ),
            (
                "UpdateItem",
                {
                    **turn,
                    "UpdateExpression": "SET next_at = next_at + :length",
                    "ConditionExpression": "next_at > :now",
                },
            ),
            (
                "UpdateItem",
                {
                    **turn,
                    "UpdateExpression": "SET next_at = :now + :length",
                    "ConditionExpression": "attribute_not_exists(next_at) OR next_at <= :now",
                },
            ),
            (
                "UpdateItem",
                {
                    **ledger,
                    "UpdateExpression": "ADD attempts :one",
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                },
            ),
            (
                "UpdateItem",
                {
                    **ledger,
                    "UpdateExpression": "SET outcome = if_not_exists(outcome, :kept)",
                    "ExpressionAttributeValues": kept,
                },
            ),
        )
    )


def _outcome(
    database: InMemoryDynamoDB | MotoDynamoDB, operation: str, request: dict[str, Any]
) -> object:
    try:
        return database.answer(operation, request)
    except AwsError as error:
        reasons = error.fields.get("CancellationReasons", [])
        return error.code, [(reason.get("Code"), reason.get("Item")) for reason in reasons]


def _sorted(answer: dict[str, Any]) -> list[str]:
    return sorted(repr(sorted(item.items())) for item in answer["Items"])
