"""boto3 clients of an emulator, whatever the machine's own AWS settings are."""

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.session import Session

from local.emulator import Emulator
from local.surroundings import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient


def session(
    *, region: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY
) -> boto3.Session:
    """Return a session with these keys that reads no variable and no file of the machine's."""
    nowhere = {"config_file": os.devnull, "credentials_file": os.devnull}
    settings = {
        name: (None, None, nowhere.get(name, default), conversion)
        for name, (_, _, default, conversion) in Session.SESSION_VARIABLES.items()
    }
    return boto3.Session(
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        botocore_session=Session(session_vars=settings),
    )


class Clients:
    """Clients with the emulator's root key, one of each service, made when first asked for."""

    def __init__(self, emulator: Emulator, *, region: str) -> None:
        self._session = session(region=region)
        self._options: dict[str, Any] = {
            "endpoint_url": emulator.endpoint,
            "verify": emulator.authority,
            "config": Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 5}),
        }

    @cached_property
    def cloudwatch(self) -> "CloudWatchClient":
        """Alarms and metrics."""
        return self._session.client("cloudwatch", **self._options)

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """Tables."""
        return self._session.client("dynamodb", **self._options)

    @cached_property
    def events(self) -> "EventBridgeClient":
        """Buses of events."""
        return self._session.client("events", **self._options)

    @cached_property
    def iam(self) -> Any:
        """Users, roles and their policies."""
        return self._session.client("iam", **self._options)

    @cached_property
    def kms(self) -> "KMSClient":
        """Keys."""
        return self._session.client("kms", **self._options)

    @cached_property
    def functions(self) -> "LambdaClient":
        """Lambda functions."""
        return self._session.client("lambda", **self._options)

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        """Log groups."""
        return self._session.client("logs", **self._options)

    @cached_property
    def s3(self) -> "S3Client":
        """Buckets."""
        return self._session.client("s3", **self._options)

    @cached_property
    def sns(self) -> "SNSClient":
        """Topics."""
        return self._session.client("sns", **self._options)

    @cached_property
    def sqs(self) -> "SQSClient":
        """Queues."""
        return self._session.client("sqs", **self._options)

    @cached_property
    def stepfunctions(self) -> "SFNClient":
        """State machines and their executions."""
        return self._session.client("stepfunctions", **self._options)
