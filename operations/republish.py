"""``payments republish``: announce again what the audit trail recorded in a span of time.

Each event is a rendering of its record, with the same event id as before, so that subscribers
recognise what they have handled already. Running the command twice does no harm.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from operations import clients, screen
from operations.arns import beside
from operations.failures import tell
from operations.items import plain
from operations.options import DONE, FAILED, NO, Commands, add_command, moment
from payments.aws.topic import MESSAGES_PER_CALL, Topic
from payments.core.announcements import announcement
from payments.core.faults import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ATTEMPTS: Final = 6
_FIRST_PAUSE_SECONDS: Final = 0.5

type Event = tuple[dict[str, Any], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, from its first moment to the one that is no longer in it."""

    first: datetime
    end: datetime

    def holds(self, moment: datetime) -> bool:
        """Say whether a moment is in it."""
        return self.first <= moment < self.end


@dataclass(slots=True)
class Republished:
    """What was done: events and payments published, and a sentence for each that could not be."""

    read: int = 0
    events: int = 0
    payments: int = 0
    faults: list[str] = field(default_factory=list)


class NotPublished(Exception):
    """The topic did not take events, however often it was asked; ``done`` is what it took before."""

    def __init__(self, reason: BaseException | str) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Republishing:
    """Publishes the events of an environment's audit trail again."""

    def __init__(self, dynamodb: "DynamoDBClient", environment: str, topic: Topic | None) -> None:
        """Read from an environment; without a topic, nothing is published and only counted."""
        self._dynamodb = dynamodb
        self._table = f"audit-logs-{environment}"
        self._topic = topic

    def run(self, span: Span) -> Iterator[Republished]:
        """Publish what was recorded in a span of time, in order for each payment.

        Yields:
            The running total, so that a long walk shows progress; the last one is the result.

        Raises:
            NotPublished: the topic is away or refuses; what was yielded last was published.
        """
        done, last = Republished(), None
        yield done
        for events in batched(self._events(span, done), MESSAGES_PER_CALL):
            self._publish(events)
            for document, _ in events:
                payment_id = document["payment"]["payment_id"]
                done.events += 1
                # A scan gives the records of one payment one after the other.
                done.payments += payment_id != last
                last = payment_id
            yield done
        yield done

    def _events(self, span: Span, done: Republished) -> Iterator[Event]:
        for record in self._records():
            done.read += 1
            try:
                if span.holds(datetime.fromisoformat(record["at"])):
                    yield announcement(record)
            except (LookupError, TypeError, ValueError) as fault:
                where = f"{record.get('payment_id')} record {record.get('sequence')}"
                done.faults.append(f"{where}: {type(fault).__name__}: {fault}")

    def _records(self) -> Iterator[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="attribute_exists(event_type)",
            ConsistentRead=True,
        )
        for page in pages:
            yield from map(plain, page["Items"])

    def _publish(self, events: tuple[Event, ...]) -> None:
        if self._topic is None:
            return
        waiting = events
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                refused = self._topic.publish(waiting)
            except ServiceUnavailable as error:
                if attempt == _ATTEMPTS - 1:
                    raise NotPublished(error.__cause__ or error) from error
                continue
            if not refused:
                return
            # With all that follow, so that the last one that a payment's subscribers hear is last.
            waiting = waiting[refused[0] :]
        raise NotPublished("the topic refuses some of them each time")


def add_to(commands: Commands) -> None:
    """Add the command."""
    republish = add_command(
        commands, "republish", run, "announce again what was recorded in a span of time"
    )
    for name, meaning in (("from", "the first moment"), ("to", "the first moment after it")):
        republish.add_argument(
            f"--{name}",
            required=True,
            type=moment,
            metavar="TIME",
            dest={"from": "first", "to": "end"}[name],
            help=f"{meaning}, such as 2026-03-12T19:00Z or 2026-03-12T20:00:00+01:00",
        )
    republish.add_argument(
        "--dry-run", action="store_true", help="only count what would be published"
    )


def run(options: argparse.Namespace) -> int:
    """Republish.

    Returns:
        ``NO`` if records could not be read, ``FAILED`` if the environment could not be read or the
        topic did not take the events.
    """
    span = Span(options.first, options.end)
    if span.first >= span.end:
        screen.complain(f"--from {_text(span.first)} must be before --to {_text(span.end)}")
        return FAILED
    done = Republished()
    try:
        dynamodb = clients.dynamodb()
        topic = None if options.dry_run else _topic(dynamodb, options.env)
        for done in _shown(Republishing(dynamodb, options.env, topic).run(span)):  # noqa: B007 - the last one counts
            pass
    except NotPublished as error:
        return _stopped(options.env, done, error.reason)
    except clients.AWS_FAILURES as error:
        return _stopped(options.env, done, error)
    if options.json:
        screen.document(asdict(done))
        return NO if done.faults else DONE
    for fault in done.faults:
        screen.say(f"cannot be read: {fault}", "red")
    what = "would be published" if options.dry_run else "published"
    screen.say(
        f"{done.events} events of {done.payments} payments {what}, {len(done.faults)} unreadable"
    )
    return NO if done.faults else DONE


def _stopped(environment: str, done: Republished, reason: BaseException | str) -> int:
    for fault in done.faults:
        screen.say(f"cannot be read: {fault}", "red")
    what = f"Events of {environment!r} cannot be published again"
    if done.events:
        what += f" ({done.events} of {done.payments} payments were; run the same command again)"
    if isinstance(reason, Exception):
        return tell(what, reason)
    screen.complain(f"{what}: {reason}")
    return FAILED


def _topic(dynamodb: "DynamoDBClient", environment: str) -> Topic:
    described = dynamodb.describe_table(TableName=f"audit-logs-{environment}")["Table"]
    arn = beside(described["TableArn"], "sns", f"payment-notifications-{environment}")
    return Topic(clients.sns(), arn)


def _shown(states: Iterator[Republished]) -> Iterator[Republished]:
    with screen.progress("reading") as show:
        for state in states:
            show(f"{state.events} events, {state.read} records with an event read")
            yield state


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
