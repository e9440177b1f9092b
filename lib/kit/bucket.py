"""One way to make a bucket."""

from collections.abc import Sequence

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
)
from cdktf_cdktf_provider_aws.s3_bucket_logging import S3BucketLoggingA
from cdktf_cdktf_provider_aws.s3_bucket_ownership_controls import (
    S3BucketOwnershipControls,
    S3BucketOwnershipControlsRule,
)
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_bucket_versioning import (
    S3BucketVersioningA,
    S3BucketVersioningVersioningConfiguration,
)
from constructs import Construct

from lib.environment import Environment
from lib.kit.iam import Statement, deny_plain_http, policy_json

ABANDONED_UPLOAD_DAYS = 7
OLD_VERSION_DAYS = 90


class PrivateBucket(Construct):
    """A bucket that is encrypted, versioned, closed to the public and to plain HTTP."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        name: str,
        s3_managed_key: bool = False,
        access_logs: "PrivateBucket | None" = None,
        expire_days: int | None = None,
        statements: Sequence[Statement] = (),
    ) -> None:
        """Make the bucket ``{name}-{suffix}``.

        The environment's key encrypts it, or S3's own if ``s3_managed_key``. Objects are kept
        ``expire_days``, or for ever. ``statements`` go into the bucket's policy; requests are
        logged to ``access_logs``.
        """
        super().__init__(scope, id_)
        self.bucket = S3Bucket(
            self,
            "bucket",
            bucket=environment.name(name),
            force_destroy=environment.profile.force_destroy,
            lifecycle=TerraformResourceLifecycle(
                prevent_destroy=environment.profile.deletion_protection
            ),
        )
        S3BucketOwnershipControls(
            self,
            "ownership",
            bucket=self.bucket.id,
            rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
        )
        S3BucketPublicAccessBlock(
            self,
            "public-access",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        S3BucketServerSideEncryptionConfigurationA(
            self,
            "encryption",
            bucket=self.bucket.id,
            rule=[_encryption_rule(None if s3_managed_key else environment.key)],
        )
        S3BucketVersioningA(
            self,
            "versioning",
            bucket=self.bucket.id,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        S3BucketLifecycleConfiguration(
            self, "lifecycle", bucket=self.bucket.id, rule=[_lifecycle_rule(expire_days)]
        )
        S3BucketPolicy(
            self,
            "policy",
            bucket=self.bucket.id,
            policy=policy_json(
                deny_plain_http(
                    actions=("s3:*",), resources=(self.bucket.arn, f"{self.bucket.arn}/*")
                ),
                *statements,
            ),
        )
        if access_logs is not None:
            S3BucketLoggingA(
                self,
                "logging",
                bucket=self.bucket.id,
                target_bucket=access_logs.bucket.id,
                target_prefix=f"{environment.name(name)}/",
            )


def _encryption_rule(
    key: KmsKey | None,
) -> S3BucketServerSideEncryptionConfigurationRuleA:
    return S3BucketServerSideEncryptionConfigurationRuleA(
        apply_server_side_encryption_by_default=(
            S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                sse_algorithm="AES256" if key is None else "aws:kms",
                kms_master_key_id=None if key is None else key.arn,
            )
        ),
        bucket_key_enabled=key is not None,
    )


def _lifecycle_rule(expire_days: int | None) -> S3BucketLifecycleConfigurationRule:
    return S3BucketLifecycleConfigurationRule(
        id="tidy",
        status="Enabled",
        filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
        abort_incomplete_multipart_upload=[
            S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                days_after_initiation=ABANDONED_UPLOAD_DAYS
            )
        ],
        noncurrent_version_expiration=[
            S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(
                noncurrent_days=OLD_VERSION_DAYS
            )
        ],
        expiration=(
            None
            if expire_days is None
            else [S3BucketLifecycleConfigurationRuleExpiration(days=expire_days)]
        ),
    )
