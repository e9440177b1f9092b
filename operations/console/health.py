"""How an environment is: its alarms, its queues, and its dead letters with their reasons."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from operations import clients
from operations.letters import BatchLetter, PaymentLetter, UnknownLetter, UploadLetter, read_letter
from operations.redrive import reason_of
from payments.aws.payments import PaymentStore, Tables
from payments.core.clock import utc_text
from payments.flows.sweep import STUCK_AFTER

QUEUES: Final = {
    "payment-events": "payments by API, on their way",
    "payment-rows": "rows of files, on their way",
    "payment-events-dlq": "what nobody could handle",
    "payment-processor-failures": "checks for stuck payments that failed",
    "payment-announcements-dlq": "events that could not be announced",
    "payment-alarms-dlq": "alarms that nobody took",
    "payment-updates-dlq": "updates that nobody took",
}
"""The queues of an environment, and what waits in each."""

_SHOWN_LETTERS: Final = 10
_SHOWN_STUCK: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm and what it says."""

    name: str
    state: str
    since: Any
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue; ``waiting`` and ``in_flight`` are messages, about."""

    name: str
    holds: str
    waiting: int
    in_flight: int

    @property
    def is_for_dead_letters(self) -> bool:
        """Whether any message in it is one too many."""
        return self.name not in {"payment-events", "payment-rows"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that nobody could handle: what it is, and why it was set aside, if that is known."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A payment that is still open long after it was accepted, at ``since``."""

    payment_id: str
    since: str


class Health:
    """The health of one environment."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix

    def alarms(self) -> list[Alarm]:
        """Return every alarm of the environment, those that fire first."""
        pages = clients.cloudwatch().get_paginator("describe_alarms").paginate()
        found = (
            Alarm(
                name=alarm["AlarmName"].removesuffix(f"-{self._suffix}"),
                state=alarm["StateValue"],
                since=alarm.get("StateUpdatedTimestamp"),
                meaning=alarm.get("AlarmDescription", ""),
            )
            for page in pages
            for alarm in page["MetricAlarms"]
            if alarm["AlarmName"].endswith(f"-{self._suffix}")
        )
        return sorted(found, key=lambda alarm: (alarm.state != "ALARM", alarm.name))

    def queues(self) -> list[Queue]:
        """Return the queues, with how much waits in each."""
        sqs, found = clients.sqs(), []
        for name, holds in QUEUES.items():
            url = sqs.get_queue_url(QueueName=f"{name}-{self._suffix}")["QueueUrl"]
            told = sqs.get_queue_attributes(
                QueueUrl=url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                ],
            )["Attributes"]
            found.append(
                Queue(
                    name=name,
                    holds=holds,
                    waiting=int(told["ApproximateNumberOfMessages"]),
                    in_flight=int(told["ApproximateNumberOfMessagesNotVisible"]),
                )
            )
        return found

    def dead_letters(self) -> Sequence[DeadLetter]:
        """Return some of the dead letters; they stay visible to others."""
        sqs = clients.sqs()
        url = sqs.get_queue_url(QueueName=f"payment-events-dlq-{self._suffix}")["QueueUrl"]
        received = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_SHOWN_LETTERS,
            VisibilityTimeout=0,
            MessageAttributeNames=["reason"],
        ).get("Messages", [])
        return [
            DeadLetter(what=_what(letter["Body"]), reason=reason_of(letter) or "")
            for letter in {each["MessageId"]: each for each in received}.values()
        ]

    def stuck(self) -> Sequence[Stuck]:
        """Return the first payments that are stuck, those that wait longest first in each shard."""
        tables = Tables(
            payments=f"payments-{self._suffix}",
            processing_status=f"processing-status-{self._suffix}",
            audit_logs=f"audit-logs-{self._suffix}",
            operations=f"payment-operations-{self._suffix}",
        )
        before = utc_text(datetime.now(UTC) - STUCK_AFTER)
        found = PaymentStore(clients.dynamodb(), tables).open_payments(before, {})
        return [
            Stuck(payment_id=each.payment_id, since=each.accepted_at)
            for each in islice(found, _SHOWN_STUCK)
        ]


def _what(body: str) -> str:
    match read_letter(body):
        case PaymentLetter(payment_id, queue):
            return f"payment {payment_id}, from {queue}"
        case BatchLetter(batch):
            return f"batch {batch.batch_id} ({batch.source.key})"
        case UploadLetter(batches):
            return "upload of " + ", ".join(batch.source.key for batch, _ in batches)
        case UnknownLetter(why):
            return why
