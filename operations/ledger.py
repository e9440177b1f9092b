"""The tables that the books are kept in, read page by page so that memory stays flat."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from operations.items import plain

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]

MOST_KEYS: Final = 100
"""Most items of one BatchGetItem:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

_OUTCOMES: Final = "outcomes#"

_ATTEMPTS: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.05


class TooBusy(Exception):
    """A table did not give all that was asked for, however often it was asked."""


class Ledger:
    """Payments, their operations and records, and the reports of batches, of one environment."""

    def __init__(
        self,
        client: "DynamoDBClient",
        environment: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._payments = f"payments-{environment}"
        self._operations = f"payment-operations-{environment}"
        self._records = f"audit-logs-{environment}"
        self._status = f"processing-status-{environment}"

    # --- all there is

    def payments(self) -> Iterator[Item]:
        """Yield every payment as it stands: strongly consistent, as what rows are counted as is."""
        return self._scan(self._payments, ConsistentRead=True)

    def operations(self) -> Iterator[Item]:
        """Yield every operation as it stands."""
        return self._scan(self._operations)

    def record_keys(self) -> Iterator[tuple[str, int]]:
        """Yield payment id and number of every audit record."""
        records = self._scan(
            self._records,
            ProjectionExpression="payment_id, #sequence",
            ExpressionAttributeNames={"#sequence": "sequence"},
        )
        return ((record["payment_id"], record["sequence"]) for record in records)

    def records_with_postings(self, first: str, end: str) -> Iterator[Item]:
        """Yield every record of a span of time that moved money, ``end`` excluded.

        Those from before there were postings are among them.
        """
        return self._scan(
            self._records,
            FilterExpression="#at >= :first AND #at < :end AND (attribute_exists(postings[0])"
            " OR (attribute_not_exists(postings) AND #from = :processing AND #to = :completed))",
            ExpressionAttributeNames={"#at": "at", "#from": "from", "#to": "to"},
            ExpressionAttributeValues={
                ":first": {"S": first},
                ":end": {"S": end},
                ":processing": {"S": "PROCESSING"},
                ":completed": {"S": "COMPLETED"},
            },
        )

    def outcomes_of_rows(self) -> dict[str, Counter[str]]:
        """Return by batch what its rows are counted as."""
        return outcomes_of(
            self._scan(
                self._status,
                ConsistentRead=True,
                FilterExpression="begins_with(entity_id, :prefix)",
                ExpressionAttributeValues={":prefix": {"S": _OUTCOMES}},
            )
        )

    # --- of some payments, strongly consistent

    def payments_of(self, payment_ids: Iterable[str]) -> dict[str, Item]:
        """Return payments as they stand, by id."""
        keys = [{"payment_id": {"S": payment_id}} for payment_id in payment_ids]
        return {item["payment_id"]: item for item in self._get(self._payments, keys)}

    def records_of(self, versions: Mapping[str, int]) -> dict[str, list[Item]]:
        """Return by payment its records up to a number, in their order.

        Args:
            versions: how many records each payment has.
        """
        keys = [
            {"payment_id": {"S": payment_id}, "sequence": {"N": str(sequence)}}
            for payment_id, version in versions.items()
            for sequence in range(1, version + 1)
        ]
        found: dict[str, list[Item]] = {payment_id: [] for payment_id in versions}
        for record in self._get(self._records, keys):
            found[record["payment_id"]].append(record)
        for records in found.values():
            records.sort(key=lambda record: int(record["sequence"]))
        return found

    def all_records_of(self, payment_id: str) -> list[Item]:
        """Return all records of a payment, in their order."""
        return self._query(self._records, payment_id)

    def operations_of(self, payment_id: str) -> list[Item]:
        """Return all operations of a payment."""
        return self._query(self._operations, payment_id)

    def _scan(self, table: str, **arguments: Any) -> Iterator[Item]:
        pages = self._client.get_paginator("scan").paginate(TableName=table, **arguments)
        for page in pages:
            yield from map(plain, page["Items"])

    def _query(self, table: str, payment_id: str) -> list[Item]:
        pages = self._client.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="payment_id = :id",
            ExpressionAttributeValues={":id": {"S": payment_id}},
            ConsistentRead=True,
        )
        return [plain(item) for page in pages for item in page["Items"]]

    def _get(self, table: str, keys: list[Any]) -> Iterator[Item]:
        for some in batched(keys, MOST_KEYS):
            wanted: Any = list(some)
            in_vain = 0
            while wanted:
                answer = self._client.batch_get_item(
                    RequestItems={table: {"Keys": wanted, "ConsistentRead": True}}
                )
                yield from map(plain, answer["Responses"].get(table, []))
                # An answer has 16 MB at most, and what the table could give at that moment.
                unread = answer["UnprocessedKeys"].get(table, {"Keys": []})["Keys"]
                if len(unread) == len(wanted):
                    in_vain += 1
                    if in_vain == _ATTEMPTS:
                        raise TooBusy(f"{table} is too busy to be read")
                    self._sleep(_FIRST_PAUSE_SECONDS * 2**in_vain)
                wanted = unread


def outcomes_of(status: Iterable[Item]) -> dict[str, Counter[str]]:
    """Return by batch what its rows are counted as, from items of ``processing-status``."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for item in status:
        if item["entity_id"].startswith(_OUTCOMES):
            batch_id = item["entity_id"].rpartition("#")[2]
            for name in item.keys() - {"entity_id", "sequence", "expires_at"}:
                counted[batch_id][name] += item[name]
    return counted
