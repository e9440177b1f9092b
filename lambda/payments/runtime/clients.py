"""AWS clients."""

from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config

from payments.aws.queue import CALLS_IN_FLIGHT

# One answer that takes too long must leave time for another try within a function's timeout.
CLIENT_CONFIG: Final = Config(
    connect_timeout=1,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=CALLS_IN_FLIGHT,
)


@cache
def client(service: Any) -> Any:
    """Return the client of an AWS service, such as ``dynamodb``."""
    return boto3.client(service, config=CLIENT_CONFIG)
