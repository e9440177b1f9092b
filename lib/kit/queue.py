"""One way to make a queue."""

from collections.abc import Sequence
from typing import Final

from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from constructs import Construct

from lib.environment import Environment
from lib.kit.iam import Statement, deny_plain_http, policy_json

RETENTION_SECONDS: Final = 14 * 24 * 3600
"""As long as SQS can keep a message. A dead letter keeps its first time stamp, so that a queue must
keep its messages for less: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
VISIBILITY_TIMEOUT_SECONDS: Final = 180


def add_queue(
    scope: Construct,
    name: str,
    *,
    environment: Environment,
    retention_seconds: int = RETENTION_SECONDS,
    redrive_allow_policy: str | None = None,
    statements: Sequence[Statement] = (),
) -> SqsQueue:
    """Make the queue ``{name}-{suffix}``: encrypted, over TLS only."""
    return SqsQueue(
        scope,
        name,
        name=environment.name(name),
        kms_master_key_id=environment.key.arn,
        message_retention_seconds=retention_seconds,
        visibility_timeout_seconds=VISIBILITY_TIMEOUT_SECONDS,
        redrive_allow_policy=redrive_allow_policy,
        # Not a resource of its own, for which Terraform would wait once more.
        policy=policy_json(
            deny_plain_http(actions=("sqs:*",), resources=(environment.arn("sqs", name),)),
            *statements,
        ),
    )
