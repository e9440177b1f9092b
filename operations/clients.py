"""AWS clients of the commands, as the shell's settings make them."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from operations.failures import UnusableSettings

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

AWS_FAILURES: Final = (UnusableSettings, BotoCoreError, ClientError)
"""What making and using a client raises; ``operations.failures.tell`` puts it into words."""


def apigateway() -> Any:
    """Return a client of the APIs.

    Raises:
        UnusableSettings: like each function here, if botocore cannot use a setting.
        BotoCoreError: likewise, if it says so in a type of its own.
    """
    with _settings_named():
        return _session().client("apigateway")


def cloudwatch() -> "CloudWatchClient":
    """Return a client of metrics, alarms and dashboards."""
    with _settings_named():
        return _session().client("cloudwatch")


def dynamodb() -> "DynamoDBClient":
    """Return a client of the tables."""
    with _settings_named():
        return _session().client("dynamodb")


def s3() -> "S3Client":
    """Return a client of the buckets."""
    with _settings_named():
        return _session().client("s3")


def secretsmanager() -> "SecretsManagerClient":
    """Return a client of secrets."""
    with _settings_named():
        return _session().client("secretsmanager")


def sns() -> "SNSClient":
    """Return a client of the topics."""
    with _settings_named():
        return _session().client("sns")


def sqs() -> "SQSClient":
    """Return a client of the queues."""
    with _settings_named():
        return _session().client("sqs")


def stepfunctions() -> "SFNClient":
    """Return a client of the workflows."""
    with _settings_named():
        return _session().client("stepfunctions")


def sts() -> Any:
    """Return a client that knows who asks."""
    with _settings_named():
        return _session().client("sts")


def caller() -> tuple[Credentials | None, str | None]:
    """Return who asks, and the file of the authority that the settings name for connections."""
    with _settings_named():
        session = _session()
        return session.get_credentials(), session._session.get_config_variable("ca_bundle")  # noqa: SLF001 - botocore's session has no public name


def _session() -> boto3.Session:
    # boto3 reads AWS_DEFAULT_REGION alone; deployments and the AWS CLI read AWS_REGION.
    region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
    return boto3.Session(region_name=region or None)


@contextlib.contextmanager
def _settings_named() -> Iterator[None]:
    try:
        yield
    except BotoCoreError:
        raise
    except ValueError as error:
        # An endpoint that is no URL, a number that is none: botocore has no type for these.
        raise UnusableSettings(str(error)) from error
