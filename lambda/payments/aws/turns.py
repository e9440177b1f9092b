"""Adapter: turns at the processor, so many a second, for all executions of a function together."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from payments.aws.failures import unavailable
from payments.aws.items import deserialize, serialize
from payments.aws.keys import turn_key
from payments.core.faults import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MICROSECONDS: Final = 1_000_000
_ATTEMPTS: Final = 10
_AT_WORK_SECONDS: Final = 60
"""Nobody is at work on a line of which no turn was taken for so long."""


class Turns:
    """Hands out turns from one item, which holds when the next turn is.

    One write takes the turns of all messages of an invocation. So a processor that takes
    25 payments a second costs a few writes a second.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        per_second: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._table = table
        self.per_second = per_second
        self._clock = clock

    def take(self, count: int, *, waiting_since: float | None = None) -> list[float]:
        """Take so many turns; return in how many seconds each is, the first perhaps in none.

        Args:
            count: how many.
            waiting_since: when the first of those who take them was put in line, in seconds since
                1970, if that is a line of which :meth:`front` shall tell.

        Raises:
            ServiceUnavailable: no turn was taken, or nobody knows.
        """
        for _ in range(_ATTEMPTS):
            now = round(self._clock() * _MICROSECONDS)
            length = count * _MICROSECONDS // self.per_second
            begin = self._behind_others(now, length, waiting_since) or self._as_the_first(
                now, length, waiting_since
            )
            if begin is not None:
                first = (begin - now) / _MICROSECONDS
                return [first + number / self.per_second for number in range(count)]
        raise ServiceUnavailable("turns at the processor are taken by too many concurrently")

    def front(self) -> datetime | None:
        """Return when those were put in line whose turn it is; ``None`` if none of them takes one.

        Raises:
            ServiceUnavailable: nobody knows.
        """
        with unavailable("the line before the processor could not be read"):
            answer = self._client.get_item(
                TableName=self._table, Key=serialize(turn_key()), ConsistentRead=True
            )
        item = deserialize(answer.get("Item", {}))
        idle_since = (self._clock() - _AT_WORK_SECONDS) * _MICROSECONDS
        if item.get("front_seen_at", 0) < idle_since:
            return None
        return datetime.fromtimestamp(int(item["front_at"]) / _MICROSECONDS, UTC)

    def _behind_others(self, now: int, length: int, since: float | None) -> int | None:
        end = self._update("next_at + :length", "next_at > :now", now, length, since)
        return None if end is None else end - length

    def _as_the_first(self, now: int, length: int, since: float | None) -> int | None:
        condition = "attribute_not_exists(next_at) OR next_at <= :now"
        end = self._update(":now + :length", condition, now, length, since)
        return None if end is None else now

    def _update(
        self, next_at: str, condition: str, now: int, length: int, since: float | None
    ) -> int | None:
        expression, values = f"SET next_at = {next_at}", {":now": now, ":length": length}
        if since is not None:
            expression += ", front_at = :front, front_seen_at = :now"
            values[":front"] = round(since * _MICROSECONDS)
        with unavailable("a turn at the processor could not be taken"):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=serialize(turn_key()),
                    UpdateExpression=expression,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=serialize(values),
                    ReturnValues="UPDATED_NEW",
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
        return int(deserialize(answer["Attributes"])["next_at"])
