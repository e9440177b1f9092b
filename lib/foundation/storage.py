"""Buckets and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.dynamodb_resource_policy import DynamodbResourcePolicy
from cdktf_cdktf_provider_aws.dynamodb_table import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTableGlobalSecondaryIndex,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableServerSideEncryption,
    DynamodbTableTtl,
)
from constructs import Construct

from lib.config import StackConfig
from lib.kit.arns import Arns
from lib.kit.bucket import PrivateBucket
from lib.kit.encryption import Encryption
from lib.kit.iam import ANYBODY, Statement, policy_json

BATCH_BUCKET: Final = "payment-batch-files"
BATCH_RESULTS_BUCKET: Final = "payment-batch-results"
REPORT_DAYS: Final = 365
ACCESS_LOG_DAYS: Final = 365

CHANGING_ACTIONS: Final = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLUpdate",
    "dynamodb:UpdateItem",
)
"""What could change or remove an item. ``BatchWriteItem`` can delete and takes no conditions."""

type Key = Mapping[str, Literal["S", "N"]]
"""The attributes of a partition key and, if there is one, of a sort key, with their types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A second order of a table's keys; an item without the attributes of ``key`` is not in it."""

    name: str
    key: Key


OPEN_PAYMENTS: Final = Index(name="open-payments", key={"open_shard": "N", "accepted_at": "S"})
"""Payments that are not final, the oldest of each shard first; it empties as they finish."""


class Storage(Construct):
    """The batch, report and access log buckets, and the three tables."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: StackConfig,
        arns: Arns,
        encryption: Encryption,
    ) -> None:
        super().__init__(scope, id_)
        access_logs = PrivateBucket(
            self,
            "access-logs",
            config=config,
            name="payment-access-logs",
            # S3 delivers access logs only to buckets encrypted with its own key:
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
            encryption=None,
            expire_days=ACCESS_LOG_DAYS,
            statements=[_access_log_delivery(config, arns)],
        )
        self.batch_bucket = PrivateBucket(
            self,
            "batches",
            config=config,
            name=BATCH_BUCKET,
            encryption=encryption,
            access_logs=access_logs,
        ).bucket
        # A bucket of its own, so that a report never triggers a batch.
        self.batch_results_bucket = PrivateBucket(
            self,
            "batch-results",
            config=config,
            name=BATCH_RESULTS_BUCKET,
            encryption=encryption,
            access_logs=access_logs,
            expire_days=REPORT_DAYS,
        ).bucket

        self.payments_table = _table(
            self,
            "payments",
            config=config,
            encryption=encryption,
            key={"payment_id": "S"},
            indexes=[OPEN_PAYMENTS],
        )
        self.processing_status_table = _table(
            self,
            "processing-status",
            config=config,
            encryption=encryption,
            key={"entity_id": "S", "sequence": "N"},
            ttl_attribute="expires_at",
        )
        self.audit_logs_table = _table(
            self,
            "audit-logs",
            config=config,
            encryption=encryption,
            key={"payment_id": "S", "sequence": "N"},
        )
        DynamodbResourcePolicy(
            self,
            "audit-logs-append-only",
            resource_arn=self.audit_logs_table.arn,
            policy=policy_json(
                Statement(
                    sid="AppendOnly",
                    effect="Deny",
                    principal=ANYBODY,
                    actions=CHANGING_ACTIONS,
                    resources=(self.audit_logs_table.arn,),
                )
            ),
        )


def _access_log_delivery(config: StackConfig, arns: Arns) -> Statement:
    logged = [config.name(BATCH_BUCKET), config.name(BATCH_RESULTS_BUCKET)]
    access_logs = arns.of_bucket(config.name("payment-access-logs"))
    return Statement(
        sid="AccessLogDelivery",
        principal={"Service": "logging.s3.amazonaws.com"},
        actions=("s3:PutObject",),
        resources=tuple(f"{access_logs}/{bucket}/*" for bucket in logged),
        conditions={
            "ArnEquals": {"aws:SourceArn": [arns.of_bucket(bucket) for bucket in logged]},
            "StringEquals": {"aws:SourceAccount": arns.account},
        },
    )


def _table(
    scope: Construct,
    name: str,
    *,
    config: StackConfig,
    encryption: Encryption,
    key: Key,
    indexes: Sequence[Index] = (),
    ttl_attribute: str | None = None,
) -> DynamodbTable:
    """Make the table ``{name}-{suffix}``; ``key`` is its partition key, then its sort key."""
    hash_key, *range_key = key
    types = dict(key)
    for index in indexes:
        types.update(index.key)
    return DynamodbTable(
        scope,
        name,
        name=config.name(name),
        billing_mode="PAY_PER_REQUEST",
        hash_key=hash_key,
        range_key=range_key[0] if range_key else None,
        attribute=[
            DynamodbTableAttribute(name=attribute, type=type_) for attribute, type_ in types.items()
        ],
        global_secondary_index=[_keys_only(index) for index in indexes] or None,
        ttl=(
            None
            if ttl_attribute is None
            else DynamodbTableTtl(attribute_name=ttl_attribute, enabled=True)
        ),
        point_in_time_recovery=DynamodbTablePointInTimeRecovery(enabled=True),
        server_side_encryption=DynamodbTableServerSideEncryption(
            enabled=True, kms_key_arn=encryption.key.arn
        ),
        deletion_protection_enabled=config.profile.deletion_protection,
        lifecycle=TerraformResourceLifecycle(prevent_destroy=config.profile.deletion_protection),
    )


def _keys_only(index: Index) -> DynamodbTableGlobalSecondaryIndex:
    hash_key, range_key = index.key
    return DynamodbTableGlobalSecondaryIndex(
        name=index.name, hash_key=hash_key, range_key=range_key, projection_type="KEYS_ONLY"
    )
