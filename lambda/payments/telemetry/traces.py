"""Traces of sampled invocations (AWS X-Ray)."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        if not _is_sampled():
            return handler(event, context)
        with_trace = _tracer().capture_lambda_handler(handler, capture_response=False)
        answer: dict[str, Any] = with_trace(event, context)
        return answer

    return sampled_or_not


def annotate(name: str, value: str) -> None:
    """Let the trace be found by a value, if there is a trace."""
    if _is_sampled():
        _tracer().put_annotation(name, value)


@contextmanager
def part_of_trace(name: str) -> Iterator[None]:
    """Give what is done meanwhile a part of the trace for itself, if there is a trace."""
    if not _is_sampled():
        yield
        return
    with _tracer().provider.in_subsegment(name):
        yield


def _is_sampled() -> bool:
    return "Sampled=1" in os.environ.get("_X_AMZN_TRACE_ID", "")


@functools.cache
def _tracer() -> "Tracer":
    from aws_lambda_powertools import Tracer  # noqa: PLC0415 - what all this is about

    return Tracer()
