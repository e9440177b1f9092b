"""DynamoDB's attribute values, to and from plain Python; every number we store is an integer."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

TIMELINE_RETENTION: Final = timedelta(days=400)
"""How long timelines, progress and outcomes are kept; the audit trail is kept for ever."""

CLAIM_RETENTION: Final = timedelta(days=30)
"""How long claims of a dry run are kept: longer than it can run, be set aside and be tried again."""

type Item = dict[str, Any]

_serializer = TypeSerializer()

_deserializer = TypeDeserializer()


def serialize(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item as DynamoDB takes it."""
    return {name: _serializer.serialize(value) for name, value in item.items()}


def deserialize(item: Mapping[str, Any]) -> Item:
    """Return an item as it was given to :func:`serialize`."""
    # boto3 gives Decimal for every number.
    return {
        name: int(value["N"]) if "N" in value else _deserializer.deserialize(value)
        for name, value in item.items()
    }


def expires_at(at: str, retention: timedelta = TIMELINE_RETENTION) -> int:
    """Return the epoch seconds from which DynamoDB may drop what was written at ``at``."""
    return int((datetime.fromisoformat(at) + retention).timestamp())
