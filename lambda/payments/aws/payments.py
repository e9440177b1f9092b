"""Adapter: payments and their audit trail in DynamoDB.

Each status has one transaction of two writes: the payment, guarded by the hash of its last audit
record, and its next audit record. Every AWS failure is a :class:`ServiceUnavailable`.
"""

import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from payments.aws.failures import unavailable
from payments.aws.items import Item, deserialize, expires_at, serialize
from payments.aws.keys import (
    payment_key,
    row_key,
    sweep_key,
    time_shard,
)
from payments.aws.rows import counted, not_paid_item
from payments.aws.transactions import Transactions
from payments.core.amounts import Amounts
from payments.core.audit import (
    KIND,
    AuditRecord,
    acceptance_record,
    review_record,
    submission,
    transition_record,
)
from payments.core.content import Content
from payments.core.faults import PaymentNotFound, ServiceUnavailable, StaleTransition
from payments.core.payment import (
    Failure,
    HistoryEntry,
    OpenPayment,
    Payment,
    PaymentRequest,
    PaymentStatus,
    RowOutcome,
    Transition,
    batch_row,
)
from payments.core.review import Decision, OwnPayment, Person, Review

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        PutTypeDef,
        TransactWriteItemTypeDef,
        UpdateTypeDef,
    )


OPEN_INDEX: Final = "open-payments"
"""The sparse index of the payments that are open."""

HELD_INDEX: Final = "held-payments"
"""The sparse index of the payments that are authorised, and until when."""

OPEN_SHARDS: Final = 16
"""Over how many partitions of that index they are spread."""

REVIEW_SHARDS: Final = range(OPEN_SHARDS, 2 * OPEN_SHARDS)
"""The partitions of the same index that hold the payments which wait for a person."""

BY_ANOTHER: Final = (
    "(attribute_not_exists(submitter_id)"
    " OR (submitter_id <> :by_id AND submitter_name <> :by_name))"
)
"""The condition that who decides is not who submitted it."""

