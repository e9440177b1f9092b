"""The payments table as lists read it, in memory: two indexes in order, and items by key.

moto goes through the whole table for every query, so it cannot hold as many payments as a test of
reads needs. ``test_lists.py`` compares both.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from payments.aws.items import serialize
from payments.aws.lists import TIME_INDEX
from payments.aws.payments import payment_item
from payments.core.payment import Payment

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = {TIME_INDEX: ("time_shard", "created_at"), "open-payments": ("open_shard", "accepted_at")}
INCLUDED = {TIME_INDEX: ("currency", "source"), "open-payments": ()}


class IndexedPayments:
    """Answers the two calls that lists make, and counts them; ``page`` is the most of a query."""

    def __init__(self, page: int = 1000) -> None:
        self.calls: Counter[str] = Counter()
        self.between: Callable[[], None] = lambda: None
        """Is called before each call."""
        self._page = page
        self._items: dict[str, dict[str, Any]] = {}
        self._orders: dict[str, dict[str, list[tuple[str, str]]]] = {
            name: defaultdict(list) for name in KEYS
        }

    def put(self, payment: Payment) -> None:
        item = serialize(payment_item(payment))
        self._items[payment.payment_id] = item
        for name, (shard, at) in KEYS.items():
            if shard in item:
                entry = (item[at]["S"], payment.payment_id)
                insort(self._orders[name][item[shard]["N"]], entry)

    def query(self, **request: Any) -> dict[str, Any]:
        self.between()
        self.calls["Query"] += 1
        name, values = request["IndexName"], request["ExpressionAttributeValues"]
        shard, at = KEYS[name]
        assert request["KeyConditionExpression"] == "#shard = :shard AND #at BETWEEN :from AND :to"
        assert request["ExpressionAttributeNames"] == {"#shard": shard, "#at": at}
        assert request["ScanIndexForward"] is False
        earliest, latest = values[":from"]["S"], values[":to"]["S"]
        assert earliest <= latest
        order = self._orders[name][values[":shard"]["N"]]
        end = bisect_right(order, (latest, "~"))
        if "ExclusiveStartKey" in request:
            start = request["ExclusiveStartKey"]
            end = min(end, bisect_left(order, (start[at]["S"], start["payment_id"]["S"])))
        begin = bisect_left(order, (earliest, ""))
        most = min(request["Limit"], self._page)
        entries = order[max(begin, end - most) : end][::-1]
        attributes = ("payment_id", shard, at, *INCLUDED[name])
        items = [
            {name: self._items[payment_id][name] for name in attributes}
            for _, payment_id in entries
        ]
        answer: dict[str, Any] = {"Items": items}
        # As DynamoDB does, also when nothing follows.
        if len(entries) == most:
            answer["LastEvaluatedKey"] = {
                name: items[-1][name] for name in ("payment_id", shard, at)
            }
        return answer

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        self.between()
        self.calls["BatchGetItem"] += 1
        ((table, wanted),) = request["RequestItems"].items()
        assert wanted["ConsistentRead"] is True
        assert len(wanted["Keys"]) <= 100
        items = [self._items[key["payment_id"]["S"]] for key in wanted["Keys"]]
        return {"Responses": {table: items[::-1]}, "UnprocessedKeys": {}}
