"""One way to make a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.dynamodb_table import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTableGlobalSecondaryIndex,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableServerSideEncryption,
    DynamodbTableTtl,
)
from constructs import Construct

from lib.environment import Environment

type Key = Mapping[str, Literal["S", "N"]]
"""The attributes of a partition key and, if there is one, of a sort key, with their types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A second order of a table's keys; an item without the attributes of ``key`` is not in it.

    It holds keys, and what ``include`` names: attributes that change are written here once more.
    """

    name: str
    key: Key
    include: Sequence[str] = ()


def add_table(
    scope: Construct,
    name: str,
    *,
    environment: Environment,
    key: Key,
    indexes: Sequence[Index] = (),
    ttl_attribute: str | None = None,
    is_streamed: bool = False,
) -> DynamodbTable:
    """Make the table ``{name}-{suffix}``; ``key`` is its partition key, then its sort key."""
    hash_key, *range_key = key
    types = dict(key)
    for index in indexes:
        types.update(index.key)
    return DynamodbTable(
        scope,
        name,
        name=environment.name(name),
        billing_mode="PAY_PER_REQUEST",
        hash_key=hash_key,
        range_key=range_key[0] if range_key else None,
        attribute=[
            DynamodbTableAttribute(name=attribute, type=type_) for attribute, type_ in types.items()
        ],
        global_secondary_index=[_projected(index) for index in indexes] or None,
        ttl=(
            None
            if ttl_attribute is None
            else DynamodbTableTtl(attribute_name=ttl_attribute, enabled=True)
        ),
        stream_enabled=is_streamed or None,
        stream_view_type="NEW_IMAGE" if is_streamed else None,
        point_in_time_recovery=DynamodbTablePointInTimeRecovery(enabled=True),
        server_side_encryption=DynamodbTableServerSideEncryption(
            enabled=True, kms_key_arn=environment.key.arn
        ),
        deletion_protection_enabled=environment.profile.deletion_protection,
        lifecycle=TerraformResourceLifecycle(
            prevent_destroy=environment.profile.deletion_protection
        ),
    )


def _projected(index: Index) -> DynamodbTableGlobalSecondaryIndex:
    hash_key, range_key = index.key
    return DynamodbTableGlobalSecondaryIndex(
        name=index.name,
        hash_key=hash_key,
        range_key=range_key,
        projection_type="INCLUDE" if index.include else "KEYS_ONLY",
        non_key_attributes=list(index.include) or None,
    )
