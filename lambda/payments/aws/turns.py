"""Adapter: turns at the processor, so many a second, for all executions of a function together."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from payments.aws.failures import unavailable
from payments.aws.items import deserialize, serialize
from payments.aws.keys import turn_key
from payments.core.faults import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MICROSECONDS: Final = 1_000_000
_ATTEMPTS: Final = 10


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
        self._per_second = per_second
        self._clock = clock

    def take(self, count: int) -> list[float]:
        """Take so many turns; return in how many seconds each is, the first perhaps in none.

        Raises:
            ServiceUnavailable: no turn was taken, or nobody knows.
        """
        for _ in range(_ATTEMPTS):
            now = round(self._clock() * _MICROSECONDS)
            length = count * _MICROSECONDS // self._per_second
            begin = self._behind_others(now, length) or self._as_the_first(now, length)
            if begin is not None:
                first = (begin - now) / _MICROSECONDS
                return [first + number / self._per_second for number in range(count)]
        raise ServiceUnavailable("turns at the processor are taken by too many at once")

    def _behind_others(self, now: int, length: int) -> int | None:
        end = self._update("SET next_at = next_at + :length", "next_at > :now", now, length)
        return None if end is None else end - length

    def _as_the_first(self, now: int, length: int) -> int | None:
        end = self._update(
            "SET next_at = :now + :length",
            "attribute_not_exists(next_at) OR next_at <= :now",
            now,
            length,
        )
        return None if end is None else now

    def _update(self, expression: str, condition: str, now: int, length: int) -> int | None:
        with unavailable("a turn at the processor could not be taken"):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=serialize(turn_key()),
                    UpdateExpression=expression,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=serialize({":now": now, ":length": length}),
                    ReturnValues="UPDATED_NEW",
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
        return int(deserialize(answer["Attributes"])["next_at"])
