"""The double over HTTP on loopback, with endpoints of its own for tests.

===========================================  ===================================================
``GET /_double/charges``                     money taken, by ``metadata.payment_id``
``GET /_double/events?after=0``              events from a position on, as EventBridge delivers
                                             their ``detail``
``POST /_double/clock {"seconds": 90000}``   move the clock on
``POST /_double/faults [{"fault": "lose"}]`` plan faults (:class:`local.stripe_double.faults.Plan`)
``DELETE /_double/faults``                   forget those that have not struck
``POST /_double/key {"key": "sk_test_new"}`` roll the account's key: the old one answers 401
``POST /_double/refunds/{id}/fail``          take a refund back, as a bank does
===========================================  ===================================================
"""

import json
import socket
import ssl
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local.stripe_double.double import Answer, Call, StripeDouble
from local.stripe_double.faults import Fault, NoAnswer, Plan


class DoubleServer(ThreadingHTTPServer):
    """Serves one double on 127.0.0.1, over TLS where a certificate is given."""

    daemon_threads = True

    def __init__(
        self,
        double: StripeDouble,
        port: int = 0,
        *,
        certificate: Path | None = None,
        private_key: Path | None = None,
    ) -> None:
        self.double = double
        super().__init__(("127.0.0.1", port), _Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, private_key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: DoubleServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: tests read the double's answers."""

    def _handle(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = parse_qsl(address.query, keep_blank_values=True)
        if address.path.startswith("/_double/"):
            told = _control(self.server.double, self.command, address.path, dict(query), body)
            status = 404 if told is None else 200
            self._send(
                Answer(status, {"content-type": "application/json"}, json.dumps(told).encode())
            )
            return
        form = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            answer = self.server.double.handle(
                Call(self.command, address.path, query + form, headers)
            )
        except NoAnswer:
            self._hang_up()
            return
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            length = len(answer.body) * 2 if answer.cut else len(answer.body)
            self.send_header("content-length", str(length))
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()
        except OSError:
            # Whoever asked has given up.
            self.close_connection = True
            return
        if answer.cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _control(
    double: StripeDouble, method: str, path: str, query: Mapping[str, str], body: bytes
) -> Any:
    """Do what a test asks of the double itself; ``None`` if there is no such endpoint."""
    sent = json.loads(body) if body else {}
    match method, path.split("/")[2:]:
        case "GET", ["charges"]:
            told: Any = double.account.money()
        case "GET", ["events"]:
            told = double.account.events[int(query.get("after", "0")) :]
        case "POST", ["clock"]:
            double.move_clock(sent["seconds"])
            told = {"now": double.clock()}
        case "POST", ["faults"]:
            double.faults.plans += [
                Plan(**{**plan, "fault": Fault(plan["fault"])}) for plan in sent
            ]
            told = {"planned": len(double.faults.plans)}
        case "DELETE", ["faults"]:
            double.faults.plans.clear()
            told = {"planned": 0}
        case "POST", ["key"]:
            double.key = sent["key"]
            told = {}
        case "POST", ["refunds", refund, "fail"]:
            told = double.account.fail_refund(refund)
        case _:
            told = None
    return told
