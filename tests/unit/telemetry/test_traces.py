"""Tracing: what the X-Ray daemon is sent in sampled invocations, and nothing in all others."""

import contextvars
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from payments.runtime.clients import client
from payments.telemetry import traces
from payments.telemetry.traces import annotate, part_of_trace, trace_calls_of, traced
from tests.unit.cloud import TABLES, Cloud

TRACE_ID = "1-5759e988-bd862e3fe1be46a994272793"
FUNCTION_SEGMENT = "53995c3f42cd8ad8"
LINEAGE = "a87bd80c:1|68fd508a:5"
SAMPLED = f"Root={TRACE_ID};Parent={FUNCTION_SEGMENT};Sampled=1;Lineage={LINEAGE}"

type Document = dict[str, Any]


class Daemon:
    """What an X-Ray daemon would have been sent."""

    def __init__(self, udp: socket.socket) -> None:
        self._udp = udp
        udp.settimeout(5)

    @property
    def address(self) -> str:
        host, port = self._udp.getsockname()
        return f"{host}:{port}"

    def documents(self, count: int) -> list[Document]:
        """Return exactly this many documents, each checked against what X-Ray requires."""
        received = [_document(self._udp.recv(65_536)) for _ in range(count)]
        self._udp.settimeout(0.05)
        with pytest.raises(TimeoutError):
            self._udp.recv(65_536)
        self._udp.settimeout(5)
        return received


def _document(datagram: bytes) -> Document:
    """Read a datagram as X-Ray documents it: a header line, then a subsegment.

    https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
    """
    header, body = datagram.split(b"\n", 1)
    assert json.loads(header) == {"format": "json", "version": 1}
    document: Document = json.loads(body)
    assert document["type"] == "subsegment"
    assert document["trace_id"] == TRACE_ID
    assert re.fullmatch(r"[\w\s.:/%&#=+\\@-]{1,200}", document["name"])
    assert re.fullmatch(r"[0-9a-f]{16}", document["id"])
    assert re.fullmatch(r"[0-9a-f]{16}", document["parent_id"])
    assert time.time() - 60 < document["start_time"] <= document["end_time"] <= time.time()
    for name, value in document["annotations"].items():
        assert re.fullmatch(r"[A-Za-z0-9_]+", name)
        assert isinstance(value, str | bool)
    for exception in document.get("cause", {}).get("exceptions", []):
        assert re.fullmatch(r"[0-9a-f]{16}", exception["id"])
    return document


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon's socket on this machine, and an invocation that is sampled."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        daemon = Daemon(udp)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", daemon.address)
        monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
        yield daemon


@pytest.fixture
def dynamodb(cloud: Cloud) -> Any:
    """A client on an empty account whose calls are traced, as the functions' are."""
    trace_calls_of(cloud.dynamodb)
    return cloud.dynamodb


def invoke(work: Callable[[], object]) -> None:
    """Call a traced handler that does some work."""

    @traced
    def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        work()
        return {}

    assert handler({}, None) == {}


def put(dynamodb: Any, payment_id: str) -> None:
    dynamodb.put_item(TableName=TABLES.payments, Item={"payment_id": {"S": payment_id}})


def test_an_invocation_is_a_part_of_the_functions_segment(daemon: Daemon) -> None:
    invoke(lambda: annotate("payment_id", "pay_1"))
    (document,) = daemon.documents(1)
    assert document["name"] == "## handler"
    assert document["parent_id"] == FUNCTION_SEGMENT
    assert document["annotations"]["payment_id"] == "pay_1"
    assert document["annotations"]["Service"] == "test"
    assert "fault" not in document


def test_only_the_first_invocation_of_a_process_is_a_cold_start(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces._Invocation, "is_cold_start", True)
    for _ in range(2):
        invoke(lambda: None)
    first, second = daemon.documents(2)
    assert first["annotations"]["ColdStart"] is True
    assert second["annotations"]["ColdStart"] is False


def test_each_message_has_a_part_that_is_found_by_its_payment(daemon: Daemon) -> None:
    def work() -> None:
        for payment_id in ("pay_1", "pay_2"):
            with part_of_trace("## message"):
                annotate("payment_id", payment_id)

    invoke(work)
    first, second, whole = daemon.documents(3)
    assert [part["annotations"] for part in (first, second)] == [
        {"payment_id": "pay_1"},
        {"payment_id": "pay_2"},
    ]
    assert first["parent_id"] == second["parent_id"] == whole["id"]
    assert len({first["id"], second["id"], whole["id"]}) == 3
    assert "payment_id" not in whole["annotations"]


