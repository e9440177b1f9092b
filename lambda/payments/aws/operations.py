"""Adapter: operations on payments in DynamoDB.

Each step of an operation is one transaction: the operation, its payment, guarded by the hash of the
payment's last audit record, and the next audit record. Every AWS failure is ``ServiceUnavailable``.
"""

import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from payments.aws.batch_reads import read_items
from payments.aws.failures import unavailable
from payments.aws.items import Item, deserialize, expires_at, serialize
from payments.aws.keys import operation_key, row_key
from payments.aws.payments import (
    BY_ANOTHER,
    Tables,
    audit_put,
    payment_of,
    payment_update,
    row_count,
)
from payments.aws.rows import counted, not_paid_item, refunds_attribute
from payments.aws.transactions import Transactions
from payments.core.asking import Asked
from payments.core.audit import AuditRecord, operation_record, submission, transition_record
from payments.core.content import RefundContent
from payments.core.faults import (
    FieldError,
    PaymentNotFound,
    RowEnded,
    ServiceUnavailable,
    StaleOperation,
    StaleTransition,
)
from payments.core.operation import (
    Operation,
    OperationKind,
    OperationRef,
    OperationStatus,
    OperationStep,
)
from payments.core.payment import Failure, Payment, RowOutcome, Transition, batch_row
from payments.core.review import OwnRefund, Person, Review

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

DUE_INDEX: Final = "due-operations"
"""The sparse index of the operations that the sweep looks at again, and when."""

DUE_SHARDS: Final = 16
"""Over how many partitions of that index they are spread."""

REVIEW_SHARDS: Final = range(DUE_SHARDS, 2 * DUE_SHARDS)
"""The partitions of the same index that hold the refunds which wait for a person."""

_DUE_PAGE: Final = 100

_ENDS: Final = frozenset({OperationStatus.COMPLETED, OperationStatus.FAILED})

_OPTIONAL: Final = ("reason", "gateway_reference", "due_at", "reviewer_id")


