"""The log of a function: one JSON object a line."""

import json
from functools import partial

from aws_lambda_powertools import Logger

from payments.telemetry.traces import annotate

# All but ASCII is escaped: some readers of logs end lines at U+2028, or heed what turns text around.
logger = Logger(json_serializer=partial(json.dumps, default=str, separators=(",", ":")))


def about_payment(payment_id: str) -> None:
    """Let log lines and the trace from here on be found by a payment's id."""
    logger.append_keys(payment_id=payment_id)
    annotate("payment_id", payment_id)
