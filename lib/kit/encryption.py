"""The one key that everything of an environment is encrypted with."""

from typing import Final

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from constructs import Construct

from lib.config import StackConfig
from lib.kit.arns import Arns
from lib.kit.iam import Statement, policy_json

# In a key's own policy "*" means this key, and there is no other way to say it:
# https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
THIS_KEY: Final = ("*",)

# What the account may hand out through IAM. Cryptography for its own sake (signing, re-encrypting
# under another key) is not among it.
ACCOUNT_ACTIONS: Final = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)


class Encryption(Construct):
    """A customer-managed key, rotated every year, and who may use it for what.

    Services are named only where they act in their own name. S3 and Lambda are not among them: S3
    tells Lambda of an upload, which needs no key, and in buckets, tables, queues and variables they
    use it in the name of the role that asks (``use_through``). S3's access logs have S3's own key.
    """

    def __init__(self, scope: Construct, id_: str, *, config: StackConfig, arns: Arns) -> None:
        super().__init__(scope, id_)
        self._config = config
        self.key = KmsKey(
            self,
            "key",
            description=f"Payments, batches, events and logs of {config.suffix}",
            enable_key_rotation=True,
            deletion_window_in_days=config.profile.key_deletion_days,
            policy=policy_json(
                _account_through_iam(arns),
                _log_groups(config, arns),
                _alarms(config, arns),
                _subscriptions(config, arns),
            ),
            lifecycle=TerraformResourceLifecycle(
                prevent_destroy=config.profile.deletion_protection
            ),
        )
        KmsAlias(
            self,
            "alias",
            name=f"alias/{config.name('payments')}",
            target_key_id=self.key.key_id,
        )

    def use_through(self, *services: str) -> Statement:
        """Let a role read and write what these services keep encrypted, and only through them.

        See https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
        """
        return Statement(
            sid="UseKeyThroughServices",
            actions=("kms:Decrypt", "kms:GenerateDataKey"),
            resources=(self.key.arn,),
            conditions={
                "StringEquals": {
                    "kms:ViaService": [
                        f"{service}.{self._config.region}.amazonaws.com"
                        for service in sorted(services)
                    ]
                }
            },
        )

    def decrypt_variables_of(self, function_arn: str) -> Statement:
        """Let a function's role read the environment variables of the function and its versions.

        A version's variables are its own, and no page says whether their context names the version.
        See https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
        """
        return Statement(
            sid="DecryptOwnVariables",
            actions=("kms:Decrypt",),
            resources=(self.key.arn,),
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:lambda:FunctionArn": [
                        function_arn,
                        f"{function_arn}:*",
                    ]
                }
            },
        )


def _account_through_iam(arns: Arns) -> Statement:
    return Statement(
        sid="AccountThroughIam",
        principal={"AWS": f"arn:{arns.partition}:iam::{arns.account}:root"},
        actions=ACCOUNT_ACTIONS,
        resources=THIS_KEY,
    )


def _log_groups(config: StackConfig, arns: Arns) -> Statement:
    """See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html.

    Not DescribeKey, which carries no encryption context, so that the condition never holds for it.
    """
    return Statement(
        sid="LogGroups",
        principal={"Service": f"logs.{config.region}.amazonaws.com"},
        actions=(
            "kms:Decrypt",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        resources=THIS_KEY,
        conditions={
            "ArnEquals": {
                "kms:EncryptionContext:aws:logs:arn": [
                    arns.of("logs", f"log-group:{name}") for name in config.log_groups
                ]
            }
        },
    )


def _alarms(config: StackConfig, arns: Arns) -> Statement:
    """Without this, alarms are silent: the topic they publish to is encrypted with this key."""
    return Statement(
        sid="AlarmsToEncryptedTopic",
        principal={"Service": "cloudwatch.amazonaws.com"},
        actions=("kms:Decrypt", "kms:GenerateDataKey"),
        resources=THIS_KEY,
        conditions={
            "ArnLike": {"aws:SourceArn": arns.of("cloudwatch", f"alarm:{config.name('*')}")},
            "StringEquals": {"aws:SourceAccount": arns.account},
        },
    )


def _subscriptions(config: StackConfig, arns: Arns) -> Statement:
    """Let the topic deliver to a queue that is encrypted with this key, or set a message aside.

    See https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html
    """
    return Statement(
        sid="NotificationsToEncryptedQueues",
        principal={"Service": "sns.amazonaws.com"},
        actions=("kms:Decrypt", "kms:GenerateDataKey"),
        resources=THIS_KEY,
        conditions={
            "ArnEquals": {"aws:SourceArn": arns.of("sns", config.name("payment-notifications"))},
            "StringEquals": {"aws:SourceAccount": arns.account},
        },
    )
