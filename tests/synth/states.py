"""Reads state machines."""

import json
from typing import Any

from tests.synth.terraform import Stack


def definition(stack: Stack, workflow: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(stack.workflow(workflow)["definition"])
    return document


def states(stack: Stack, workflow: str) -> dict[str, Any]:
    """Return the states of a workflow, and those within its Maps."""
    found: dict[str, Any] = dict(definition(stack, workflow)["States"])
    for state in tuple(found.values()):
        found |= state.get("ItemProcessor", {}).get("States", {})
    return found


def tasks(stack: Stack, workflow: str, integration: str) -> dict[str, Any]:
    """Return the states that call a service, such as ``lambda:invoke``."""
    return {
        name: state
        for name, state in states(stack, workflow).items()
        if state.get("Resource") == f"arn:aws:states:::{integration}"
    }


def retry(error: str, interval: int, attempts: int, longest: int) -> dict[str, Any]:
    return {
        "ErrorEquals": [error],
        "IntervalSeconds": interval,
        "BackoffRate": 2,
        "MaxAttempts": attempts,
        "MaxDelaySeconds": longest,
        "JitterStrategy": "FULL",
    }
