"""The log of a function: one JSON object a line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from aws_lambda_powertools import Logger

from payments.telemetry.traces import annotate, part_of_trace

# All but ASCII is escaped: some readers end a line at U+2028, or obey marks that reverse text.
logger = Logger(json_serializer=partial(json.dumps, default=str, separators=(",", ":")))


def about_payment(payment_id: str) -> None:
    """Let log lines and the trace from here on be found by a payment's id."""
    logger.append_keys(payment_id=payment_id)
    annotate("payment_id", payment_id)


@contextmanager
def about(payment_id: str, correlation_id: str) -> Iterator[None]:
    """Let what this thread logs and traces meanwhile be found by a payment."""
    names = {"payment_id": payment_id, "correlation_id": correlation_id}
    logger.thread_safe_append_keys(**names)
    try:
        with part_of_trace("## payment"):
            annotate("payment_id", payment_id)
            yield
    finally:
        logger.thread_safe_remove_keys(list(names))
