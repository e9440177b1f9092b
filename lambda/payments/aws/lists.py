"""Adapter: payments in the order of their acceptance, from two indexes of the payments table.

``by-time`` has every payment, over 32 shards so that no partition takes more writes than it can. Its
attributes never change, so it is written once in a payment's life. ``open-payments`` has the few
that are not at their end. A list is merged from all shards of one of them.
"""

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from payments.aws.batch_reads import read_items
from payments.aws.failures import unavailable
from payments.aws.items import deserialize, serialize
from payments.aws.keys import TIME_SHARDS, payment_key
from payments.aws.payments import OPEN_INDEX, OPEN_SHARDS, REVIEW_SHARDS, payment_of
from payments.core.faults import ServiceUnavailable
from payments.core.lists import Entry, Filters, Position, ReadsSpent
from payments.core.payment import Payment, PaymentStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TIME_INDEX: Final = "by-time"
"""The index of all payments by the time of their acceptance."""

MOST_QUERIES: Final = 35
"""How many queries a page may take: one a shard, and three for shards with more than a query holds."""

_CALLS_AT_ONCE: Final = 16

_ENTRIES: Final = 32
"""Entries in 4 KB, which a query reads at the least price: a fair share is 3 of 100."""

_ENTRIES_TO_FILTER: Final = 100

_EARLIEST, _LATEST = "0", "9"
"""What comes before and after every time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    name: str
    shard: str
    at: str
    shards: range


_BY_TIME: Final = _Index(
    name=TIME_INDEX, shard="time_shard", at="created_at", shards=range(TIME_SHARDS)
)

_OPEN: Final = _Index(
    name=OPEN_INDEX, shard="open_shard", at="accepted_at", shards=range(OPEN_SHARDS)
)

_IN_REVIEW: Final = replace(_OPEN, shards=range(REVIEW_SHARDS.stop))
"""A payment that waits for a person is among the open ones as soon as somebody has decided."""

_INDEXES: Final = {
    **{status: _OPEN for status in PaymentStatus if status.is_open},
    PaymentStatus.IN_REVIEW: _IN_REVIEW,
}


class PaymentLists:
    """Lists of payments; every AWS failure is a :class:`ServiceUnavailable`."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep
        self._pool = ThreadPoolExecutor(_CALLS_AT_ONCE)

    def entries(self, filters: Filters, after: Position | None) -> Iterator[Entry]:
        """Yield the entries behind a position, the newest first.

        Those of other times than the filters ask for do not come; the caller looks at the rest.

        Raises:
            ReadsSpent: there may be more, and no query is left.
        """
        index = _BY_TIME if filters.status is None else _INDEXES.get(filters.status, _BY_TIME)
        queries = [_query(index, shard, filters, after) for shard in index.shards]
        # All shards are needed before the first entry is known.
        first = self._pool.map(self._page, queries)
        left = iter(range(MOST_QUERIES - len(queries)))
        shards = [
            self._shard(index, query, page, left)
            for query, page in zip(queries, list(first), strict=True)
        ]
        for entry in heapq.merge(*shards, key=lambda entry: entry.position, reverse=True):
            if after is None or entry.position < after:
                yield entry

    def payments(self, payment_ids: Sequence[str]) -> list[Payment]:
        """Return at most 100 payments as they stand, in the order of their ids as given."""
        keys = map(payment_key, payment_ids)
        items = read_items(self._client, self._table, keys, sleep=self._sleep)
        found = {item["payment_id"]: payment_of(item) for item in items}
        if len(found) < len(payment_ids):
            raise ServiceUnavailable("a payment in the index could not be read")
        return [found[payment_id] for payment_id in payment_ids]

    def _shard(
        self, index: _Index, query: dict[str, Any], page: dict[str, Any], left: Iterator[int]
    ) -> Iterator[Entry]:
        """Yield a shard's entries in the one order that all shards have.

        DynamoDB says nothing about the order of entries of one time.
        """
        entries = (_entry(index, item) for item in self._items(query, page, left))
        for _, of_one_time in groupby(entries, key=lambda entry: entry.position.created_at):
            yield from sorted(of_one_time, key=lambda entry: entry.position, reverse=True)

    def _items(
        self, query: dict[str, Any], page: dict[str, Any], left: Iterator[int]
    ) -> Iterator[dict[str, Any]]:
        while True:
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            if next(left, None) is None:
                raise ReadsSpent
            page = self._page({**query, "ExclusiveStartKey": page["LastEvaluatedKey"]})

    def _page(self, query: dict[str, Any]) -> dict[str, Any]:
        with unavailable("payments could not be listed"):
            answer: Any = self._client.query(TableName=self._table, **query)
        return dict(answer)


def _query(index: _Index, shard: int, filters: Filters, after: Position | None) -> dict[str, Any]:
    latest = min(filters.created_to or _LATEST, _LATEST if after is None else after.created_at)
    all_match = filters == Filters(created_from=filters.created_from, created_to=filters.created_to)
    return {
        "IndexName": index.name,
        "KeyConditionExpression": "#shard = :shard AND #at BETWEEN :from AND :to",
        "ExpressionAttributeNames": {"#shard": index.shard, "#at": index.at},
        "ExpressionAttributeValues": serialize(
            {
                ":shard": shard,
                ":from": min(filters.created_from or _EARLIEST, latest),
                ":to": latest,
            }
        ),
        "ScanIndexForward": False,
        "Limit": _ENTRIES if all_match else _ENTRIES_TO_FILTER,
    }


def _entry(index: _Index, item: dict[str, Any]) -> Entry:
    plain = deserialize(item)
    position = Position(plain[index.at], plain["payment_id"])
    return Entry(position, plain.get("currency"), plain.get("source"))
