"""What keeps data, keeps strangers out or keeps work going, by the type of resource.

Every rule of this gate about single resources is a row of a table here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

KEPT: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "aws_api_gateway_rest_api": ("API", "its clients would lose the address that they call"),
        "aws_cloudwatch_log_group": ("log group", "its logs would be lost"),
        "aws_dynamodb_table": ("table", "all that is in it would be lost"),
        "aws_kms_key": ("key", "nobody could read what it encrypts"),
        "aws_s3_bucket": ("bucket", "the files in it would be lost"),
        "aws_secretsmanager_secret": ("secret", "its value would be lost"),
        "aws_sfn_state_machine": ("state machine", "its executions would be ended in the middle"),
        "aws_sns_topic": ("topic", "its subscribers would hear nothing any more"),
        "aws_sqs_queue": ("queue", "the messages in it would be lost"),
    }
)
"""What is never deleted or replaced: how it is called, and what would be lost with it."""

GUARDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aws_api_gateway_method_settings": "nothing would throttle the API",
        "aws_cloudwatch_event_rule": "nobody would be told of what it looks for",
        "aws_cloudwatch_event_target": "what its rule finds would go nowhere",
        "aws_iam_role_policy": "the role would lose every permission",
        "aws_lambda_alias": "nothing that invokes the function would reach it",
        "aws_lambda_event_source_mapping": "nobody would take what waits there",
        "aws_lambda_function_event_invoke_config": "what fails would be lost without a trace",
        "aws_s3_bucket_logging": "nobody would know who read the bucket",
        "aws_s3_bucket_notification": "files would be uploaded and never read",
        "aws_s3_bucket_ownership_controls": "access lists could open the bucket",
        "aws_s3_bucket_public_access_block": "the bucket could be opened to the public",
        "aws_s3_bucket_server_side_encryption_configuration": "files would not have our key",
        "aws_s3_bucket_versioning": "overwritten files would be lost",
        "aws_scheduler_schedule": "what it does every few minutes would not be done",
        "aws_sns_topic_subscription": "whoever is told by it would be told nothing any more",
        "aws_sqs_queue_redrive_policy": "what nobody can handle would come back for ever",
        "aws_wafv2_web_acl": "nothing would stand in front of the API",
        "aws_wafv2_web_acl_association": "nothing would stand in front of the API",
        "aws_wafv2_web_acl_logging_configuration": "nobody would know what the firewall saw",
    }
)
"""What is never taken away, unless another one takes its place: what would happen without it."""

POLICIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "aws_api_gateway_rest_api": ("policy",),
        "aws_api_gateway_rest_api_policy": ("policy",),
        "aws_dynamodb_resource_policy": ("policy",),
        "aws_iam_policy": ("policy",),
        "aws_iam_role": ("assume_role_policy",),
        "aws_iam_role_policy": ("policy",),
        "aws_kms_key": ("policy",),
        "aws_kms_key_policy": ("policy",),
        "aws_s3_bucket_policy": ("policy",),
        "aws_secretsmanager_secret": ("policy",),
        "aws_secretsmanager_secret_policy": ("policy",),
        "aws_sns_topic": ("policy",),
        "aws_sns_topic_policy": ("policy",),
        "aws_sqs_queue": ("policy",),
        "aws_sqs_queue_policy": ("policy",),
    }
)
"""Where each type of resource keeps its policy."""

type Test = Callable[[Any, Any], bool]
"""Whether a value may follow another one."""


def _stays_on(before: Any, after: Any) -> bool:
    return before is not True or after is True


def _stays_off(before: Any, after: Any) -> bool:
    return before is True or after is not True


def _stays(safe: str) -> Test:
    return lambda before, after: before != safe or after == safe


def _is_kept(before: Any, after: Any) -> bool:
    return not before or bool(after)


def _is_no_shorter(before: Any, after: Any) -> bool:
    """Compare times to keep something, where none means for ever."""
    return not after or bool(before and after >= before)


def _is_no_less(before: Any, after: Any) -> bool:
    return not before or bool(after and after >= before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Safeguard:
    """A setting of a type of resource, which values may follow it, and what the others would do."""

    type: str
    path: str
    may_follow: Test
    harm: str


def _of(type_: str, *settings: tuple[str, Test, str]) -> list[Safeguard]:
    return [
        Safeguard(type=type_, path=path, may_follow=test, harm=harm)
        for path, test, harm in settings
    ]


_ENCRYPTED: Final = "what is in it would not be encrypted with our key"
_SSE: Final = "rule.0.apply_server_side_encryption_by_default.0"

SAFEGUARDS: Final = (
    *_of("aws_api_gateway_method", ("authorization", _stays("AWS_IAM"), "strangers could call it")),
    *_of(
        "aws_api_gateway_stage",
        ("access_log_settings.0.destination_arn", _is_kept, "nobody would know who called"),
    ),
    *_of(
        "aws_cloudwatch_event_rule",
        ("state", _stays("ENABLED"), "nobody would be told of what it looks for"),
    ),
    *_of(
        "aws_cloudwatch_log_group",
        ("retention_in_days", _is_no_shorter, "logs would be deleted earlier"),
        ("kms_key_id", _is_kept, _ENCRYPTED),
    ),
    *_of(
        "aws_dynamodb_table",
        ("deletion_protection_enabled", _stays_on, "the table could be deleted"),
        ("point_in_time_recovery.0.enabled", _stays_on, "lost items could not be restored"),
        ("server_side_encryption.0.enabled", _stays_on, _ENCRYPTED),
        ("server_side_encryption.0.kms_key_arn", _is_kept, _ENCRYPTED),
        ("stream_enabled", _stays_on, "nothing would be announced any more"),
        ("ttl.0.enabled", _stays_off, "items that have this attribute would be deleted"),
    ),
    *_of("aws_iam_role", ("permissions_boundary", _is_kept, "nothing would limit the role")),
    *_of(
        "aws_kms_key",
        ("enable_key_rotation", _stays_on, "the key would get no new material"),
        ("is_enabled", _stays_on, "nobody could read what it encrypts"),
        ("deletion_window_in_days", _is_no_less, "a deleted key could be restored for less long"),
    ),
    *_of(
        "aws_lambda_event_source_mapping",
        ("enabled", _stays_on, "nobody would take what waits there"),
        ("function_response_types", _is_kept, "one bad message would hold up its neighbours"),
    ),
    *_of("aws_lambda_function", ("kms_key_arn", _is_kept, _ENCRYPTED)),
    *_of(
        "aws_lambda_function_event_invoke_config",
        (
            "destination_config.0.on_failure.0.destination",
            _is_kept,
            "what fails would be lost without a trace",
        ),
    ),
    *_of("aws_s3_bucket", ("force_destroy", _stays_off, "deleting it would delete its files")),
    *_of(
        "aws_s3_bucket_lifecycle_configuration",
        ("rule.0.expiration.0.days", _is_no_shorter, "files would be deleted earlier"),
        (
            "rule.0.noncurrent_version_expiration.0.noncurrent_days",
            _is_no_shorter,
            "overwritten files would be deleted earlier",
        ),
    ),
    *_of(
        "aws_s3_bucket_ownership_controls",
        (
            "rule.0.object_ownership",
            _stays("BucketOwnerEnforced"),
            "access lists could open the bucket",
        ),
    ),
    *_of(
        "aws_s3_bucket_public_access_block",
        *(
            (flag, _stays_on, "the bucket could be opened to the public")
            for flag in (
                *("block_public_acls", "block_public_policy"),
                *("ignore_public_acls", "restrict_public_buckets"),
            )
        ),
    ),
    *_of(
        "aws_s3_bucket_server_side_encryption_configuration",
        (f"{_SSE}.sse_algorithm", _stays("aws:kms"), _ENCRYPTED),
        (f"{_SSE}.kms_master_key_id", _is_kept, _ENCRYPTED),
    ),
    *_of(
        "aws_s3_bucket_versioning",
        ("versioning_configuration.0.status", _stays("Enabled"), "overwritten files would be lost"),
    ),
    *_of(
        "aws_scheduler_schedule",
        ("state", _stays("ENABLED"), "what it does every few minutes would not be done"),
    ),
    *_of(
        "aws_secretsmanager_secret",
        ("kms_key_id", _is_kept, _ENCRYPTED),
        ("recovery_window_in_days", _is_no_less, "a deleted one could be restored for less long"),
    ),
    *_of("aws_sns_topic", ("kms_master_key_id", _is_kept, _ENCRYPTED)),
    *_of(
        "aws_sqs_queue",
        ("kms_master_key_id", _is_kept, _ENCRYPTED),
        ("message_retention_seconds", _is_no_less, "messages would be deleted earlier"),
        ("redrive_policy", _is_kept, "what nobody can handle would come back for ever"),
    ),
)
"""Settings that must not be given up."""


def at(attributes: object, path: str) -> Any:
    """Return what is at a path such as ``rule.0.days``, or ``None`` if there is nothing."""
    found: Any = attributes
    for step in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found
