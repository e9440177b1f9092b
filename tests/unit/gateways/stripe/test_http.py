"""The wire, over real sockets: one attempt, the time limit of each request, unknown if in doubt."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl

import pytest

from payments.core.faults import GatewayUnavailable
from payments.gateways.stripe.http import HttpTransport
from payments.gateways.stripe.wire import Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRequest-Id: req_1\r\n\r\n{}"


class Server:
    """Answers each connection's requests with the bytes that the test gives; counts both."""

    def __init__(self, reply: bytes | None) -> None:
        self._reply = reply
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.requests: list[bytes] = []
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer:
            while received := _request(peer):
                self.requests.append(received)
                if self._reply is None:
                    time.sleep(1)
                    return
                peer.sendall(self._reply)
                if self._reply != OK:
                    return

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _request(peer: socket.socket) -> bytes:
    """Read one request, its body included; nothing once the other side has gone."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = peer.recv(65536)
        if not part:
            return b""
        received += part
    length = re.search(rb"Content-Length: (\d+)", received)
    while length and len(received.partition(b"\r\n\r\n")[2]) < int(length[1]):
        received += peer.recv(65536)
    return received


@contextmanager
def serving(reply: bytes | None) -> Iterator[Server]:
    server = Server(reply)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def request(method: str = "POST", *, read_seconds: float = 8) -> Request:
    return Request(
        method=method,  # type: ignore[arg-type]  # of the two
        path="/v1/things",
        fields={"metadata[payment_id]": "pay 1&2", "types[]": "card"},
        headers={"Authorization": "Bearer sk_test_a"},
        read_seconds=read_seconds,
    )


def test_a_form_is_posted_and_the_answer_comes_back_whole() -> None:
    with serving(OK) as server:
        answer = HttpTransport(server.url)(request())
    assert (answer.status, answer.body, answer.headers["request-id"]) == (200, b"{}", "req_1")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/things HTTP/1.1")
    assert b"Authorization: Bearer sk_test_a" in head
    assert b"Content-Type: application/x-www-form-urlencoded" in head
    assert parse_qsl(body.decode()) == [("metadata[payment_id]", "pay 1&2"), ("types[]", "card")]


def test_a_read_puts_its_fields_into_the_query() -> None:
    with serving(OK) as server:
        HttpTransport(server.url)(request("GET"))
    assert server.requests[0].startswith(
        b"GET /v1/things?metadata%5Bpayment_id%5D=pay+1%262&types%5B%5D=card HTTP/1.1"
    )


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"", id="closed without an answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", id="half a body"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="no HTTP"),
    ],
)
def test_an_answer_that_is_none_is_unknown_and_is_not_asked_for_again(reply: bytes) -> None:
    with serving(reply) as server, pytest.raises(GatewayUnavailable):
        HttpTransport(server.url)(request())
    assert len(server.requests) == 1


def test_an_answer_that_takes_too_long_is_unknown() -> None:
    with serving(None) as server, pytest.raises(GatewayUnavailable, match="ReadTimeoutError"):
        HttpTransport(server.url)(request(read_seconds=0.1))
    assert len(server.requests) == 1


def test_where_nobody_listens_it_is_unknown() -> None:
    with serving(OK) as server:
        pass
    with pytest.raises(GatewayUnavailable):
        HttpTransport(server.url)(request())


def test_a_redirect_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"
    with serving(moved) as server:
        assert HttpTransport(server.url)(request()).status == 302
    assert len(server.requests) == 1


def test_a_connection_is_used_again_until_it_was_idle_for_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    with serving(OK) as server:
        transport = HttpTransport(server.url)
        for _ in range(3):
            transport(request())
        assert server.connections == 1
        now += 21
        transport(request())
    assert (server.connections, len(server.requests)) == (2, 4)
