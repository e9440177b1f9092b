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


def context() -> Any:
    """Return the context of an invocation, as far as handlers look at it."""
    return SimpleNamespace(aws_request_id="invocation-1")
