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
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: Any) -> Any:
    # boto3 gives Decimal for every number, at any depth.
    match value:
        case {"N": number}:
            return int(number)
        case {"L": values}:
            return [_plain(each) for each in values]
        case {"M": values}:
            return deserialize(values)
    return _deserializer.deserialize(value)


def expires_at(at: str, retention: timedelta = TIMELINE_RETENTION) -> int:
    """Return the epoch seconds from which DynamoDB may drop what was written at ``at``."""
    return int((datetime.fromisoformat(at) + retention).timestamp())
