"""Traces of sampled invocations, sent to the X-Ray daemon that Lambda runs beside the function.

A trace is made of small JSON documents, each sent in one UDP datagram:
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html
AWS only maintains its X-Ray SDK, which takes longer to import than everything else of a function.

Nothing is measured or sent in an invocation that is not sampled, and no trace can fail a payment.
"""

import functools
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import quote

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

_DATAGRAM_HEADER: Final = b'{"format":"json","version":1}\n'
_RESOURCE_FIELDS: Final = {"TableName": "table_name", "QueueUrl": "queue_url"}
"""Parameters of AWS calls that X-Ray shows, and the names it knows them by."""

_THROTTLES: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_RESOURCE: Final = "payments-trace-resource"
_SUBSEGMENT: Final = "payments-trace-subsegment"
"""Where a call's own context, which botocore hands to every hook of the call, keeps its part."""


class _Trace:
    """The sampled trace that an invocation belongs to, and the daemon that takes its documents."""

    __slots__ = ("_daemon", "_fields")

    def __init__(self, fields: Mapping[str, str], daemon: tuple[str, int]) -> None:
        self._fields = fields
        self._daemon = daemon

    @property
    def id(self) -> str:
        return self._fields["Root"]

    @property
    def parent_id(self) -> str:
        """The id of the segment that Lambda itself sends for the function."""
        return self._fields["Parent"]

    def header_under(self, subsegment_id: str) -> str:
        """Return the trace header for a call: what AWS sends about it belongs to the subsegment."""
        # All other fields stay: Lambda finds endless loops by one of them (Lineage).
        fields = {**self._fields, "Parent": subsegment_id}
        header = ";".join(f"{name}={value}" for name, value in fields.items())
        return quote(header, safe="-=;:+")

    def send(self, document: Mapping[str, Any]) -> None:
        # The daemon may be away, or the socket's buffer full. No payment may fail for that.
        with suppress(Exception), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setblocking(False)
            content = json.dumps(document, separators=(",", ":")).encode()
            udp.sendto(_DATAGRAM_HEADER + content, self._daemon)


class _Subsegment:
    """One part of a trace: what was done, when, and how it ended."""

    __slots__ = ("_annotations", "_document", "_trace", "id")

    def __init__(self, trace: _Trace, parent_id: str, name: str, **fields: str) -> None:
        self._trace = trace
        self.id = os.urandom(8).hex()
        self._annotations: dict[str, str | bool] = {}
        self._document: dict[str, Any] = {
            "type": "subsegment",
            "name": name,
            "id": self.id,
            "trace_id": trace.id,
            "parent_id": parent_id,
            "start_time": time.time(),
            **fields,
        }

    @property
    def trace_header(self) -> str:
        """The trace header of requests made within this part."""
        return self._trace.header_under(self.id)

    def begin(self, name: str, **fields: str) -> "_Subsegment":
        """Begin a part of this part."""
        return _Subsegment(self._trace, self.id, name, **fields)

    def annotate(self, **annotations: str | bool) -> None:
        self._annotations.update(annotations)

    def fail(self, kind: str, fault_type: str, *, remote: bool = False) -> None:
        """Mark this part with an ``error`` (a client's) or a ``fault`` (a server's).

        Only the type of the exception is named: its message may quote what a client has sent.
        """
        self._document[kind] = True
        exception = {"id": os.urandom(8).hex(), "type": fault_type, "remote": remote}
        self._document["cause"] = {"exceptions": [exception]}

    def end(self, **fields: Any) -> None:
        """Send what is known by now."""
        # A thread that is late may still annotate.
        annotations = self._annotations.copy()
        self._trace.send(
            {**self._document, "end_time": time.time(), "annotations": annotations, **fields}
        )


class _Invocation:
    """What is true of the one invocation that a function's process handles at a time."""

    is_cold_start = True
    subsegment: _Subsegment | None = None
    """What threads belong to that were not started with a copy of the handler's context."""


_innermost: ContextVar[_Subsegment | None] = ContextVar("innermost", default=None)