_OPEN_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Names of the tables."""

    payments: str
    processing_status: str
    audit_logs: str
    operations: str


class PaymentStore:
    """Payments as they stand, their history and their audit trail."""

    def __init__(
        self,
        client: "DynamoDBClient",
        tables: Tables,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._tables = tables
        self._transactions = Transactions(client, sleep=sleep)

    def create(self, request: PaymentRequest, *, actor: str, at: str) -> tuple[Payment, bool]:
        """Write a payment ``PENDING``, unless its id is taken: the write decides.

        Args:
            request: the valid payment asked for.
            actor: who asks, for the audit trail.
            at: the time of acceptance, UTC, ISO 8601.

        Returns:
            The payment as stored, and whether this very call created it: true also when the
            answer of its committed write was lost and the repeated write found its own item.
        """
        record = acceptance_record(request, actor=actor, at=at)
        payment = Payment(
            content=request.content,
            status=PaymentStatus.PENDING,
            version=1,
            content_hash=request.content.hash,
            source=request.source,
            correlation_id=request.correlation_id,
            created_at=at,
            updated_at=at,
            audit_hash=record["hash"],
            submitter=request.submitter,
            review=Review.REQUIRED if request.needs_review else None,
        )
        put: PutTypeDef = {
            "TableName": self._tables.payments,
            "Item": serialize(payment_item(payment)),
            "ConditionExpression": "attribute_not_exists(payment_id)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        stored = self._transact({"Put": put}, record)
        if stored is None:
            return payment, True
        return stored, stored.audit_hash == payment.audit_hash

    def transition(self, payment: Payment, transition: Transition) -> Payment:
        """Move a payment to its next status, if it still is as given.

        Returns:
            The payment after the transition.

        Raises:
            StaleTransition: it has moved meanwhile; the error holds it as it is now.
            PaymentNotFound: it is not there.
        """
        record = transition_record(payment, transition)
        moved = payment.after(transition, record["hash"])
        stored = self._transact(
            payment_update(self._tables.payments, payment, moved),
            record,
            *row_count(self._tables.processing_status, payment, transition),
        )
        if stored is not None and stored.audit_hash != record["hash"]:
            raise StaleTransition(stored)
        return moved

    def decide(self, payment: Payment, decision: Decision) -> Payment:
        """Write a decision about a payment, if it still is as given: the write decides.

        Raises:
            OwnPayment: it was submitted by the person who decides.
            StaleTransition: it has moved meanwhile, perhaps by another decision.
        """
        record = review_record(payment, decision)
        moved = payment.reviewed(decision, record["hash"])
        update = payment_update(self._tables.payments, payment, moved)["Update"]
        update["ConditionExpression"] = f"({update['ConditionExpression']}) AND {BY_ANOTHER}"
        update["ExpressionAttributeValues"] = {
            **update["ExpressionAttributeValues"],
            **serialize({":by_id": decision.by.id, ":by_name": decision.by.name}),
        }
        stored = self._transact({"Update": update}, record)
        if stored is None or stored.audit_hash == record["hash"]:
            return moved
        if stored.audit_hash == payment.audit_hash:
            raise OwnPayment(payment.payment_id)
        raise StaleTransition(stored)

    def reviews(self, accepted_before: str) -> Iterator[OpenPayment]:
        """Yield the payments that wait for a decision, the oldest of each shard first."""
        yield from self._in_turn(
            (shard, _open_page(shard, accepted_before)) for shard in REVIEW_SHARDS
        )

    def get(self, payment_id: str) -> Payment | None:
        """Return a payment as it stands (strongly consistent), or ``None``."""
        with unavailable("the payment could not be read"):
            answer = self._client.get_item(
                TableName=self._tables.payments,
                Key=serialize(payment_key(payment_id)),
                ConsistentRead=True,
            )
        return payment_of(deserialize(answer["Item"])) if "Item" in answer else None

    def history(self, payment_id: str) -> list[HistoryEntry]:
        """Return every status a payment has had, oldest first: its audit trail tells."""
        entries: list[HistoryEntry] = []
        query: dict[str, Any] = {
            "TableName": self._tables.audit_logs,
            "KeyConditionExpression": "payment_id = :id",
            "ExpressionAttributeValues": serialize({":id": payment_id}),
            "ConsistentRead": True,
        }
        while True:
            with unavailable("the history of a payment could not be read"):
                answer = self._client.query(**query)
            entries.extend(
                HistoryEntry(record["sequence"], PaymentStatus(record["to"]), record["at"])
                for record in map(deserialize, answer["Items"])
                if record["kind"] == KIND
            )
            if "LastEvaluatedKey" not in answer:
                return entries
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def open_payments(
        self, accepted_before: str, last_look: Mapping[int, OpenPayment]
    ) -> Iterator[OpenPayment]:
        """Yield open payments, from an index that lags a little behind.

        In each shard those come first that are behind the last look, in the order of their
        acceptance; those up to the last look come when no shard has any of the former left. A page
        of each shard in turn, so that one shard's backlog does not hide the others, and the shard
        that was looked at longest ago first.
        """
        unseen = [shard for shard in range(OPEN_SHARDS) if shard not in last_look]
        ahead = [(shard, _open_page(shard, accepted_before)) for shard in unseen]
        behind = []
        for shard, last in last_look.items():
            place = serialize({"open_shard": shard, "accepted_at": last.accepted_at})
            place |= serialize(payment_key(last.payment_id))
            ahead.append(
                (shard, {**_open_page(shard, accepted_before), "ExclusiveStartKey": place})
            )
            behind.append((shard, _open_page(shard, min(accepted_before, last.accepted_at))))
        yield from self._in_turn(ahead)
        yield from self._in_turn(behind)

    def _in_turn(self, queries: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[OpenPayment]:
        pages = deque(queries)
        while pages:
            shard, page = pages.popleft()
            with unavailable("open payments could not be read"):
                answer = self._client.query(TableName=self._tables.payments, **page)
            for item in map(deserialize, answer["Items"]):
                yield OpenPayment(shard, item["accepted_at"], item["payment_id"])
            if "LastEvaluatedKey" in answer:
                pages.append((shard, {**page, "ExclusiveStartKey": answer["LastEvaluatedKey"]}))

    def expired(self, before: str) -> Iterator[str]:
        """Yield ids of authorised payments that could be captured until before a time: all of them.

        One that cannot be released stays in the index, and must not hide those behind it.
        """
        for shard in range(OPEN_SHARDS):
            query: dict[str, Any] = {
                "TableName": self._tables.payments,
                "IndexName": HELD_INDEX,
                "KeyConditionExpression": "held_shard = :shard AND capture_before <= :before",
                "ExpressionAttributeValues": serialize({":shard": shard, ":before": before}),
                "Limit": _OPEN_PAGE,
            }
            while True:
                with unavailable("expired authorisations could not be read"):
                    answer = self._client.query(**query)
                for item in map(deserialize, answer["Items"]):
                    yield item["payment_id"]
                if "LastEvaluatedKey" not in answer:
                    break
                query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def last_look(self) -> Mapping[int, OpenPayment]:
        """Return where in each shard the last look ended, the one longest ago first."""
        with unavailable("where the last sweep ended could not be read"):
            answer = self._client.get_item(
                TableName=self._tables.processing_status,
                Key=serialize(sweep_key()),
                ConsistentRead=True,
            )
        places = deserialize(answer["Item"])["places"] if "Item" in answer else []
        return {place["shard"]: OpenPayment(**place) for place in places}

    def remember_look(self, ended_at: Mapping[int, OpenPayment], *, at: str) -> None:
        """Remember where in each shard a look ended, the one longest ago first."""
        places = [asdict(entry) for entry in ended_at.values()]
        item = {**sweep_key(), "at": at, "places": places}
        with unavailable("where the sweep ended could not be written"):
            self._client.put_item(TableName=self._tables.processing_status, Item=serialize(item))

    def record_not_paid(self, request: PaymentRequest, outcome: RowOutcome, *, at: str) -> None:
        """Record and count a row of a batch that is not paid, once however often it is told."""
        row = batch_row(request.source)
        if row is None:
            return
        batch_id, line = row
        item = {
            **row_key(batch_id, line),
            **not_paid_item(request.content, outcome.value),
            "expires_at": expires_at(at),
        }
        put: PutTypeDef = {
            "TableName": self._tables.processing_status,
            "Item": serialize(item),
            "ConditionExpression": "attribute_not_exists(entity_id)",
        }
        # Refused means that it was recorded and counted before.
        self._transactions.write(
            [
                {"Put": put},
                counted(self._tables.processing_status, batch_id, request.payment_id, outcome, at),
            ]
        )

    def _transact(
        self,
        write: "TransactWriteItemTypeDef",
        record: AuditRecord,
        *others: "TransactWriteItemTypeDef",
    ) -> Payment | None:
        """Write a payment and its audit record; return what stood in the way, if anything."""
        audit = audit_put(self._tables.audit_logs, record)
        reasons = self._transactions.write([write, audit, *others])
        if not reasons:
            return None
        if reasons[0].get("Code") == "ConditionalCheckFailed":
            if "Item" not in reasons[0]:
                raise PaymentNotFound(record["payment_id"])
            return payment_of(deserialize(reasons[0]["Item"]))
        raise ServiceUnavailable("the audit trail is ahead of the payment")


def payment_update(table: str, payment: Payment, moved: Payment) -> "TransactWriteItemTypeDef":
    """Return the write of what has changed, given that the payment is still as it was."""
    before, after = payment_item(payment), payment_item(moved)
    changes = {name: value for name, value in after.items() if before.get(name) != value}
    if moved.amounts != payment.amounts:
        # All or none is stored, see _amounts.
        changes |= moved.amounts.to_dict()
    gone = sorted(before.keys() - after.keys())
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
    if gone:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in gone)
    update: UpdateTypeDef = {
        "TableName": table,
        "Key": serialize(payment_key(payment.payment_id)),
        "UpdateExpression": expression,
        # The hash of the last record stands for status, version and all that came before.
        "ConditionExpression": "#audit_hash = :expected_hash",
        "ExpressionAttributeNames": {f"#{name}": name for name in (*changes, *gone)},
        "ExpressionAttributeValues": serialize(
            {
                **{f":{name}": value for name, value in changes.items()},
                ":expected_hash": payment.audit_hash,
            }
        ),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    return {"Update": update}


def audit_put(table: str, record: AuditRecord) -> "TransactWriteItemTypeDef":
    """Return the write of an audit record."""
    # This condition keeps the trail append-only even if this code has a fault.
    put: PutTypeDef = {
        "TableName": table,
        "Item": serialize(record),
        "ConditionExpression": "attribute_not_exists(payment_id)",
    }
    return {"Put": put}


def row_count(
    table: str, payment: Payment, transition: Transition
) -> list["TransactWriteItemTypeDef"]:
    """Return the count of the row that ends with a transition, if one does."""
    row, outcome = batch_row(payment.source), transition.to.row_outcome
    # A row ends once: that of an authorised payment has ended before the capture.
    if row is None or outcome is None or payment.status.row_outcome is not None:
        return []
    return [counted(table, row[0], payment.payment_id, outcome, transition.at)]


def payment_item(payment: Payment) -> Item:
    """Return the item of the payments table that holds a payment."""
    item: Item = {
        **payment.content.to_dict(),
        "status": payment.status.value,
        "version": payment.version,
        "content_hash": payment.content_hash,
        "source": payment.source,
        "correlation_id": payment.correlation_id,
        "created_at": payment.created_at,
        "updated_at": payment.updated_at,
        "audit_hash": payment.audit_hash,
        "time_shard": time_shard(payment.payment_id),
    }
    if payment.failure is not None:
        item["failure_code"] = payment.failure.code
        item["failure_message"] = payment.failure.message
    if payment.gateway_reference is not None:
        item["gateway_reference"] = payment.gateway_reference
    if payment.capture_before is not None:
        item["capture_before"] = payment.capture_before
        item["held_shard"] = zlib.crc32(payment.payment_id.encode()) % OPEN_SHARDS
    if payment.amounts.authorized:
        item.update(payment.amounts.to_dict())
    item.update(submission(payment.submitter))
    if payment.review is not None:
        item["review"] = payment.review.value
    if payment.reviewer_id is not None:
        item["reviewer_id"] = payment.reviewer_id
    shard = zlib.crc32(payment.payment_id.encode()) % OPEN_SHARDS
    if payment.is_open:
        item["open_shard"] = shard
    elif payment.status is PaymentStatus.IN_REVIEW:
        item["open_shard"] = REVIEW_SHARDS[shard]
    if "open_shard" in item:
        item["accepted_at"] = payment.created_at
    return item


def payment_of(item: Item) -> Payment:
    """Return the payment that an item of the payments table holds."""
    failure = None
    if "failure_code" in item:
        failure = Failure(item["failure_code"], item["failure_message"])
    content, status = Content.from_dict(item), PaymentStatus(item["status"])
    return Payment(
        content=content,
        status=status,
        version=item["version"],
        content_hash=item["content_hash"],
        source=item["source"],
        correlation_id=item["correlation_id"],
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        audit_hash=item["audit_hash"],
        failure=failure,
        gateway_reference=item.get("gateway_reference"),
        amounts=_amounts(item, status, content),
        capture_before=item.get("capture_before"),
        submitter=(
            Person(item["submitter_id"], item["submitter_name"]) if "submitter_id" in item else None
        ),
        review=Review(item["review"]) if "review" in item else None,
        reviewer_id=item.get("reviewer_id"),
    )


def _amounts(item: Item, status: PaymentStatus, content: Content) -> Amounts:
    """Return the amounts of a payment; one that was completed by a release before has none stored."""
    if "authorized_minor" in item:
        return Amounts.from_dict(item)
    if status is PaymentStatus.COMPLETED:
        return Amounts.charged(content.amount_minor)
    return Amounts()


def _open_page(shard: int, accepted_before: str) -> dict[str, Any]:
    return {
        "IndexName": OPEN_INDEX,
        "KeyConditionExpression": "open_shard = :shard AND accepted_at <= :before",
        "ExpressionAttributeValues": serialize({":shard": shard, ":before": accepted_before}),
        "Limit": _OPEN_PAGE,
    }
