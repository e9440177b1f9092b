"""Items of DynamoDB as they are stored, however damaged."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

_deserializer = TypeDeserializer()


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item in plain Python; nothing that DynamoDB can hold makes this fail.

    Every number of ours is an integer. One that is not stays a ``Decimal``, which no reader takes
    for ours.
    """
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: Any) -> Any:
    match value:
        case {"S": text}:
            return text
        case {"B": binary}:
            # boto3's own type for bytes cannot be printed.
            return binary
        case {"L": values}:
            return [_plain(each) for each in values]
        case {"M": values}:
            return plain(values)
    read = _deserializer.deserialize(value)
    return int(read) if isinstance(read, Decimal) and read == int(read) else read