def traced(handler: Handler) -> Handler:
    """Give each invocation of a handler that X-Ray samples its part of the trace.

    Lambda has decided on sampling before it calls the handler, and says so in its trace header:
    https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
    """

    @functools.wraps(handler)
    def sampled_or_not(event: dict[str, Any], context: Any) -> dict[str, Any]:
        is_cold_start, _Invocation.is_cold_start = _Invocation.is_cold_start, False
        trace = _sampled_trace()
        if trace is None:
            return handler(event, context)
        subsegment = _Subsegment(trace, trace.parent_id, f"## {handler.__name__}")
        service = os.environ.get("POWERTOOLS_SERVICE_NAME", "")
        subsegment.annotate(ColdStart=is_cold_start, Service=service)
        _Invocation.subsegment = subsegment
        try:
            with _during(subsegment):
                return handler(event, context)
        finally:
            _Invocation.subsegment = None

    return sampled_or_not


def annotate(name: str, value: str) -> None:
    """Let the trace be found by a value, if there is a trace."""
    if (subsegment := _current()) is not None:
        subsegment.annotate(**{name: value})


@contextmanager
def part_of_trace(name: str) -> Iterator[None]:
    """Give what is done meanwhile a part of the trace for itself, if there is a trace.

    An exception that leaves it marks the part as a fault. Threads have a part each.
    """
    if (subsegment := _current()) is None:
        yield
        return
    with _during(subsegment.begin(name)):
        yield


def trace_calls_of(client: Any) -> None:
    """Give each AWS call of a boto3 client a part of the trace, in invocations that are sampled.

    https://docs.aws.amazon.com/boto3/latest/guide/events.html
    """
    events = client.meta.events
    events.register("before-parameter-build", _note_resource)
    events.register("before-call", _begin_call)
    events.register("after-call", _end_call)
    events.register("after-call-error", _fail_call)


def _current() -> _Subsegment | None:
    return _innermost.get() or _Invocation.subsegment


@contextmanager
def _during(subsegment: _Subsegment) -> Iterator[None]:
    token = _innermost.set(subsegment)
    try:
        yield
    except BaseException as error:
        subsegment.fail("fault", type(error).__name__)
        raise
    finally:
        _innermost.reset(token)
        subsegment.end()


def _note_resource(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
    if _current() is not None:
        context[_RESOURCE] = {
            field: params[name] for name, field in _RESOURCE_FIELDS.items() if name in params
        }


def _begin_call(model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    if (subsegment := _current()) is None:
        return
    call = subsegment.begin(model.service_model.endpoint_prefix, namespace="aws")
    context[_SUBSEGMENT] = call, model.name
    params["headers"]["X-Amzn-Trace-Id"] = call.trace_header


def _end_call(
    http_response: Any, parsed: Mapping[str, Any], context: dict[str, Any], **_: Any
) -> None:
    if _SUBSEGMENT not in context:
        return
    call, operation = context.pop(_SUBSEGMENT)
    status: int = http_response.status_code
    code: str = parsed.get("Error", {}).get("Code", "")
    throttled = {}
    if status >= 500:  # noqa: PLR2004 - what HTTP says
        call.fail("fault", code, remote=True)
    elif status >= 400:  # noqa: PLR2004 - likewise
        call.fail("error", code, remote=True)
        if status == 429 or code in _THROTTLES:  # noqa: PLR2004 - likewise
            throttled = {"throttle": True}
    request_id = parsed.get("ResponseMetadata", {}).get("RequestId", "")
    call.end(
        aws={**_about(operation, context), "request_id": request_id},
        http={"response": {"status": status}},
        **throttled,
    )


def _fail_call(exception: BaseException, context: dict[str, Any], **_: Any) -> None:
    if _SUBSEGMENT not in context:
        return
    call, operation = context.pop(_SUBSEGMENT)
    call.fail("fault", type(exception).__name__)
    call.end(aws=_about(operation, context))


def _about(operation: str, context: Mapping[str, Any]) -> dict[str, str]:
    return {
        "operation": operation,
        "region": context["client_region"],
        **context.get(_RESOURCE, {}),
    }


def _sampled_trace() -> _Trace | None:
    """Return the trace of the running invocation, if it is sampled and a daemon listens."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "")
    fields = dict(field.strip().partition("=")[::2] for field in header.split(";"))
    host, _, port = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "").rpartition(":")
    if fields.get("Sampled") != "1" or not fields.keys() >= {"Root", "Parent"}:
        return None
    if not host or not port.isdecimal():
        return None
    return _Trace(fields, (host, int(port)))
