"""AWS that does not do its part, in the rules' own terms."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from payments.core.faults import ServiceUnavailable


@contextmanager
def unavailable(what_failed: str) -> Iterator[None]:
    """Turn whatever AWS or its SDK raises meanwhile into ``ServiceUnavailable``."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise ServiceUnavailable(what_failed) from error
