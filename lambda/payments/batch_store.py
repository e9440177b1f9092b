"""Adapter: what is known of batches, in the table of processing status.

Nothing here is a counter that a retry could count twice: ranges are items with a key of their own,
and outcomes of rows are counted in the transaction that brings them about (``payments.store``).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from payments.dynamodb_items import deserialize, expires_at, serialize
from payments.errors import ServiceUnavailable
from payments.keys import (
    ROW_SHARDS,
    batch_outcomes,
    batch_ranges,
    batch_rows,
    batch_status_key,
    batch_statuses,
    range_key,
)
from payments.models import RowOutcome
from payments.money import to_decimal_text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


BATCH_ID: Final = re.compile(r"batch_[0-9a-f]{32}")
"""What a batch id looks like; always used with ``fullmatch``."""


def rejected_report(range_number: int, part: int) -> str:
    """Return the name of a part of a range's report; most ranges have one part at most."""
    return f"rejected-{range_number:05}{f'-{part:05}' if part else ''}.csv"


def not_paid_report(number: int) -> str:
    """Return the name of a report of rows that were not paid."""
    return f"not-paid-{number:05}.csv"


class BatchStatus(StrEnum):
    """Where a batch is: ``PROCESSING`` → ``COMPLETED``, ``REFUSED`` or ``FAILED``.

    A ``FAILED`` batch ends otherwise once another try has carried it through.
    """

    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"

    @property
    def has_ended(self) -> bool:
        """Whether nobody works on the batch any more."""
        return self is not BatchStatus.PROCESSING

    @property
    def is_open(self) -> bool:
        """Whether the batch may still complete: another try of one that failed may."""
        return self in {BatchStatus.PROCESSING, BatchStatus.FAILED}


# A batch that failed may be tried again and still complete; the others are ends.
_SEQUENCE: Final = {
    BatchStatus.PROCESSING: 1,
    BatchStatus.FAILED: 2,
    BatchStatus.REFUSED: 3,
    BatchStatus.COMPLETED: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeResult:
    """What became of the rows of one range; sums are in minor units by currency.

    ``reports`` is how many parts the report of its rejected rows has.
    """

    number: int
    accepted: int
    rejected: int
    accepted_minor: Mapping[str, int]
    reports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPaidRow:
    """An accepted row whose payment id was taken."""

    line: int
    payment_id: str
    amount_minor: int
    currency: str
    outcome: str


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """A batch as it stands."""

    timeline: list[dict[str, Any]]
    ranges: list[RangeResult]
    outcomes: Mapping[str, int]

    @property
    def status(self) -> BatchStatus:
        """The newest status."""
        return BatchStatus(self.timeline[-1]["status"])

    @property
    def is_open(self) -> bool:
        """Whether it may still complete."""
        return self.status.is_open

    @property
    def updated_at(self) -> str:
        """Since when it has that status."""
        return str(self.timeline[-1]["at"])

    @property
    def accepted(self) -> int:
        """Valid rows so far."""
        return sum(part.accepted for part in self.ranges)

    @property
    def not_paid(self) -> int:
        """Accepted rows so far whose payment id was taken."""
        taken = (RowOutcome.DUPLICATE, RowOutcome.CONFLICT)
        return sum(self.outcomes.get(outcome.value, 0) for outcome in taken)

    @property
    def is_settled(self) -> bool:
        """Whether every accepted row has its outcome, given that all ranges are processed."""
        return self.timeline[0]["dry_run"] or sum(self.outcomes.values()) >= self.accepted

    def describe(self) -> dict[str, Any]:
        """Return the batch as clients see it; amounts are decimal strings."""
        head, last = self.timeline[0], self.timeline[-1]
        rejected = sum(part.rejected for part in self.ranges)
        sums: Counter[str] = Counter()
        for part in self.ranges:
            sums.update(part.accepted_minor)
        counts = {outcome.value: self.outcomes.get(outcome.value, 0) for outcome in RowOutcome}
        body: dict[str, Any] = {
            **{name: head[name] for name in ("batch_id", "bucket", "key", "version_id")},
            "dry_run": head["dry_run"],
            "status": self.status.value,
            "created_at": head["at"],
            "updated_at": last["at"],
            "rows": self.accepted + rejected,
            "accepted": self.accepted,
            "rejected": rejected,
            **counts,
            "accepted_amounts": {
                currency: to_decimal_text(minor, currency)
                for currency, minor in sorted(sums.items())
            },
            "reports": {
                "summary": None if self.is_open else f"{head['reports']}/summary.json",
                "rejected": [
                    f"{head['reports']}/{rejected_report(part.number, number)}"
                    for part in self.ranges
                    for number in range(part.reports)
                ],
                "not_paid": [
                    f"{head['reports']}/{not_paid_report(number)}"
                    for number in range(last.get("not_paid_reports", 0))
                ],
            },
        }
        if "reason_code" in last:
            body["reason"] = {"code": last["reason_code"], "message": last["reason_message"]}
        return body


class BatchStore:
    """Batches; every AWS failure is a :class:`ServiceUnavailable`."""

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
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable("the batch could not be written") from error
        return at

    def record_range(self, batch_id: str, result: RangeResult, at: str) -> None:
        """Write what became of a range; a repeated range writes the same once more."""
        item = {
            **range_key(batch_id, result.number),
            "expires_at": expires_at(at),
            "accepted": result.accepted,
            "rejected": result.rejected,
            "accepted_minor": dict(result.accepted_minor),
            "reports": result.reports,
        }
        self._call(self._client.put_item, TableName=self._table, Item=serialize(item))

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
                accepted_minor={
                    currency: int(minor) for currency, minor in item["accepted_minor"].items()
                },
                reports=item["reports"],
            )
            for item in self._query(batch_ranges(batch_id))
        ]
        outcomes: Counter[str] = Counter()
        for item in self._query(batch_outcomes(batch_id)):
            for outcome in RowOutcome:
                outcomes[outcome.value] += item.get(outcome.value, 0)
        return BatchProgress(timeline, ranges, outcomes)

    def not_paid(
        self, batch_id: str, shards: Iterable[int] = range(ROW_SHARDS)
    ) -> Iterator[NotPaidRow]:
        """Yield the accepted rows whose payment id was taken, or some shards of them."""
        for shard in shards:
            for item in self._query(batch_rows(batch_id, shard)):
                yield NotPaidRow(
                    line=item["sequence"],
                    payment_id=item["payment_id"],
                    amount_minor=item["amount_minor"],
                    currency=item["currency"],
                    outcome=item["outcome"],
                )

    def _query(self, entity_id: str) -> Iterator[dict[str, Any]]:
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "entity_id = :id",
            "ExpressionAttributeValues": serialize({":id": entity_id}),
            "ConsistentRead": True,
        }
        while True:
            answer = self._call(self._client.query, **arguments)
            yield from map(deserialize, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _call(self, operation: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return operation(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable("the batch could not be read or written") from error