class OperationStore:
    """Refunds, captures and cancellations as they stand."""

    def __init__(
        self,
        client: "DynamoDBClient",
        tables: Tables,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._tables = tables
        self._sleep = sleep
        self._transactions = Transactions(client, sleep=sleep)

    def get(self, payment_id: str, kind: OperationKind, operation_id: str) -> Operation | None:
        """Return an operation as it stands (strongly consistent), or ``None``."""
        with unavailable("the operation could not be read"):
            answer = self._client.get_item(
                TableName=self._tables.operations,
                Key=serialize(operation_key(payment_id, kind, operation_id)),
                ConsistentRead=True,
            )
        return operation_of(deserialize(answer["Item"])) if "Item" in answer else None

    def of(self, payment_id: str, kind: OperationKind | None = None) -> list[Operation]:
        """Return the operations on a payment, of one kind or of all, by kind and id."""
        query: dict[str, Any] = {
            "TableName": self._tables.operations,
            "KeyConditionExpression": "payment_id = :id AND begins_with(operation, :kind)",
            "ExpressionAttributeValues": serialize({":id": payment_id, ":kind": f"{kind}#"}),
            "ConsistentRead": True,
        }
        if kind is None:
            query["KeyConditionExpression"] = "payment_id = :id"
            query["ExpressionAttributeValues"] = serialize({":id": payment_id})
        operations: list[Operation] = []
        while True:
            with unavailable("the operations could not be read"):
                answer = self._client.query(**query)
            operations.extend(operation_of(deserialize(item)) for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return operations
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def commit(
        self,
        payment: Payment,
        steps: Sequence[OperationStep],
        transition: Transition | None = None,
    ) -> Payment:
        """Take operations a step further, and their payment to another status, all or nothing.

        Args:
            payment: as it was read.
            steps: what the operations were and are.
            transition: the payment's, if it reaches another status thereby.

        Returns:
            The payment as it is now; also when the answer of the write was lost and the repeated
            write found its own items.

        Raises:
            OwnRefund: who decides about a refund has asked for it.
            StaleOperation: the first operation that is not as it was; it is in the error.
            RowEnded: the row of a file that asks for it was recorded as not paid.
            StaleTransition: the payment has moved meanwhile; the error holds it as it is now.
            ValueError: the amounts of the payment do not allow it.
        """
        moved, records = payment, list[AuditRecord]()
        for step in steps:
            before = None if step.before is None else step.before.status
            record = operation_record(moved, step.after, step.change, before=before)
            records.append(record)
            moved = replace(
                moved,
                version=record["sequence"],
                updated_at=step.change.at,
                audit_hash=record["hash"],
                amounts=step.after.moves(moved.amounts, before),
            )
        counts = [count for step in steps for count in self._row_count(step, moved)]
        if transition is not None:
            record = transition_record(moved, transition)
            records.append(record)
            counts += row_count(self._tables.processing_status, moved, transition)
            moved = moved.after(transition, record["hash"])
        reasons = self._transactions.write(
            [
                *(self._write(step) for step in steps),
                payment_update(self._tables.payments, payment, moved),
                *(audit_put(self._tables.audit_logs, record) for record in records),
                *counts,
                *(check for step in steps for check in self._row_is_open(step)),
            ]
        )
        if reasons and not self._is_written(steps, reasons):
            self._refuse(payment, steps, reasons)
        return moved

    def record_not_refunded(
        self, asked: Asked, outcome: RowOutcome, fault: FieldError | None, *, at: str
    ) -> None:
        """Record and count, once, a row of a file that does not become a refund.

        It never does from then on: :meth:`commit` refuses it.

        Raises:
            StaleOperation: it has become one meanwhile.
        """
        row = batch_row(asked.source)
        if row is None:
            raise ValueError(f"{asked.source} is no row of a file")
        batch_id, line = row
        content = RefundContent(
            asked.payment_id, asked.operation_id, asked.amount or "", asked.reason
        )
        item = {
            **row_key(batch_id, line),
            **not_paid_item(content, outcome.value, fault),
            "expires_at": expires_at(at),
        }
        table = self._tables.processing_status
        reasons = self._transactions.write(
            [
                {
                    "Put": {
                        "TableName": table,
                        "Item": serialize(item),
                        "ConditionExpression": "attribute_not_exists(entity_id)",
                    }
                },
                {
                    "ConditionCheck": {
                        "TableName": self._tables.operations,
                        "Key": serialize(
                            operation_key(asked.payment_id, asked.kind, asked.operation_id)
                        ),
                        "ConditionExpression": "attribute_not_exists(payment_id)"
                        " OR #source <> :source",
                        "ExpressionAttributeNames": {"#source": "source"},
                        "ExpressionAttributeValues": serialize({":source": asked.source}),
                    }
                },
                counted(table, batch_id, asked.payment_id, outcome, at),
            ]
        )
        if reasons and reasons[1].get("Code") == "ConditionalCheckFailed":
            raise StaleOperation(None)

    def _row_count(self, step: OperationStep, payment: Payment) -> list["TransactWriteItemTypeDef"]:
        """Return the count of the row that ends with a step: once, when its refund has its outcome."""
        row = batch_row(step.after.source)
        ended, before = step.after.status, step.before
        if row is None or ended not in _ENDS or before is None or before.status in _ENDS:
            return []
        content, amount = payment.content, step.after.amount_minor
        return [
            counted(
                self._tables.processing_status,
                row[0],
                payment.payment_id,
                RowOutcome(ended.lower()),
                step.change.at,
                {refunds_attribute(content.currency, content.exponent): amount},
            )
        ]

    def _row_is_open(self, step: OperationStep) -> list["TransactWriteItemTypeDef"]:
        """Return the check that the row which asks for an operation was not recorded as not paid."""
        row = batch_row(step.after.source)
        if row is None or step.before is not None:
            return []
        return [
            {
                "ConditionCheck": {
                    "TableName": self._tables.processing_status,
                    "Key": serialize(row_key(*row)),
                    "ConditionExpression": "attribute_not_exists(entity_id)",
                }
            }
        ]

    def _write(self, step: OperationStep) -> "TransactWriteItemTypeDef":
        """Return the write of an operation, given that it is as it was before, or not there."""
        before, item = step.before, _operation_item(step.after)
        if before is None:
            return {
                "Put": {
                    "TableName": self._tables.operations,
                    "Item": serialize(item),
                    "ConditionExpression": "attribute_not_exists(payment_id)",
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            }
        condition = "#status = :before AND updated_at = :at"
        values = {":before": before.status.value, ":at": before.updated_at}
        if (decision := step.change.decision) is not None:
            condition += f" AND {BY_ANOTHER}"
            values |= {":by_id": decision.by.id, ":by_name": decision.by.name}
        return {
            "Put": {
                "TableName": self._tables.operations,
                "Item": serialize(item),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": serialize(values),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _is_written(self, steps: Sequence[OperationStep], reasons: list[dict[str, Any]]) -> bool:
        """Whether every operation is as it was to become, so that this very write happened."""
        stored = [_stored(reason) for reason in reasons[: len(steps)]]
        return stored == [step.after for step in steps]

    def _refuse(
        self, payment: Payment, steps: Sequence[OperationStep], reasons: list[dict[str, Any]]
    ) -> None:
        # The operation first: a lost answer of our own has moved the payment, too.
        for step, reason in zip(steps, reasons, strict=False):
            if reason.get("Code") == "ConditionalCheckFailed":
                stored = _stored(reason)
                if step.change.decision is not None and stored == step.before:
                    raise OwnRefund(step.after.operation_id)
                raise StaleOperation(stored)
        if self._row_is_open(steps[0]) and reasons[-1].get("Code") == "ConditionalCheckFailed":
            raise RowEnded(steps[0].after.source)
        reason = reasons[len(steps)]
        if reason.get("Code") == "ConditionalCheckFailed":
            if "Item" not in reason:
                raise PaymentNotFound(payment.payment_id)
            raise StaleTransition(payment_of(deserialize(reason["Item"])))
        raise ServiceUnavailable("the audit trail is ahead of the payment")

    def due(self, before: str) -> Iterator[OperationRef]:
        """Yield operations that the sweep must look at, from an index that lags a little behind."""
        for shard in range(DUE_SHARDS):
            query: dict[str, Any] = {
                "TableName": self._tables.operations,
                "IndexName": DUE_INDEX,
                "KeyConditionExpression": "due_shard = :shard AND due_at <= :before",
                "ExpressionAttributeValues": serialize({":shard": shard, ":before": before}),
                "Limit": _DUE_PAGE,
            }
            with unavailable("the operations that are due could not be read"):
                answer = self._client.query(**query)
            for item in map(deserialize, answer["Items"]):
                yield _ref_of(item)

    def reviews(self, requested_before: str) -> Iterator[tuple[str, OperationRef]]:
        """Yield the refunds that wait for a decision, each with the time since when.

        A page of each shard in turn, the oldest of a shard first.
        """
        pages = deque(
            {
                "TableName": self._tables.operations,
                "IndexName": DUE_INDEX,
                "KeyConditionExpression": "due_shard = :shard AND due_at <= :before",
                "ExpressionAttributeValues": serialize(
                    {":shard": shard, ":before": requested_before}
                ),
                "Limit": _DUE_PAGE,
            }
            for shard in REVIEW_SHARDS
        )
        while pages:
            page: Any = pages.popleft()
            with unavailable("the refunds in review could not be read"):
                answer = self._client.query(**page)
            for item in map(deserialize, answer["Items"]):
                yield item["due_at"], _ref_of(item)
            if "LastEvaluatedKey" in answer:
                pages.append({**page, "ExclusiveStartKey": answer["LastEvaluatedKey"]})

    def read(self, refs: Sequence[OperationRef]) -> list[Operation]:
        """Return at most 100 operations as they stand, those that are there, in no order."""
        keys = (operation_key(*ref) for ref in refs)
        items = read_items(self._client, self._tables.operations, keys, sleep=self._sleep)
        return [operation_of(item) for item in items]

    def look_again(self, operation: Operation, due_at: str | None) -> None:
        """Let the sweep look at an operation at another time, or never, if it is still as given."""
        with unavailable("the operation could not be written"):
            try:
                self._client.put_item(
                    TableName=self._tables.operations,
                    Item=serialize(_operation_item(replace(operation, due_at=due_at))),
                    ConditionExpression="#status = :status AND updated_at = :at",
                    ExpressionAttributeNames={"#status": "status"},
                    ExpressionAttributeValues=serialize(
                        {":status": operation.status.value, ":at": operation.updated_at}
                    ),
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                # Whoever moved it has said when.
                return


def _ref_of(item: Item) -> OperationRef:
    kind, _, operation_id = item["operation"].partition("#")
    return OperationRef(item["payment_id"], OperationKind(kind), operation_id)


def _stored(reason: dict[str, Any]) -> Operation | None:
    return operation_of(deserialize(reason["Item"])) if "Item" in reason else None


def _operation_item(operation: Operation) -> Item:
    item: Item = {
        **operation_key(operation.payment_id, operation.kind, operation.operation_id),
        "status": operation.status.value,
        "amount_minor": operation.amount_minor,
        "rest_minor": operation.rest_minor,
        "request_hash": operation.request_hash,
        "source": operation.source,
        "correlation_id": operation.correlation_id,
        "requested_at": operation.requested_at,
        "updated_at": operation.updated_at,
        "final": operation.final,
        "attempts": operation.attempts,
    }
    for name in _OPTIONAL:
        value = getattr(operation, name)
        if value is not None:
            item[name] = value
    if operation.failure is not None:
        item["failure_code"] = operation.failure.code
        item["failure_message"] = operation.failure.message
    item.update(submission(operation.submitter))
    if operation.review is not None:
        item["review"] = operation.review.value
    shard = zlib.crc32(operation.name.encode()) % DUE_SHARDS
    if operation.status is OperationStatus.IN_REVIEW:
        item["due_shard"] = REVIEW_SHARDS[shard]
    elif operation.due_at is not None:
        item["due_shard"] = shard
    return item


def operation_of(item: Item) -> Operation:
    """Return the operation that an item of the table of operations holds."""
    kind, _, operation_id = item["operation"].partition("#")
    failure = None
    if "failure_code" in item:
        failure = Failure(item["failure_code"], item["failure_message"])
    return Operation(
        kind=OperationKind(kind),
        payment_id=item["payment_id"],
        operation_id=operation_id,
        status=OperationStatus(item["status"]),
        amount_minor=item["amount_minor"],
        rest_minor=item["rest_minor"],
        request_hash=item["request_hash"],
        source=item["source"],
        correlation_id=item["correlation_id"],
        requested_at=item["requested_at"],
        updated_at=item["updated_at"],
        final=item["final"],
        attempts=item["attempts"],
        failure=failure,
        submitter=(
            Person(item["submitter_id"], item["submitter_name"]) if "submitter_id" in item else None
        ),
        review=Review(item["review"]) if "review" in item else None,
        **{name: item.get(name) for name in _OPTIONAL},
    )
