"""The audit trail's stream → the topic: every committed record that is an event is announced."""

import json
from collections.abc import Iterator, Mapping
from itertools import batched
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from payments.core.announcements import announcement
from payments.core.faults import PaymentError
from payments.runtime import event_publisher as runtime
from payments.runtime.event_publisher import Announcing
from payments.telemetry.logs import logger
from payments.telemetry.traces import traced

type Event = tuple[dict[str, Any], dict[str, str]]


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Handle records of the audit table's stream."""
    return publish(event, runtime.announcing())


def publish(event: Mapping[str, Any], announcing: Announcing) -> dict[str, Any]:
    """Announce records in their order, at least once each.

    Returns:
        ``batchItemFailures`` with the first record that is not announced: Lambda delivers it and
        what follows again. https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
    """
    for chunk in batched(event["Records"], announcing.events_at_once):
        numbers = [record["dynamodb"]["SequenceNumber"] for record in chunk]
        try:
            events = list(_events(chunk, announcing))
            refused = announcing.topic.publish([each for _, each in events]) if events else ()
        except PaymentError:
            logger.exception("events not announced yet")
            return {"batchItemFailures": [{"itemIdentifier": numbers[0]}]}
        if refused:
            first = events[refused[0]][0]
            logger.error("events refused by the topic", extra={"refused": len(refused)})
            return {"batchItemFailures": [{"itemIdentifier": first}]}
    return {"batchItemFailures": []}


def _events(
    records: tuple[Mapping[str, Any], ...], announcing: Announcing
) -> Iterator[tuple[str, Event]]:
    """Yield the event of each record that is one, with the record's place in the stream.

    A record that cannot be read would stop all that come behind it, so it is set aside.
    """
    for each in records:
        image = each["dynamodb"].get("NewImage")
        if each["eventName"] != "INSERT" or image is None:
            continue
        try:
            record = announcing.read(image)
            if "event_type" not in record:
                continue
            event = announcement(record)
        except (LookupError, TypeError, ValueError) as fault:
            logger.exception("record cannot be announced")
            reason = f"{type(fault).__name__}: {fault}"
            announcing.dead_letters.send(json.dumps(image, default=str), reason=reason)
            continue
        yield each["dynamodb"]["SequenceNumber"], event
