"""Reading many items of a table by their keys."""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from payments.aws.failures import unavailable
from payments.aws.items import Item, deserialize, serialize
from payments.core.faults import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ATTEMPTS: Final = 8

_BACKOFF_SECONDS: Final = 0.05


def read_items(
    client: "DynamoDBClient",
    table: str,
    keys: Iterable[Mapping[str, Any]],
    *,
    sleep: Callable[[float], None],
    only: str | None = None,
) -> list[Item]:
    """Return those of at most 100 items that there are, strongly consistent and in no order.

    Args:
        client: DynamoDB's.
        table: the name of the table.
        keys: the items' keys, in plain Python.
        sleep: what waits between tries.
        only: the attributes to read (a projection expression); all by default.

    Raises:
        ServiceUnavailable: not all of them could be read.
    """
    wanted = [serialize(key) for key in keys]
    projection: Any = {} if only is None else {"ProjectionExpression": only}
    found: list[Item] = []
    for attempt in range(_ATTEMPTS):
        if not wanted:
            return found
        request: Any = {"Keys": wanted, "ConsistentRead": True, **projection}
        with unavailable("items could not be read"):
            answer = client.batch_get_item(RequestItems={table: request})
        found += map(deserialize, answer["Responses"].get(table, []))
        # An answer has as much as the table could give at that moment.
        unread = answer["UnprocessedKeys"].get(table, {"Keys": []})["Keys"]
        if len(unread) == len(wanted):
            sleep(random.uniform(0, _BACKOFF_SECONDS * 2**attempt))
        wanted = list(unread)
    raise ServiceUnavailable("not all items could be read")