@pytest.mark.parametrize("copies_context", [True, False], ids=["context copied", "bare threads"])
def test_ten_messages_in_ten_threads_do_not_share_parts(
    daemon: Daemon, dynamodb: Any, *, copies_context: bool
) -> None:
    all_in_their_parts = Barrier(10)

    def message(payment_id: str) -> None:
        with part_of_trace("## message"):
            all_in_their_parts.wait(timeout=10)
            annotate("payment_id", payment_id)
            put(dynamodb, payment_id)
            all_in_their_parts.wait(timeout=10)

    def work() -> None:
        with ThreadPoolExecutor(10) as threads:
            for number in range(10):
                one = f"pay_{number}"
                if copies_context:
                    threads.submit(contextvars.copy_context().run, message, one)
                else:
                    threads.submit(message, one)

    invoke(work)
    documents = daemon.documents(21)
    whole = documents.pop()
    messages = {each["id"]: each for each in documents if each["name"] == "## message"}
    calls = [each for each in documents if each["name"] == "dynamodb"]
    assert {each["parent_id"] for each in messages.values()} == {whole["id"]}
    assert {each["annotations"]["payment_id"] for each in messages.values()} == {
        f"pay_{number}" for number in range(10)
    }
    assert {call["parent_id"] for call in calls} == messages.keys()


def test_a_message_that_outlives_its_invocation_stays_in_its_trace(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end = Event(), Event()

    def slow_message() -> None:
        with part_of_trace("## message"):
            begun.set()
            assert may_end.wait(timeout=10)

    with ThreadPoolExecutor(1) as threads:

        def work() -> None:
            threads.submit(slow_message)
            assert begun.wait(timeout=10)

        invoke(work)
        (first,) = daemon.documents(1)
        # The next invocation is not sampled, and that changes nothing for what began before it.
        monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED.replace("Sampled=1", "Sampled=0"))
        invoke(may_end.set)
    (message,) = daemon.documents(1)
    assert message["parent_id"] == first["id"]


def test_an_error_marks_its_part_by_type_and_never_by_message(daemon: Daemon) -> None:
    def work() -> None:
        with part_of_trace("## message"):
            raise ValueError("card 4242424242424242")

    with pytest.raises(ValueError, match="card"):
        invoke(work)
    documents = daemon.documents(2)
    for document in documents:
        assert document["fault"] is True
        assert [each["type"] for each in document["cause"]["exceptions"]] == ["ValueError"]
    assert "4242" not in json.dumps(documents)


def test_an_error_that_is_handled_leaves_the_invocation_unmarked(daemon: Daemon) -> None:
    def work() -> None:
        with pytest.raises(ValueError, match="bad"), part_of_trace("## message"):
            raise ValueError("bad")

    invoke(work)
    message, whole = daemon.documents(2)
    assert message["fault"] is True
    assert "fault" not in whole


