"""AWS clients."""

from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config

from payments.aws.queue import CALLS_IN_FLIGHT
from payments.telemetry.traces import trace_calls_of

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
    made = boto3.client(service, config=CLIENT_CONFIG)
    trace_calls_of(made)
    return made
