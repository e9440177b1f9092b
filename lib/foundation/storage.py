"""Buckets and tables."""

from typing import Final

from cdktf_cdktf_provider_aws.dynamodb_resource_policy import DynamodbResourcePolicy
from constructs import Construct

from lib.environment import Environment
from lib.kit.bucket import PrivateBucket
from lib.kit.iam import ANYBODY, Statement, policy_json
from lib.kit.table import Index, add_table

BATCH_BUCKET: Final = "payment-batch-files"
BATCH_RESULTS_BUCKET: Final = "payment-batch-results"
REPORT_DAYS: Final = 400
"""As long as batches are shown, whose answers link to their reports."""
ACCESS_LOG_DAYS: Final = 365

CHANGING_ACTIONS: Final = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLUpdate",
    "dynamodb:UpdateItem",
)
"""What could change or remove an item. ``BatchWriteItem`` can delete and takes no conditions."""

OPEN_PAYMENTS: Final = Index(name="open-payments", key={"open_shard": "N", "accepted_at": "S"})
"""Payments that are not final, the oldest of each shard first; it empties as they finish."""

BY_TIME: Final = Index(
    name="by-time",
    key={"time_shard": "N", "created_at": "S"},
    include=("currency", "source"),
)
"""All payments by the time of their acceptance. Nothing in it changes, so it is written once."""


HELD_PAYMENTS: Final = Index(name="held-payments", key={"held_shard": "N", "capture_before": "S"})
"""Payments that are authorised and not captured yet, those first that expire first."""

DUE_OPERATIONS: Final = Index(name="due-operations", key={"due_shard": "N", "due_at": "S"})
"""Operations that the sweep looks at again, and when: open ones, and refunds that may come back."""


class Storage(Construct):
    """The batch, report and access log buckets, and the tables."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment) -> None:
        super().__init__(scope, id_)
        access_logs = PrivateBucket(
            self,
            "access-logs",
            environment=environment,
            name="payment-access-logs",
            # S3 delivers access logs only to buckets encrypted with its own key:
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
            s3_managed_key=True,
            expire_days=ACCESS_LOG_DAYS,
            statements=[_access_log_delivery(environment)],
        )
        self.batch_bucket = PrivateBucket(
            self,
            "batches",
            environment=environment,
            name=BATCH_BUCKET,
            access_logs=access_logs,
        ).bucket
        # A bucket of its own, so that a report never triggers a batch.
        self.batch_results_bucket = PrivateBucket(
            self,
            "batch-results",
            environment=environment,
            name=BATCH_RESULTS_BUCKET,
            access_logs=access_logs,
            expire_days=REPORT_DAYS,
        ).bucket

        self.payments_table = add_table(
            self,
            "payments",
            environment=environment,
            key={"payment_id": "S"},
            indexes=[OPEN_PAYMENTS, BY_TIME, HELD_PAYMENTS],
        )
        self.operations_table = add_table(
            self,
            "payment-operations",
            environment=environment,
            key={"payment_id": "S", "operation": "S"},
            indexes=[DUE_OPERATIONS],
        )
        self.processing_status_table = add_table(
            self,
            "processing-status",
            environment=environment,
            key={"entity_id": "S", "sequence": "N"},
            ttl_attribute="expires_at",
        )
        self.audit_logs_table = add_table(
            self,
            "audit-logs",
            environment=environment,
            key={"payment_id": "S", "sequence": "N"},
            is_streamed=True,
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


def _access_log_delivery(environment: Environment) -> Statement:
    logged = [environment.name(BATCH_BUCKET), environment.name(BATCH_RESULTS_BUCKET)]
    access_logs = environment.arns.of_bucket(environment.name("payment-access-logs"))
    return Statement(
        sid="AccessLogDelivery",
        principal={"Service": "logging.s3.amazonaws.com"},
        actions=("s3:PutObject",),
        resources=tuple(f"{access_logs}/{bucket}/*" for bucket in logged),
        conditions={
            "ArnEquals": {
                "aws:SourceArn": [environment.arns.of_bucket(bucket) for bucket in logged]
            },
            "StringEquals": {"aws:SourceAccount": environment.arns.account},
        },
    )
