"""Adapter: what is known of batches, in the table of processing status.

Nothing here is a counter that a retry could count twice: ranges are items with a key of their own,
and outcomes of rows are counted in the transaction that brings them about (``payments.aws.payments``).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from payments.aws.failures import unavailable
from payments.aws.items import deserialize, expires_at, serialize
from payments.aws.keys import (
    OUTCOME_PARTITIONS,
    ROW_SHARDS,
    batch_outcomes,
    batch_ranges,
    batch_rows,
    batch_status_key,
    batch_statuses,
    range_key,
)
from payments.aws.rows import not_paid_row, refunds_of
from payments.batches.progress import BatchProgress, BatchStatus, NotPaidRow, RangeResult
from payments.core.payment import RowOutcome

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


# A batch that failed may be tried again and still complete; the others are ends.
_SEQUENCE: Final = {
    BatchStatus.PROCESSING: 1,
    BatchStatus.FAILED: 2,
    BatchStatus.REFUSED: 3,
    BatchStatus.COMPLETED: 3,
}


class BatchStore:
    """Batches; every AWS failure is a :class:`ServiceUnavailable`."""

    row_shards: Final = ROW_SHARDS

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def record(
        self,
        batch_id: str,
        status: BatchStatus,
        at: str,
        *,
        details: Mapping[str, Any] | None = None,
    ) -> str:
        """Write a status of a batch, unless it has one at this point; the first stays.

        Returns:
            Since when the batch has had a status at this point.
        """
        item = {
            **batch_status_key(batch_id, _SEQUENCE[status]),
            "status": status.value,
            "at": at,
            "expires_at": expires_at(at),
            **(details or {}),
        }
        with unavailable("the batch could not be written"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=serialize(item),
                    ConditionExpression="attribute_not_exists(entity_id)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                answer: dict[str, Any] = dict(error.response)
                return str(deserialize(answer["Item"])["at"])
        return at

    def record_range(self, batch_id: str, result: RangeResult, at: str) -> None:
        """Write what became of a range; a repeated range writes the same once more."""
        item = {
            **range_key(batch_id, result.number),
            "expires_at": expires_at(at),
            "accepted": result.accepted,
            "rejected": result.rejected,
            "accepted_minor": dict(result.accepted_minor),
            "exponents": dict(result.exponents),
            "reports": result.reports,
        }
        with unavailable("what became of a range could not be written"):
            self._client.put_item(TableName=self._table, Item=serialize(item))

    def progress(self, batch_id: str) -> BatchProgress | None:
        """Return a batch as it stands, or ``None``."""
        timeline = list(self._query(batch_statuses(batch_id)))
        if not timeline:
            return None
        ranges = [
            RangeResult(
                number=item["sequence"],
                accepted=item["accepted"],
                rejected=item["rejected"],
                accepted_minor=_integers(item["accepted_minor"]),
                exponents=_integers(item["exponents"]),
                reports=item["reports"],
            )
            for item in self._query(batch_ranges(batch_id))
        ]
        outcomes: Counter[str] = Counter()
        refunds: Counter[tuple[str, int]] = Counter()
        for partition in range(OUTCOME_PARTITIONS):
            for item in self._query(batch_outcomes(batch_id, partition)):
                for outcome in RowOutcome:
                    outcomes[outcome.value] += item.get(outcome.value, 0)
                refunds.update(refunds_of(item))
        return BatchProgress(timeline, ranges, outcomes, refunds)

    def times(self, batch_id: str) -> tuple[str | None, str | None]:
        """Return when reading a batch began and when its last payment was settled, if known."""
        at = {item["sequence"]: item["at"] for item in self._query(batch_statuses(batch_id))}
        return at.get(_SEQUENCE[BatchStatus.PROCESSING]), at.get(_SEQUENCE[BatchStatus.COMPLETED])

    def not_paid(
        self, batch_id: str, shards: Iterable[int] = range(ROW_SHARDS)
    ) -> Iterator[NotPaidRow]:
        """Yield the accepted rows whose payment id was taken or which were refused, or some shards of them."""
        for shard in shards:
            for item in self._query(batch_rows(batch_id, shard)):
                yield not_paid_row(item)

    def _query(self, entity_id: str) -> Iterator[dict[str, Any]]:
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "entity_id = :id",
            "ExpressionAttributeValues": serialize({":id": entity_id}),
            "ConsistentRead": True,
        }
        while True:
            with unavailable("the batch could not be read"):
                answer = self._client.query(**arguments)
            yield from map(deserialize, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _integers(numbers: Mapping[str, Any]) -> dict[str, int]:
    """Return numbers that DynamoDB keeps in a map; boto3 gives them as ``Decimal``."""
    return {name: int(number) for name, number in numbers.items()}
