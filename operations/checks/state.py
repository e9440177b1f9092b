"""The bucket of Terraform's state, and where the state says that the environment is."""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from botocore.exceptions import ClientError

from lib.config import StackConfig
from operations.checks.findings import Finding, Level, code_of, must, ok, status_of

_NAMES_ACCOUNT = re.compile(r"arn:[a-z-]+:[a-z0-9-]+:([a-z0-9-]+):(\d{12}):")


@dataclass(frozen=True, slots=True)
class Deployed:
    """Where the state says that this environment is; both None if there is nothing."""

    account: str | None
    region: str | None


NOWHERE: Final = Deployed(None, None)


def state_bucket(config: StackConfig, states: Any, *, about: str) -> Finding:
    """Look whether the state bucket is there, may be used, and is where the variable says."""
    name, region = config.state_bucket, config.state_bucket_region
    try:
        answer = states.head_bucket(Bucket=name)
    except ClientError as error:
        status = status_of(error)
        if status == HTTPStatus.NOT_FOUND:
            return Finding(
                about=about,
                level=Level.FAULT,
                found=f"{name} does not exist",
                why="Terraform keeps there what it has deployed, and creates no bucket for it.",
                fix=_create_bucket(name, region),
            )
        if status == HTTPStatus.FORBIDDEN:
            return Finding(
                about=about,
                level=Level.FAULT,
                found=f"{name} is another account's, or these credentials have no s3:ListBucket",
                why="Terraform could neither read nor write what it has deployed.",
                fix="aws s3 ls # then, with one of these: export TERRAFORM_STATE_BUCKET=…",
            )
        if status != HTTPStatus.MOVED_PERMANENTLY:
            raise
        answer = error.response
    there = region_of(answer)
    if there and there != region:
        return Finding(
            about=about,
            level=Level.FAULT,
            found=f"{name} is in {there}, not in {region}",
            why="Terraform asks for it in the region that TERRAFORM_STATE_BUCKET_REGION names.",
            fix=f"export TERRAFORM_STATE_BUCKET_REGION={there}",
        )
    return ok(about, f"{name} in {region}")


def state_versioning(config: StackConfig, states: Any, *, about: str) -> Finding:
    """Look whether the state bucket keeps earlier versions of the state."""
    status = states.get_bucket_versioning(Bucket=config.state_bucket).get("Status", "Disabled")
    if status == "Enabled":
        return ok(about, "kept")
    return Finding(
        about=about,
        level=must(config),
        found=f"not kept: versioning is {status}",
        why="A state that is damaged or deleted could not be brought back, and Terraform would"
        " create everything a second time.",
        fix=_enable_versioning(config.state_bucket),
    )


def state_encryption(config: StackConfig, states: Any, *, about: str) -> Finding:
    """Look whether the state bucket encrypts what is put into it."""
    try:
        rules = states.get_bucket_encryption(Bucket=config.state_bucket)
        (rule,) = rules["ServerSideEncryptionConfiguration"]["Rules"]
        return ok(about, rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])
    except ClientError as error:
        if code_of(error) != "ServerSideEncryptionConfigurationNotFoundError":
            raise
    rules = '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
    return Finding(
        about=about,
        level=must(config),
        found="none",
        why="The state names every resource and may hold secrets.",
        fix=f"aws s3api put-bucket-encryption --bucket {config.state_bucket}"
        f" --server-side-encryption-configuration '{rules}'",
    )


def state_public_access(config: StackConfig, states: Any, *, about: str) -> Finding:
    """Look whether the state bucket refuses to be made public."""
    try:
        blocks = states.get_public_access_block(Bucket=config.state_bucket)[
            "PublicAccessBlockConfiguration"
        ]
    except ClientError as error:
        if code_of(error) != "NoSuchPublicAccessBlockConfiguration":
            raise
        blocks = {}
    wanted = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    missing = [setting for setting in wanted if not blocks.get(setting)]
    if not missing:
        return ok(about, "blocked")
    return Finding(
        about=about,
        level=must(config),
        found=f"not blocked: {', '.join(missing)} off",
        why="One mistaken policy or access list would show the state to everybody.",
        fix=_block_public_access(config.state_bucket),
    )


def deployed(config: StackConfig, states: Any) -> Deployed:
    """Return where the state says that this environment is: read from its outputs' ARNs."""
    try:
        object_ = states.get_object(Bucket=config.state_bucket, Key=config.state_key)
    except ClientError as error:
        if code_of(error) in {"NoSuchKey", "NoSuchBucket", "404"}:
            return NOWHERE
        raise
    state = json.loads(object_["Body"].read())
    if not state["resources"]:
        return NOWHERE
    for output in state["outputs"].values():
        if named := _NAMES_ACCOUNT.match(str(output["value"])):
            return Deployed(account=named[2], region=named[1])
    raise ValueError("no output of the state is an ARN with account and region")


def place(config: StackConfig, account: str, before: Deployed) -> Finding:
    """Look whether the environment goes where it already is."""
    about = "Account and region"
    here = f"account {account} in {config.region}"
    if before == NOWHERE:
        return ok(about, f"nothing is deployed yet; it would go to {here}")
    if before == Deployed(account, config.region):
        return ok(about, f"deployed before to {here}")
    return Finding(
        about=about,
        level=Level.FAULT,
        found=f"{config.suffix} is deployed to account {before.account} in {before.region}"
        f" already, and this would go to {here}",
        why="Terraform would take every resource for gone and create all anew.",
        fix=f"export AWS_REGION={before.region}"
        if before.account == account
        else f"export AWS_REGION={before.region} AWS_PROFILE=… # a profile of account {before.account}",
    )


def region_of(answer: Any) -> str | None:
    """Return the region that an answer of HeadBucket names, as a success or an error."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region: str | None = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
    return region


def _create_bucket(name: str, region: str) -> str:
    # S3 refuses to be told its default region.
    there = (
        ""
        if region == "us-east-1"
        else f" --create-bucket-configuration LocationConstraint={region}"
    )
    return "\n".join(
        (
            f"aws s3api create-bucket --bucket {name} --region {region}{there}",
            _enable_versioning(name),
            _block_public_access(name),
        )
    )


def _enable_versioning(name: str) -> str:
    return (
        f"aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled"
    )


def _block_public_access(name: str) -> str:
    return (
        f"aws s3api put-public-access-block --bucket {name} --public-access-block-configuration"
        " BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
    )


CHECKS: Final = (
    ("State bucket", state_bucket, "head-bucket", "s3:ListBucket"),
    (
        "State bucket's versions",
        state_versioning,
        "get-bucket-versioning",
        "s3:GetBucketVersioning",
    ),
    (
        "State bucket's encryption",
        state_encryption,
        "get-bucket-encryption",
        "s3:GetEncryptionConfiguration",
    ),
    (
        "State bucket's public access",
        state_public_access,
        "get-public-access-block",
        "s3:GetBucketPublicAccessBlock",
    ),
)
"""What is looked at, the function that looks, the AWS CLI's command for it, and its permission."""