class TestCalls:
    """AWS calls within a sampled invocation."""

    def test_a_call_is_a_part_with_operation_table_and_status(
        self, daemon: Daemon, dynamodb: Any
    ) -> None:
        invoke(lambda: put(dynamodb, "pay_1"))
        call, whole = daemon.documents(2)
        assert call["name"] == "dynamodb"
        assert call["namespace"] == "aws"
        assert call["parent_id"] == whole["id"]
        assert call["http"] == {"response": {"status": 200}}
        assert call["aws"].pop("request_id")
        assert call["aws"] == {
            "operation": "PutItem",
            "region": "us-east-1",
            "table_name": TABLES.payments,
        }
        assert "pay_1" not in json.dumps(call)

    def test_a_message_names_its_queue(self, daemon: Daemon, cloud: Cloud) -> None:
        trace_calls_of(cloud.sqs)
        invoke(lambda: cloud.sqs.send_message(QueueUrl=cloud.events_url, MessageBody="secret"))
        call, _ = daemon.documents(2)
        assert call["aws"]["queue_url"] == cloud.events_url
        assert "secret" not in json.dumps(call)

    def test_what_aws_sends_about_a_call_belongs_to_the_call(
        self, daemon: Daemon, dynamodb: Any
    ) -> None:
        headers: list[str] = []

        def note(request: Any, **_: Any) -> None:
            headers.append(request.headers["X-Amzn-Trace-Id"].decode())

        dynamodb.meta.events.register("before-send", note)
        invoke(lambda: put(dynamodb, "pay_1"))
        call, _ = daemon.documents(2)
        # What Lambda finds endless loops by goes along; "|" is quoted as botocore does it.
        lineage = LINEAGE.replace("|", "%7C")
        assert headers == [f"Root={TRACE_ID};Parent={call['id']};Sampled=1;Lineage={lineage}"]

    def test_a_refused_call_is_an_error_of_ours(self, daemon: Daemon, dynamodb: Any) -> None:
        def work() -> None:
            with pytest.raises(ClientError):
                dynamodb.get_item(TableName="no-table", Key={"payment_id": {"S": "pay_1"}})

        invoke(work)
        call, whole = daemon.documents(2)
        assert call["error"] is True
        (exception,) = call["cause"]["exceptions"]
        assert exception["type"] == "ResourceNotFoundException"
        assert exception["remote"] is True
        assert call["http"] == {"response": {"status": 400}}
        assert "fault" not in call
        assert "error" not in whole

    @pytest.mark.parametrize(
        ("status", "code", "marks"),
        [
            (400, "ThrottlingException", {"error", "throttle"}),
            (429, "TooManyRequests", {"error", "throttle"}),
            (503, "ServiceUnavailable", {"fault"}),
        ],
    )
    def test_throttles_and_faults_are_told_apart(
        self, daemon: Daemon, dynamodb: Any, status: int, code: str, marks: set[str]
    ) -> None:
        class Response:
            status_code = status

        refused = Response(), {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {}}
        dynamodb.meta.events.register_last("before-call", lambda **_: refused)

        def work() -> None:
            with pytest.raises(ClientError):
                put(dynamodb, "pay_1")

        invoke(work)
        call, _ = daemon.documents(2)
        assert {mark for mark in ("error", "fault", "throttle") if mark in call} == marks
        assert [each["type"] for each in call["cause"]["exceptions"]] == [code]

    def test_a_call_without_an_answer_is_a_fault(self, daemon: Daemon) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        unreachable = boto3.client(
            "dynamodb",
            config=Config(retries={"total_max_attempts": 1}),
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        trace_calls_of(unreachable)

        def work() -> None:
            with pytest.raises(EndpointConnectionError):
                unreachable.list_tables()

        invoke(work)
        call, _ = daemon.documents(2)
        assert call["fault"] is True
        assert [each["type"] for each in call["cause"]["exceptions"]] == ["EndpointConnectionError"]
        assert call["aws"] == {"operation": "ListTables", "region": "us-east-1"}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"Root={TRACE_ID};Parent={FUNCTION_SEGMENT};Sampled=0",
        f"Root={TRACE_ID};Parent={FUNCTION_SEGMENT}",
        "Sampled=1",
        "nonsense",
    ],
)
def test_an_invocation_that_is_not_sampled_sends_nothing(
    daemon: Daemon, dynamodb: Any, monkeypatch: pytest.MonkeyPatch, header: str | None
) -> None:
    if header is None:
        monkeypatch.delenv("_X_AMZN_TRACE_ID")
    else:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    headers: list[dict[str, Any]] = []
    dynamodb.meta.events.register_last(
        "before-send", lambda request, **_: headers.append(dict(request.headers))
    )

    def work() -> None:
        with part_of_trace("## message"):
            annotate("payment_id", "pay_1")
            put(dynamodb, "pay_1")

    invoke(work)
    assert daemon.documents(0) == []
    assert "X-Amzn-Trace-Id" not in headers[0]


def test_nothing_is_sent_between_invocations(daemon: Daemon, dynamodb: Any) -> None:
    invoke(lambda: None)
    daemon.documents(1)
    annotate("payment_id", "pay_1")
    with part_of_trace("## message"):
        put(dynamodb, "pay_1")
    assert daemon.documents(0) == []


@pytest.mark.parametrize(
    "address",
    [None, "", "nonsense", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:99999", "127.0.0.1:9"],
)
@pytest.mark.usefixtures("daemon")
def test_a_daemon_that_is_away_fails_nothing(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    if address is None:
        monkeypatch.delenv("AWS_XRAY_DAEMON_ADDRESS")
    else:
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)

    def work() -> None:
        with part_of_trace("## message"):
            put(dynamodb, "pay_1")

    for _ in range(3):
        invoke(work)
    key = {"payment_id": {"S": "pay_1"}}
    assert dynamodb.get_item(TableName=TABLES.payments, Key=key)["Item"] == key


def test_a_document_that_no_datagram_holds_fails_nothing(daemon: Daemon) -> None:
    invoke(lambda: annotate("payment_id", "x" * 70_000))
    assert daemon.documents(0) == []


@pytest.mark.usefixtures("cloud")
def test_the_functions_own_clients_are_traced(daemon: Daemon) -> None:
    make_client = client.__wrapped__  # past its cache, which would outlive this test
    invoke(lambda: put(make_client("dynamodb"), "pay_1"))
    call, _ = daemon.documents(2)
    assert call["aws"]["operation"] == "PutItem"
