"""Traces of sampled invocations (AWS X-Ray)."""

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools import Tracer

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def traced(handler: Handler) -> Handler:
    """Let X-Ray see the AWS calls of a handler, in the invocations that it samples.

    Lambda has decided on sampling before it calls the handler, and says so in its trace header:
    https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
    Importing the X-Ray SDK costs as much time as everything else that a function imports, so only
    the first sampled invocation pays for it.
    """

    @functools.wraps(handler)
    def sampled_or_not(event: dict[str, Any], context: Any) -> dict[str, Any]:
        if "Sampled=1" not in os.environ.get("_X_AMZN_TRACE_ID", ""):
            return handler(event, context)
        with_trace = _tracer().capture_lambda_handler(handler, capture_response=False)
        answer: dict[str, Any] = with_trace(event, context)
        return answer

    return sampled_or_not


@functools.cache
def _tracer() -> "Tracer":
    from aws_lambda_powertools import Tracer  # noqa: PLC0415 - what all this is about

    return Tracer()
