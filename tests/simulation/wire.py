"""The wire between the SDK and the cloud: every HTTP request that botocore makes ends here.

Hooked in at ``before-send``, below the SDK's own retries, so that these are at work as on AWS.
"""

import hashlib
import json
from contextlib import suppress
from io import BytesIO
from random import Random
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from tests.simulation.coverage import STRIKE_OF_FAULT, Strike
from tests.simulation.dynamodb import AwsError
from tests.simulation.faults import Fault, FaultPlan
from tests.simulation.processes import Processes, ProcessKilled
from tests.simulation.quotas import RateQuotas
from tests.simulation.scheduler import Scheduler, SimulatorError

READ_TIMEOUT_SECONDS: Final = 5.0
CONNECT_TIMEOUT_SECONDS: Final = 1.0
_LATEST_COMMIT_SECONDS: Final = 60.0
_TOKEN_LIFE_SECONDS: Final = 600.0


class Service(Protocol):
    """The cloud's side of one AWS service."""

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out an operation, or raise :class:`AwsError`."""
        ...


class Wire:
    """Brings requests to services and answers back, unless a fault strikes.

    Args:
        honours_tokens: whether TransactWriteItems knows a repeated ``ClientRequestToken``, as AWS
            does for ten minutes and emulators do not.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        random: Random,
        processes: Processes,
        services: dict[str, Service],
        *,
        honours_tokens: bool,
        quotas: RateQuotas,
    ) -> None:
        self.requests = 0
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._processes = processes
        self._services = services
        self._honours_tokens = honours_tokens
        self._quotas = quotas
        self._tokens: dict[str, float] = {}
        self._made: set[bytes | str] = set()

    def send(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        """Answer one HTTP request (botocore's ``before-send`` event)."""
        service, operation = event_name.split(".")[1:]
        parameters = _parameters(service, operation, request)
        subject = _subject(parameters)
        self.requests += 1
        call = f"{service}.{operation}"
        self._stand(call, Strike.KILLED_BEFORE)
        fault = self._faults.of_call(_DOWN_AS[service], operation, self._scheduler.now)
        if fault is None and self._quotas.refuses(call, self._scheduler.now):
            fault = Fault.OVER_QUOTA
            self._faults.struck[fault] += 1
        if fault in STRIKE_OF_FAULT:
            self._count(call, STRIKE_OF_FAULT[fault])
        is_made = fault not in _NOT_MADE
        # The SDK's own retries of a call have one id.
        call_id = request.headers["amz-sdk-invocation-id"]
        if is_made and call_id in self._made:
            self._count(call, Strike.DOUBLED)
        if is_made:
            self._made.add(call_id)
        try:
            answer = self._carry_out(service, operation, parameters, fault)
        except AwsError as error:
            self._trace(service, operation, subject, fault, error.code)
            response = _error_response(request, error)
        except (ConnectTimeoutError, ReadTimeoutError):
            self._trace(service, operation, subject, fault, "no answer")
            raise
        else:
            self._trace(service, operation, subject, fault, "ok")
            if service == "sns":
                answer = {"Body": _publish_answer(answer)}
            response = _response(request, answer, cut_off=fault is Fault.TRUNCATED_BODY)
        self._stand(call, Strike.KILLED_AFTER)
        return response

    def _stand(self, call: str, strike: Strike) -> None:
        """Stand before or after a call, where the process may die."""
        try:
            self._processes.point()
        except ProcessKilled:
            self._count(call, strike)
            raise

    def _count(self, call: str, strike: Strike) -> None:
        if self._scheduler.current.context is not None:
            self._processes.coverage[call, strike] += 1

    def _carry_out(
        self, service: str, operation: str, parameters: dict[str, Any], fault: Fault | None
    ) -> dict[str, Any]:
        self._fail_before_commit(service, parameters, fault)
        if fault is Fault.PARTIAL_BATCH:
            parameters, refused = self._split(parameters)
            answer = self._commit(service, operation, parameters)
            return {**answer, "Failed": [*answer.get("Failed", []), *refused]}
        if fault is Fault.SLOW:
            self._processes.sleep(self._random.uniform(0.5, READ_TIMEOUT_SECONDS))
        if fault not in _ANSWERS_LOST:
            return self._commit(service, operation, parameters)

        def commit_unheard() -> None:
            with suppress(AwsError):
                self._commit(service, operation, parameters)

        if fault is Fault.LATE_COMMIT:
            late = self._random.uniform(0, _LATEST_COMMIT_SECONDS)
            self._scheduler.call_later(late, commit_unheard)
        else:
            commit_unheard()
        if fault is Fault.SERVER_ERROR_AFTER_COMMIT:
            raise AwsError(*_UNAVAILABLE, status=500)
        self._processes.sleep(READ_TIMEOUT_SECONDS)
        raise ReadTimeoutError(endpoint_url=service)

    def _fail_before_commit(
        self, service: str, parameters: dict[str, Any], fault: Fault | None
    ) -> None:
        match fault:
            case Fault.REQUEST_LOST:
                self._processes.sleep(CONNECT_TIMEOUT_SECONDS)
                raise ConnectTimeoutError(endpoint_url=service)
            case Fault.OUTAGE:
                self._processes.sleep(self._random.uniform(0.01, 1))
                raise AwsError(*_UNAVAILABLE, status=503)
            case Fault.THROTTLED | Fault.OVER_QUOTA:
                raise AwsError(_THROTTLED[service], "slow down")
            case Fault.SERVER_ERROR:
                raise AwsError(*_UNAVAILABLE, status=500)
            case Fault.CONFLICT if "TransactItems" not in parameters:
                raise AwsError("TransactionConflictException", "try again")
            case Fault.CONFLICT:
                reasons = self._cancelled(len(parameters["TransactItems"]))
                raise AwsError("TransactionCanceledException", CancellationReasons=reasons)

    def _cancelled(self, writes: int) -> list[dict[str, Any]]:
        """Return why a transaction was cancelled that another try may carry out.

        Reasons come in all mixtures. What a condition is said to be while another transaction is
        under way on one of the items is not certain: both together were seen on AWS.
        """
        reasons = [{"Code": self._random.choice(_ONE_OF_SEVERAL)} for _ in range(writes)]
        self._random.choice(reasons)["Code"] = code = self._random.choice(_PASSING)
        if code == "TransactionConflict":
            for reason in reasons:
                if reason["Code"] == "None" and self._random.random() < _SHARE_UNCERTAIN:
                    reason["Code"] = "ConditionalCheckFailed"
        return reasons

    def _commit(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        token = parameters.get("ClientRequestToken")
        if token is None:
            return self._services[service].answer(operation, parameters)
        known = {name: value for name, value in parameters.items() if name != "ClientRequestToken"}
        if self._honours_tokens and self._tokens.get(token, -1) >= self._scheduler.now:
            return {}
        answer = self._services[service].answer(operation, known)
        self._tokens[token] = self._scheduler.now + _TOKEN_LIFE_SECONDS
        return answer

    def _split(self, parameters: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        taken, refused = [], []
        for entry in parameters["Entries"]:
            if self._random.random() < 0.5:
                taken.append(entry)
            else:
                refused.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
        return {**parameters, "Entries": taken}, refused

    def _trace(
        self, service: str, operation: str, subject: str, fault: Fault | None, outcome: str
    ) -> None:
        note = f" [{fault}]" if fault else ""
        self._processes.trace(f"{service}.{operation}", subject, outcome + note)


_DOWN_AS: Final = {
    "dynamodb": "dynamodb",
    "sqs": "sqs",
    "sfn": "states",
    "s3": "s3",
    "sns": "sns",
}
_THROTTLED: Final = {
    "dynamodb": "ThrottlingException",
    "sqs": "RequestThrottled",
    "sfn": "ThrottlingException",
    "s3": "SlowDown",
    "sns": "Throttled",
}
_NOT_MADE: Final = frozenset(
    {
        Fault.REQUEST_LOST,
        Fault.OUTAGE,
        Fault.THROTTLED,
        Fault.OVER_QUOTA,
        Fault.SERVER_ERROR,
        Fault.CONFLICT,
    }
)
_UNAVAILABLE: Final = ("InternalServerError", "try again")


_PASSING: Final = (
    "TransactionConflict",
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
)
_ONE_OF_SEVERAL: Final = ("None", "None", "None", *_PASSING)
_SHARE_UNCERTAIN: Final = 0.3

_ANSWERS_LOST: Final = frozenset(
    {Fault.ANSWER_LOST, Fault.LATE_COMMIT, Fault.SERVER_ERROR_AFTER_COMMIT}
)


def _parameters(service: str, operation: str, request: AWSPreparedRequest) -> dict[str, Any]:
    if service == "sns":
        return _published(request)
    if service != "s3":
        return dict(json.loads(_bytes(request.body)))
    # https://{bucket}.s3.{region}.amazonaws.com/{key}, the form that the clients are made with.
    url = urlsplit(request.url)
    bucket = url.netloc.partition(".")[0]
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    return {
        "Bucket": bucket,
        "Key": unquote(url.path.removeprefix("/")),
        "VersionId": query.get("versionId"),
        "Range": _text(request.headers.get("Range")),
        "Body": _bytes(request.body) if operation == "PutObject" else b"",
    }


def _published(request: AWSPreparedRequest) -> dict[str, Any]:
    """Return the entries of a PublishBatch, which SNS takes as a form."""
    form = {name: values[0] for name, values in parse_qs(_bytes(request.body).decode()).items()}
    entries: list[dict[str, Any]] = []
    while f"{_ENTRY}.{len(entries) + 1}.Id" in form:
        entry = f"{_ENTRY}.{len(entries) + 1}"
        attributes: dict[str, str] = {}
        while f"{entry}.MessageAttributes.entry.{len(attributes) + 1}.Name" in form:
            attribute = f"{entry}.MessageAttributes.entry.{len(attributes) + 1}"
            attributes[form[f"{attribute}.Name"]] = form[f"{attribute}.Value.StringValue"]
        entries.append(
            {
                "Id": form[f"{entry}.Id"],
                "Message": form[f"{entry}.Message"],
                "Attributes": attributes,
            }
        )
    return {"Entries": entries}


_ENTRY: Final = "PublishBatchRequestEntries.member"


def _publish_answer(answer: dict[str, Any]) -> bytes:
    refused = "".join(
        f"<member><Id>{each['Id']}</Id><Code>InternalError</Code>"
        "<SenderFault>false</SenderFault></member>"
        for each in answer.get("Failed", ())
    )
    taken = "".join(
        f"<member><Id>{each['Id']}</Id><MessageId>m</MessageId></member>"
        for each in answer["Successful"]
    )
    return (
        '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
        f"<PublishBatchResult><Failed>{refused}</Failed><Successful>{taken}</Successful>"
        "</PublishBatchResult></PublishBatchResponse>"
    ).encode()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    content = body.read() if hasattr(body, "read") else body
    return content if isinstance(content, bytes) else b""


def _subject(parameters: dict[str, Any]) -> str:
    """Return what a request is about, for the trace: stable over runs, no tokens."""
    about = {name: value for name, value in parameters.items() if name != "ClientRequestToken"}
    text = json.dumps(about, sort_keys=True, default=repr)
    keys = [str(about[name]) for name in ("Key", "name", "executionArn") if name in about]
    return f"{' '.join(keys)} #{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class _Raw(BytesIO):
    """What urllib3 would give: the body of an answer as a stream."""

    def stream(self, **_: Any) -> Any:
        """Yield the whole body, as botocore reads answers that are not streamed."""
        yield self.read()


def _response(request: AWSPreparedRequest, answer: dict[str, Any], *, cut_off: bool) -> AWSResponse:
    body = answer["Body"] if "Body" in answer else json.dumps(answer).encode()
    if not isinstance(body, bytes):
        raise SimulatorError("a body must be bytes")
    headers = HTTPHeaders.from_dict({"content-length": str(len(body))})
    return AWSResponse(request.url, 200, headers, _Raw(body[: len(body) // 2] if cut_off else body))


def _error_response(request: AWSPreparedRequest, error: AwsError) -> AWSResponse:
    body: dict[str, Any] = {"__type": error.code, "message": error.message, **error.fields}
    content = json.dumps(body).encode()
    if request.headers.get("X-Amz-Target") is None:
        content = f"<Error><Code>{error.code}</Code><Message/></Error>".encode()
    return AWSResponse(request.url, error.status, HTTPHeaders(), _Raw(content))
