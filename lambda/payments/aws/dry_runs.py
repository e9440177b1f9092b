"""Adapter: what a dry run asks of the payments, and remembers of its own rows.

The rows that would not be paid, and their counts, are where those of a real run are, so
``payments.aws.batches`` reads them without a difference.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from payments.aws.batch_reads import read_items
from payments.aws.failures import unavailable
from payments.aws.items import CLAIM_RETENTION, Item, deserialize, expires_at, serialize
from payments.aws.keys import (
    claim_key,
    dry_run_outcomes_key,
    operation_key,
    payment_key,
    refund_claim_key,
    refund_left_key,
    row_key,
)
from payments.aws.operations import operation_of
from payments.aws.payments import payment_of
from payments.aws.rows import not_paid_item, refunds_attribute
from payments.aws.transactions import Transactions
from payments.batches.ports import RefundKey, RefundsSeen
from payments.batches.progress import IdHolder, NotPaidRow, RefundSums
from payments.batches.records import ValidRow
from payments.core.amounts import Amounts
from payments.core.content import Content, RefundContent
from payments.core.faults import ServiceUnavailable
from payments.core.operation import OperationKind
from payments.core.payment import RowOutcome

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef, TransactWriteItemTypeDef

_ATTEMPTS: Final = 8

_BACKOFF_SECONDS: Final = 0.05

_NO_REFUNDS: Final[RefundSums] = {}


class DryRunStore:
    """Dry runs; every AWS failure is a :class:`ServiceUnavailable`."""

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        payments_table: str,
        processing_status_table: str,
        operations_table: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._payments = payments_table
        self._processing_status = processing_status_table
        self._operations = operations_table
        self._sleep = sleep
        self._transactions = Transactions(client, sleep=sleep)

    def claim(
        self, batch_id: str, rows: Sequence[ValidRow[Content]], at: str
    ) -> Mapping[str, IdHolder]:
        """Return who has the payment id of each of at most 100 rows: the first write decides."""
        stored = self._content_hashes({row.content.payment_id for row in rows})
        unclaimed: dict[str, IdHolder] = {}
        for row in rows:
            payment_id = row.content.payment_id
            if payment_id in stored:
                unclaimed[payment_id] = IdHolder(None, stored[payment_id])
            elif payment_id not in unclaimed:
                unclaimed[payment_id] = IdHolder(row.line, row.content.hash)
        holders: dict[str, IdHolder] = {}
        for attempt in range(_ATTEMPTS):
            items = [_claim(batch_id, *claim, at) for claim in unclaimed.items()]
            reasons = self._put(items, "attribute_not_exists(entity_id)")
            if not reasons:
                return {**holders, **unclaimed}
            for payment_id, reason in zip(list(unclaimed), reasons, strict=True):
                # Nobody changes a claim, so this answer is final whatever stopped the others.
                if "Item" in reason:
                    item = deserialize(reason["Item"])
                    holders[payment_id] = IdHolder(item.get("line"), item["content_hash"])
                    del unclaimed[payment_id]
            if not unclaimed:
                return holders
            if any(reason.get("Code") in _PASSING for reason in reasons):
                self._wait(attempt)
        raise ServiceUnavailable(
            "the payment ids of a dry run are written by too many concurrently"
        )

    def record_not_paid(self, batch_id: str, rows: Sequence[NotPaidRow], at: str) -> None:
        """Write at most 100 rows that would not be paid; a repeated range writes the same."""
        items = [
            {
                **row_key(batch_id, row.line),
                **not_paid_item(row.content, row.outcome, row.fault),
                "expires_at": expires_at(at),
            }
            for row in rows
        ]
        for attempt in range(_ATTEMPTS):
            if not self._put(items):
                return
            self._wait(attempt)
        raise ServiceUnavailable("rows of a dry run are written by too many concurrently")

    def record_outcomes(
        self,
        batch_id: str,
        range_number: int,
        counts: Mapping[RowOutcome, int],
        at: str,
        *,
        refunds: RefundSums = _NO_REFUNDS,
    ) -> None:
        """Write how many rows of a range would have which outcome, and what would be refunded."""
        item = {
            **dry_run_outcomes_key(batch_id, range_number),
            **{outcome.value: count for outcome, count in counts.items()},
            **{refunds_attribute(*money): minor for money, minor in refunds.items()},
            "expires_at": expires_at(at),
        }
        with unavailable("the outcomes of a dry run could not be written"):
            self._client.put_item(TableName=self._processing_status, Item=serialize(item))

    def refunds(self, batch_id: str, contents: Sequence[RefundContent]) -> RefundsSeen:
        """Return what there is of at most 40 refunds and their payments, strongly consistent."""
        which = {(content.payment_id, content.refund_id) for content in contents}
        payment_ids = sorted({payment_id for payment_id, _ in which})
        refund = OperationKind.REFUND
        payments = self._read(self._payments, map(payment_key, payment_ids))
        stored = self._read(self._operations, (operation_key(p, refund, r) for p, r in which))
        keys = chain(
            (refund_claim_key(batch_id, *each) for each in which),
            (refund_left_key(batch_id, payment_id) for payment_id in payment_ids),
        )
        holders: dict[RefundKey, IdHolder] = {}
        for operation in map(operation_of, stored):
            key = operation.payment_id, operation.operation_id
            holders[key] = IdHolder(None, operation.request_hash)
        amounts: dict[str, Amounts] = {}
        for item in self._read(self._processing_status, keys):
            if "refund_id" in item:
                # What the dry run has said once stays, whatever was refunded meanwhile.
                key = item["payment_id"], item["refund_id"]
                holders[key] = IdHolder(item["line"], item["content_hash"])
            else:
                amounts[item["payment_id"]] = Amounts.from_dict(item)
        return RefundsSeen(
            payments={item["payment_id"]: payment_of(item) for item in payments},
            holders=holders,
            amounts=amounts,
        )

    def claim_refunds(
        self,
        batch_id: str,
        claims: Mapping[RefundKey, IdHolder],
        before: RefundsSeen,
        amounts: Mapping[str, Amounts],
        at: str,
    ) -> bool:
        """Write who has which refund and what is left of their payments, all or nothing.

        Returns:
            Whether it is written; else somebody wrote one of them meanwhile.
        """
        expires = {"expires_at": expires_at(at, CLAIM_RETENTION)}
        writes = [
            self._put_if(
                {
                    **refund_claim_key(batch_id, payment_id, refund_id),
                    "payment_id": payment_id,
                    "refund_id": refund_id,
                    "line": holder.line,
                    "content_hash": holder.content_hash,
                    **expires,
                },
                None,
            )
            for (payment_id, refund_id), holder in claims.items()
        ]
        for payment_id, left in amounts.items():
            item = {
                **refund_left_key(batch_id, payment_id),
                "payment_id": payment_id,
                **left.to_dict(),
                **expires,
            }
            writes.append(self._put_if(item, before.amounts.get(payment_id)))
        return not self._transactions.write(writes)

    def _put_if(self, item: Item, before: Amounts | None) -> "TransactWriteItemTypeDef":
        """Return a write, given that there is none yet, or one that leaves so much to refund."""
        put: PutTypeDef = {
            "TableName": self._processing_status,
            "Item": serialize(item),
            "ConditionExpression": "attribute_not_exists(entity_id)",
        }
        if before is not None:
            put["ConditionExpression"] = "refundable_minor = :before"
            put["ExpressionAttributeValues"] = serialize({":before": before.refundable})
        return {"Put": put}

    def _read(self, table: str, keys: Iterable[Mapping[str, Any]]) -> list[Item]:
        return read_items(self._client, table, keys, sleep=self._sleep)

    def _content_hashes(self, payment_ids: Iterable[str]) -> dict[str, str]:
        """Return the content hash of each of these ids that a payment has."""
        items = read_items(
            self._client,
            self._payments,
            map(payment_key, sorted(payment_ids)),
            sleep=self._sleep,
            only="payment_id, content_hash",
        )
        return {item["payment_id"]: item["content_hash"] for item in items}

    def _put(self, items: Iterable[Item], condition: str | None = None) -> list[dict[str, Any]]:
        """Write all items or none; return why, item by item, if none is written."""
        only_if: dict[str, Any] = {}
        if condition is not None:
            only_if = {
                "ConditionExpression": condition,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        writes: list[TransactWriteItemTypeDef] = [
            {
                "Put": {
                    "TableName": self._processing_status,
                    "Item": serialize(item),
                    **only_if,  # type: ignore[typeddict-item]  # of the same names
                }
            }
            for item in items
        ]
        with unavailable("a dry run could not be recorded"):
            try:
                self._client.transact_write_items(TransactItems=writes)
            except self._client.exceptions.TransactionCanceledException as error:
                return [dict(reason) for reason in error.response["CancellationReasons"]]
        return []

    def _wait(self, attempt: int) -> None:
        self._sleep(random.uniform(0, _BACKOFF_SECONDS * 2**attempt))


# What is over shortly.
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_PASSING: Final = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)


def _claim(batch_id: str, payment_id: str, holder: IdHolder, at: str) -> Item:
    line = {} if holder.line is None else {"line": holder.line}
    return {
        **claim_key(batch_id, payment_id),
        **line,
        "content_hash": holder.content_hash,
        "expires_at": expires_at(at, CLAIM_RETENTION),
    }
