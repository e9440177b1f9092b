"""The names of the stack's buckets, which are unique among all customers of AWS."""

from http import HTTPStatus
from typing import Any, Final

from botocore.exceptions import ClientError

from lib.config import StackConfig
from operations.checks.findings import Finding, Level, not_known, ok, status_of
from operations.checks.state import NOWHERE, Deployed, region_of

BUCKETS: Final = ("payment-access-logs", "payment-batch-files", "payment-batch-results")
"""The buckets of the stack, without the suffix."""

_LONGEST_SUFFIX = 20


def bucket_name(
    config: StackConfig, buckets: Any, *, account: str, name: str, before: Deployed | None
) -> Finding:
    """Look whether a bucket of the stack can be created, or is there already as its own.

    Args:
        config: the environment.
        buckets: client of S3 in the environment's region.
        account: who deploys.
        name: the bucket's.
        before: where the environment is; None if that could not be seen.
    """
    try:
        answer = buckets.head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except ClientError as error:
        status = status_of(error)
        if status == HTTPStatus.NOT_FOUND:
            return ok(f"Bucket {name}", "the name is free")
        if status == HTTPStatus.FORBIDDEN and before in {None, NOWHERE}:
            by = "by another account (or it is yours, and these credentials have no s3:ListBucket)"
            return _taken(config, account, name, by)
        if status != HTTPStatus.MOVED_PERMANENTLY:
            raise
        answer = error.response
    there = region_of(answer) or config.region
    if there != config.region:
        return _taken(config, account, name, f"by a bucket in {there}")
    return _own(config, account, name, before)


def _taken(config: StackConfig, account: str, name: str, by: str) -> Finding:
    return Finding(
        about=f"Bucket {name}",
        level=Level.FAULT,
        found=f"the name is taken, {by}",
        why="No two customers of AWS have buckets of one name: the deployment would fail with"
        " BucketAlreadyExists.",
        fix=_rename(config, account),
    )


def _own(config: StackConfig, account: str, name: str, before: Deployed | None) -> Finding:
    about = f"Bucket {name}"
    if before is None:
        return not_known(
            about,
            "it is yours, and whether this environment's state knows it could not be seen",
            by_hand=f"aws s3api get-bucket-tagging --bucket {name}",
        )
    if before != NOWHERE:
        return ok(about, "is this environment's")
    return Finding(
        about=about,
        level=Level.FAULT,
        found="is yours already, and no state of this environment knows it",
        why="The deployment would fail with BucketAlreadyOwnedByYou.",
        fix=f"aws s3 rb s3://{name} # removes it if it is empty; or: {_rename(config, account)}",
    )


def _rename(config: StackConfig, account: str) -> str:
    """Name an environment of the same kind, whose buckets are hardly anybody else's."""
    tail = f"-{account[-4:]}"
    room = _LONGEST_SUFFIX - len(tail)
    return f"export ENVIRONMENT_SUFFIX={config.suffix[:room].rstrip('-')}{tail}"
