"""What one environment knows of one payment, in the order in which it happened."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from payments.aws.items import deserialize
from payments.core.audit import AuditRecord, chain_faults
from payments.core.content import Content

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

_MOST_RESTARTS: Final = 20
_NOTIFY: Final = "Notify"


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """One thing that happened."""

    at: datetime
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A payment as it stands, all that happened to it, and what is wrong with its audit trail."""

    payment: dict[str, Any]
    moments: list[Moment]
    records: int
    faults: list[str]

    @property
    def amount(self) -> str:
        """Amount and currency as people write them."""
        content = Content.from_dict(self.payment)
        return f"{content.amount} {content.currency}"


class Witnesses:
    """Tables and workflow of one environment; each tells its part of a payment's story."""

    def __init__(
        self, dynamodb: "DynamoDBClient", workflows: "SFNClient", workflow_arn: str, suffix: str
    ) -> None:
        self._dynamodb = dynamodb
        self._workflows = workflows
        self._executions = workflow_arn.replace(":stateMachine:", ":execution:")
        self._suffix = suffix

    def timeline(self, payment_id: str) -> Timeline | None:
        """Return the whole story of a payment, or ``None`` if there is none with this id."""
        answer = self._dynamodb.get_item(
            TableName=f"payments-{self._suffix}",
            Key={"payment_id": {"S": payment_id}},
            ConsistentRead=True,
        )
        if "Item" not in answer:
            return None
        payment = deserialize(answer["Item"])
        records = list(self._records(payment_id))
        moments = [*map(_status, records), *self._execution_moments(payment_id)]
        faults = chain_faults(payment_id, records)
        if not records or records[-1]["hash"] != payment["audit_hash"]:
            faults.append(f"{payment_id}: is not as its last record left it")
        # A step of the workflow comes before the status that it brings about, at one time.
        moments.sort(key=lambda moment: moment.at)
        return Timeline(payment, moments, len(records), faults)

    def _records(self, payment_id: str) -> Iterator[AuditRecord]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=f"audit-logs-{self._suffix}",
            KeyConditionExpression="payment_id = :id",
            ExpressionAttributeValues={":id": {"S": payment_id}},
            ConsistentRead=True,
        )
        for page in pages:
            yield from map(deserialize, page["Items"])

    def _execution_moments(self, payment_id: str) -> Iterator[Moment]:
        for restart in range(1, _MOST_RESTARTS + 1):
            name = payment_id if restart == 1 else f"{payment_id}.{restart}"
            arn = f"{self._executions}:{name}"
            try:
                pages = list(
                    self._workflows.get_paginator("get_execution_history").paginate(
                        executionArn=arn
                    )
                )
            except self._workflows.exceptions.ExecutionDoesNotExist:
                return
            yield from _told(name, [event for page in pages for event in page["events"]])


def _status(record: AuditRecord) -> Moment:
    attempt = f", attempt {record['attempt'] + 1}" if "attempt" in record else ""
    by = record["actor"].rpartition(":")[2]
    failure = f", {record['failure_code']}" if "failure_code" in record else ""
    return Moment(
        datetime.fromisoformat(record["at"]),
        record["to"],
        f"by {by}{attempt}{failure}; audit record {record['sequence']}, {record['hash'][:12]}",
    )


def _told(execution: str, events: list["HistoryEventTypeDef"]) -> Iterator[Moment]:
    """Yield what a person wants to know of an execution's history."""
    state = ""
    for event in events:
        kind = event["type"]
        at = event["timestamp"].astimezone(UTC)
        if entered := event.get("stateEnteredEventDetails"):
            state = entered["name"]
            yield Moment(at, "workflow", f"{execution}: {state}")
        elif kind == "TaskFailed":
            failed = event.get("taskFailedEventDetails", {})
            yield Moment(at, "workflow", f"{execution}: {state} failed, {failed.get('error')}")
        elif kind == "TaskSucceeded" and state == _NOTIFY:
            sent = json.loads(event.get("taskSucceededEventDetails", {}).get("output") or "{}")
            yield Moment(at, "notification", f"message {sent.get('MessageId', 'unknown')}")
        elif kind.startswith("Execution"):
            yield Moment(at, "workflow", f"{execution}: {kind.removeprefix('Execution').lower()}")
