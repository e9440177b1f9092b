"""``payments audit verify``: walk the audit trail and report what does not hold."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from operations import clients, screen
from operations.failures import tell
from operations.items import plain
from operations.options import DONE, NO, Commands, add_command, add_group
from payments.core.audit import (
    KIND,
    REVIEW,
    WITNESSED_FIELDS,
    AuditRecord,
    Life,
    chain_faults,
    is_unposted,
)
from payments.core.fields import OPTIONAL_FIELDS
from payments.core.payment import PaymentStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_OUTCOME_FIELDS = ("failure_code", "failure_message", "gateway_reference")
# A tuple, because what was tampered with may be of any type, and not every type has a hash.
_INDEXED_STATUSES = (
    *(status.value for status in PaymentStatus if status.is_open),
    PaymentStatus.IN_REVIEW.value,
)
# Not told in the trail: where a payment stands in the indexes.
_UNWITNESSED_FIELDS = frozenset({"held_shard", "open_shard", "time_shard"})


@dataclass(frozen=True, slots=True)
class Checked:
    """One payment, its records in order, and a sentence per fault; all as they are stored."""

    payment: dict[str, Any]
    records: list[AuditRecord]
    faults: list[str]


@dataclass(slots=True)
class Verification:
    """What was walked: how many payments and records, and a sentence per fault.

    ``unposted`` counts the records that moved money before records had postings.
    """

    payments: int
    records: int
    faults: list[str]
    unposted: int = 0


class AuditTrail:
    """The audit trail of one environment, compared with the payments that it is about."""

    def __init__(self, client: "DynamoDBClient", environment: str) -> None:
        self._client = client
        self._payments_table = f"payments-{environment}"
        self._audit_table = f"audit-logs-{environment}"

    def verify(self) -> Iterator[Verification]:
        """Check every payment against its records, then every record for a payment.

        Yields:
            The running total after each payment, so that a long walk shows progress; the last one
            is the result.
        """
        total = Verification(0, 0, [])
        yield total
        for payment in self._scan(self._payments_table):
            checked = self._check(payment)
            total.payments += 1
            total.records += len(checked.records)
            total.unposted += sum(map(is_unposted, checked.records))
            total.faults.extend(checked.faults)
            yield total
        known: str | None = None
        for record in self._scan(self._audit_table):
            payment_id = record["payment_id"]
            if payment_id != known and self._payment(payment_id) is None:
                total.faults.append(f"{payment_id}: has audit records but no payment")
            known = payment_id
        yield total

    def check(self, payment_id: str) -> Checked | None:
        """Check one payment against its records; ``None`` if there is none with this id."""
        payment = self._payment(payment_id)
        return None if payment is None else self._check(payment)

    def _check(self, payment: dict[str, Any]) -> Checked:
        checked = self._compare(payment)
        if not checked.faults:
            return checked
        # It may have moved between the reads: what is wrong stays wrong.
        return self._compare(self._payment(payment["payment_id"]) or payment)

    def _compare(self, payment: dict[str, Any]) -> Checked:
        payment_id = payment["payment_id"]
        records = list(self._records(payment_id))
        faults = chain_faults(payment_id, records)
        if not records:
            faults.append(f"{payment_id}: has no audit records")
        expected = _left_by(records)
        for name in sorted((expected.keys() | payment.keys()) - _UNWITNESSED_FIELDS):
            told, stored = expected.get(name), payment.get(name)
            if told != stored:
                faults.append(f"{payment_id}: {name} is {stored!r}, its records say {told!r}")
        return Checked(payment, records, faults)

    def _records(self, payment_id: str) -> Iterator[AuditRecord]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._audit_table,
            KeyConditionExpression="payment_id = :id",
            ExpressionAttributeValues={":id": {"S": payment_id}},
            ConsistentRead=True,
        )
        for page in pages:
            yield from map(plain, page["Items"])

    def _payment(self, payment_id: str) -> dict[str, Any] | None:
        answer = self._client.get_item(
            TableName=self._payments_table,
            Key={"payment_id": {"S": payment_id}},
            ConsistentRead=True,
        )
        return plain(answer["Item"]) if "Item" in answer else None

    def _scan(self, table: str) -> Iterator[dict[str, Any]]:
        for page in self._client.get_paginator("scan").paginate(TableName=table):
            yield from map(plain, page["Items"])


def add_to(commands: Commands) -> None:
    """Add the command."""
    group = add_group(commands, "audit", "the audit trail")
    add_command(group, "verify", run, "check every record's hash, chain and payment")


def run(options: argparse.Namespace) -> int:
    """Check the whole trail; return ``NO`` if it does not hold."""
    try:
        result = _walk(AuditTrail(clients.dynamodb(), options.env))
    except clients.AWS_FAILURES as error:
        return tell(f"The audit trail of {options.env!r} cannot be read", error)
    if options.json:
        screen.document(asdict(result))
        return NO if result.faults else DONE
    for fault in result.faults:
        screen.say(fault, "red")
    if result.unposted:
        screen.say(f"{result.unposted} records moved money before records had postings")
    verdict = f"{len(result.faults)} faults" if result.faults else "the audit trail is whole"
    screen.say(f"{result.payments} payments, {result.records} records: {verdict}")
    return NO if result.faults else DONE


def _walk(trail: AuditTrail) -> Verification:
    with screen.progress("reading") as show:
        state = Verification(0, 0, [])
        for state in trail.verify():
            show(f"{state.payments} payments verified")
    return state


def _left_by(records: Sequence[AuditRecord]) -> dict[str, Any]:
    """Return the payment as its records say that it stands."""
    if not records:
        return {}
    first, last = records[0], records[-1]
    life = Life()
    for record in records:
        life.fault_of(record)
    # What tells of the payment itself; a damaged trail may hold nothing of the kind.
    moves = [record for record in records if record.get("kind") == KIND] or [{}]
    payment = {name: first.get(name) for name in ("payment_id", "source", *WITNESSED_FIELDS)} | {
        "created_at": first.get("at"),
        "correlation_id": first.get("request_id"),
        "status": moves[-1].get("to"),
        "version": last.get("sequence"),
        "updated_at": last.get("at"),
        "audit_hash": last.get("hash"),
    }
    payment |= {name: first[name] for name in OPTIONAL_FIELDS if name in first}
    payment |= {
        name: first[name] for name in ("submitter_id", "submitter_name", "review") if name in first
    }
    for record in records:
        if record.get("kind") == REVIEW:
            payment |= {"review": record.get("to"), "reviewer_id": record.get("reviewer_id")}
    if payment["status"] in _INDEXED_STATUSES:
        payment["accepted_at"] = first.get("at")
    if "capture_before" in moves[-1]:
        payment["capture_before"] = moves[-1]["capture_before"]
    if life.amounts.authorized:
        payment |= life.amounts.to_dict()
    for record in moves:
        payment |= {name: record[name] for name in _OUTCOME_FIELDS if name in record}
    return payment
