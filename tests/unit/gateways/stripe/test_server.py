"""The gateway and the double over real HTTP, and the double's own endpoints."""

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local import certificates
from local.stripe_double.double import TEST_KEY, StripeDouble
from local.stripe_double.server import DoubleServer
from payments.core.faults import GatewayBusy, GatewayUnavailable
from payments.core.payment import Payment
from payments.gateways.port import Approved, Prepared
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.gateway import StripeGateway
from payments.gateways.stripe.http import HttpTransport
from payments.gateways.stripe.wire import Request
from tests.unit.gateways.stripe.doubled import Stripe

ROOT = Path(__file__).parents[4]


@contextmanager
def serving(
    certificate: Path | None = None, private_key: Path | None = None
) -> Iterator[DoubleServer]:
    with DoubleServer(StripeDouble(), certificate=certificate, private_key=private_key) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[DoubleServer]:
    with serving() as served:
        yield served


def read_key(*, anew: bool = False) -> str:
    assert not anew
    return TEST_KEY


def gateway(server: DoubleServer) -> StripeGateway:
    client = StripeClient(HttpTransport(server.url), read_key, live=False)
    return StripeGateway(client, environment="test")


def control(server: DoubleServer, endpoint: str, sent: Any = None) -> Any:
    """Ask the double itself."""
    method, _, path = endpoint.partition(" ")
    body = None if sent is None else json.dumps(sent).encode()
    request = urllib.request.Request(f"{server.url}{path}", body, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def bound(server: DoubleServer, **fields: Any) -> Payment:
    """Return a payment whose intent is there."""
    customer = server.double.account.create_customer({})["id"]
    payment = Stripe().payment(processor_customer=customer, **fields)
    prepared = gateway(server).prepare(payment)
    assert isinstance(prepared, Prepared)
    return replace(payment, gateway_reference=prepared.reference)


def test_a_payment_is_charged_over_http(server: DoubleServer) -> None:
    payment = bound(server)
    assert gateway(server).charge(payment) == Approved(payment.gateway_reference or "")
    [charge] = control(server, "GET /_double/charges")["pay_1"]
    assert (charge["captured"], charge["currency"], charge["environment"]) == (9999, "usd", "test")


@pytest.mark.parametrize("fault", ["lose", "cut", "html_done", "failure_done"])
def test_an_answer_that_was_lost_is_found_again(server: DoubleServer, fault: str) -> None:
    payment = bound(server)
    control(server, "POST /_double/faults", [{"fault": fault, "at": "confirm"}])
    with pytest.raises(GatewayUnavailable):
        gateway(server).charge(payment)
    assert gateway(server).charge(payment) == Approved(payment.gateway_reference or "")
    assert len(control(server, "GET /_double/charges")["pay_1"]) == 1


def test_a_late_answer_is_unknown_and_a_twin_meanwhile_is_busy(server: DoubleServer) -> None:
    payment = bound(server)
    control(server, "POST /_double/faults", [{"fault": "late", "at": "confirm", "seconds": 0.6}])
    transport = HttpTransport(server.url)
    path = f"/v1/payment_intents/{payment.gateway_reference}/confirm"
    headers = {"Authorization": f"Bearer {TEST_KEY}", "Stripe-Version": "2026-08-26.dahlia"}
    impatient = Request(method="POST", path=path, fields={}, headers=headers, read_seconds=0.1)
    with pytest.raises(GatewayUnavailable):
        transport(impatient)
    with pytest.raises(GatewayBusy):
        gateway(server).charge(payment)
    while True:
        try:
            outcome = gateway(server).charge(payment)
            break
        except GatewayBusy:
            continue
    assert outcome == Approved(payment.gateway_reference or "")
    assert len(control(server, "GET /_double/charges")["pay_1"]) == 1


def test_tests_move_its_clock_roll_its_key_and_read_its_events(server: DoubleServer) -> None:
    now = server.double.clock()
    assert control(server, "POST /_double/clock", {"seconds": 90000})["now"] >= now + 90000
    bound(server)
    [event] = control(server, "GET /_double/events?after=0")
    assert event["type"] == "payment_intent.created"
    assert control(server, "GET /_double/events?after=1") == []
    assert control(server, "POST /_double/faults", [{"fault": "lose"}]) == {"planned": 1}
    assert control(server, "DELETE /_double/faults") == {"planned": 0}
    control(server, "POST /_double/key", {"key": "sk_test_new"})
    assert server.double.key == "sk_test_new"


def test_a_refund_is_taken_back_as_a_bank_does(server: DoubleServer) -> None:
    payment = bound(server)
    gateway(server).charge(payment)
    refund = server.double.account.create_refund({"payment_intent": payment.gateway_reference})
    failed = control(server, f"POST /_double/refunds/{refund['id']}/fail")
    assert failed["status"] == "failed"
    assert control(server, "GET /_double/charges")["pay_1"][0]["refunded"] == 0


def test_it_knows_no_other_endpoints_of_its_own(server: DoubleServer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        control(server, "GET /_double/nothing")


def test_it_serves_tls_with_the_rigs_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    certificates.issue(authority=authority, certificate=certificate, key=key)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with serving(certificate=certificate, private_key=key) as server:
        assert server.url.startswith("https://127.0.0.1:")
        payment = bound(server)
        assert isinstance(gateway(server).charge(payment), Approved)
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(GatewayUnavailable):
            gateway(server).charge(payment)


def test_it_is_started_as_a_module_and_says_where_it_is() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "local.stripe_double", "--port", "0", "--rate", "25"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said.startswith("Stripe's double listens on http://127.0.0.1:")
            url = said.split()[-1]
            with urllib.request.urlopen(f"{url}/_double/charges") as answer:  # noqa: S310 - loopback
                assert json.load(answer) == {}
        finally:
            process.terminate()
