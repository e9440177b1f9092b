"""Real AWS events from ``tests/events``, with what a test wants otherwise."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_FOLDER = Path(__file__).parents[1] / "events"


def load(name: str) -> dict[str, Any]:
    """Return the event in ``tests/events/{name}.json``."""
    document: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text())
    return document


def api_post(payment: object) -> dict[str, Any]:
    """Return the event of a POST to /payments with this body."""
    return {**load("api_post_payment"), "body": json.dumps(payment)}


def sqs_event(*bodies: str, queue: str = "payment-events-dev", receives: int = 1) -> dict[str, Any]:
    """Return the event of messages with these bodies, called ``message-0`` and so on."""
    [record] = load("sqs_messages")["Records"]
    return {
        "Records": [
            {
                **record,
                "messageId": f"message-{number}",
                "body": body,
                "attributes": {**record["attributes"], "ApproximateReceiveCount": str(receives)},
                "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{queue}",
            }
            for number, body in enumerate(bodies)
        ]
    }


def context(milliseconds_left: int = 30_000) -> Any:
    """Return the context of an invocation, as far as handlers look at it."""
    return SimpleNamespace(
        aws_request_id="invocation-1", get_remaining_time_in_millis=lambda: milliseconds_left
    )
