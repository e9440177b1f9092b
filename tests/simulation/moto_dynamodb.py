"""DynamoDB by moto, behind the same face as the in-memory one: what that is checked against."""

from typing import Any, Self

from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.models import botocore_stubber

from local.clients import session
from payments.aws.operations import DUE_INDEX
from payments.aws.payments import HELD_INDEX, OPEN_INDEX
from tests.simulation.dynamodb import INDEXES, PAGE_ITEMS, AwsError

_NUMBERS = frozenset({"sequence", "open_shard", "held_shard", "time_shard", "due_shard"})
_INDEXES = (("payments", OPEN_INDEX), ("payments", HELD_INDEX), ("operations", DUE_INDEX))
_NOT_COMPARED = frozenset({"ResponseMetadata", "ConsumedCapacity", "ItemCollectionMetrics"})


class MotoDynamoDB:
    """A context manager; moto answers only within :meth:`answer`, never other clients."""

    def __init__(self, keys: dict[str, tuple[str, ...]]) -> None:
        self._keys = keys
        self._mock = mock_aws(config={"core": {"mock_credentials": True}})
        self._client: Any = None

    def __enter__(self) -> Self:
        self._mock.start()
        self._client = session(region="eu-central-1").client("dynamodb")
        for table, key in self._keys.items():
            self._client.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": "N" if name in _NUMBERS else "S"}
                    for name in key
                ],
                KeySchema=_schema(key),
            )
        for table, index in _INDEXES:
            self._client.update_table(
                TableName=table,
                AttributeDefinitions=[
                    {"AttributeName": name, "AttributeType": "N" if name in _NUMBERS else "S"}
                    for name in INDEXES[index]
                ],
                GlobalSecondaryIndexUpdates=[
                    {
                        "Create": {
                            "IndexName": index,
                            "KeySchema": _schema(INDEXES[index]),
                            "Projection": {"ProjectionType": "KEYS_ONLY"},
                        }
                    }
                ],
            )
        botocore_stubber.enabled = False
        return self

    def __exit__(self, *_: object) -> None:
        botocore_stubber.enabled = True
        self._mock.stop()

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one operation, or raise :class:`AwsError`."""
        botocore_stubber.enabled = True
        if operation == "Query":
            request = {**request, "Limit": PAGE_ITEMS}
        try:
            answer: dict[str, Any] = self._client._make_api_call(operation, request)
        except ClientError as error:
            details: dict[str, Any] = dict(error.response)
            fault = details.pop("Error")
            kept = {
                name: details[name] for name in ("CancellationReasons", "Item") if name in details
            }
            raise AwsError(fault["Code"], fault["Message"], **kept) from None
        finally:
            botocore_stubber.enabled = False
        return {name: value for name, value in answer.items() if name not in _NOT_COMPARED}


def _schema(key: tuple[str, ...]) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": role}
        for name, role in zip(key, ("HASH", "RANGE"), strict=False)
    ]
