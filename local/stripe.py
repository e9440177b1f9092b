"""Stripe's double as the processor of a local cloud: a process of its own on loopback.

While it runs, the local cloud is deployed with Stripe as the processor; see :func:`settings`.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from local import emulator, processes, surroundings
from local.errors import RigError
from local.stripe_double.account import API_VERSION
from local.stripe_double.double import TEST_KEY
from local.workspace import REPOSITORY, Workspace

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

DEFAULT_PORT: Final = 12111
START_DEADLINE: Final = 20.0  # seconds

EVENT_SOURCE: Final = "stripe.double"
"""What the events of the double are said to come from; those of Stripe name a partner source."""

_FORWARDING_PAUSE: Final = 0.5  # seconds between two looks for new events
_MOST_EVENTS: Final = (
    10  # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
)

# Held for as long as this process lives: Python warns of a child that is let go while it runs.
_children: list[subprocess.Popen[bytes]] = []
_directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, kw_only=True)
class Double:
    """A running double, as recorded in its workspace, and who can pay there."""

    pid: int
    started: str
    port: int
    customer: str = ""
    payment_method: str = ""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{emulator.HOST}:{self.port}"

    @property
    def card(self) -> dict[str, str]:
        """What a payment by its one customer's card has besides an amount."""
        return {
            "processor_customer": self.customer,
            "processor_payment_method": self.payment_method,
        }

    def attached(self, card: str) -> str:
        """Attach one of Stripe's test cards to the customer; return the id that it gets."""
        return str(self.asked(f"payment_methods/{card}/attach", {"customer": self.customer})["id"])

    def make_customer(self) -> str:
        """Make a customer; return its id."""
        return str(self.asked("customers", {"name": "Somebody"})["id"])

    def charges(self) -> dict[str, list[dict[str, Any]]]:
        """Return what was really charged, by payment id."""
        charges: dict[str, list[dict[str, Any]]] = self.control("GET", "charges")
        return charges

    def plan(self, fault: str, *, at: str, payment_id: str) -> None:
        """Let a fault strike the next request at an endpoint that is about a payment."""
        self.control("POST", "faults", [{"fault": fault, "at": at, "payment_id": payment_id}])

    def fail_refund_of(self, payment_id: str) -> None:
        """Take back the last refund of a payment, as the customer's bank may."""
        [*_, refund] = (
            event["data"]["object"]["id"]
            for event in self.control("GET", "events")
            if event["type"] == "refund.created"
            and event["data"]["object"]["metadata"].get("payment_id") == payment_id
        )
        self.control("POST", f"refunds/{refund}/fail")

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask something of the double itself (:mod:`local.stripe_double.server`)."""
        data = None if body is None else json.dumps(body).encode()
        return self._asked(method, f"/_double/{path}", data, {})

    def asked(self, path: str, form: Mapping[str, str]) -> Any:
        """Ask for something as a client of Stripe's does, with the double's key."""
        headers = {"Authorization": f"Bearer {TEST_KEY}", "Stripe-Version": API_VERSION}
        data = urllib.parse.urlencode(form).encode()
        return self._asked("POST", f"/v1/{path}", data, headers)

    def _asked(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the address is our own
            f"{self.url}{path}", data, dict(headers), method=method
        )
        with _directly.open(request, timeout=10) as answer:
            return json.load(answer)


def settings(workspace: Workspace) -> dict[str, str]:
    """Return how the stack is configured: for the double, while it runs; else for the sandbox."""
    found = running(workspace)
    if found is None:
        return {}
    return {
        "PAYMENT_PROCESSOR": "stripe",
        "STRIPE_API_BASE": found.url,
        "STRIPE_EVENT_SOURCE": EVENT_SOURCE,
    }


def running(workspace: Workspace) -> Double | None:
    """Return this workspace's double if its process is alive."""
    try:
        double = Double(**json.loads(workspace.stripe_record.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return double if processes.start_time(double.pid) == double.started else None


def start(workspace: Workspace, *, port: int = DEFAULT_PORT, rate: int | None = None) -> Double:
    """Return the double that runs, or start one, with a customer who has a card.

    Args:
        workspace: where its record and its log go.
        port: where it listens on the loopback interface.
        rate: requests a second that each endpoint takes, if it is limited.

    Raises:
        RigError: the port is taken, or the double did not come up.
    """
    found = running(workspace)
    if found is not None:
        return found
    emulator.require_free(port)
    workspace.logs.mkdir(parents=True, exist_ok=True)
    log = workspace.logs / "stripe.log"
    limit = () if rate is None else ("--rate", str(rate))
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.stripe_double", "--port", str(port), *limit],
            cwd=REPOSITORY,
            env=surroundings.for_emulator({}) | {"PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    _children.append(process)
    double = Double(pid=process.pid, started=processes.start_time(process.pid) or "", port=port)
    try:
        _wait_until_ready(double, process)
        double = Double(**asdict(double) | {"customer": double.make_customer()})
        double = Double(**asdict(double) | {"payment_method": double.attached("pm_card_visa")})
    except BaseException:
        processes.end_group(double.pid, started=double.started)
        raise
    workspace.stripe_record.write_text(json.dumps(asdict(double), indent=2) + "\n")
    return double


def _wait_until_ready(double: Double, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            double.charges()
            return
        time.sleep(0.1)
    raise RigError(f"Stripe's double does not answer at {double.url}.")


def stop(workspace: Workspace) -> None:
    """Stop this workspace's double, if it runs."""
    double = running(workspace)
    if double is not None:
        processes.end_group(double.pid, started=double.started)
        for child in _children:
            child.poll()  # so that Python knows of its end, too
    workspace.stripe_record.unlink(missing_ok=True)


@contextlib.contextmanager
def forwarding(double: Double, events: "EventBridgeClient", *, bus: str) -> Iterator[None]:
    """Forward the double's events to a bus from now on, as Stripe does.

    Args:
        double: the double.
        events: a client of EventBridge.
        bus: the name of the bus.
    """
    ended = threading.Event()

    def forward(sent: int) -> None:
        while not ended.wait(_FORWARDING_PAUSE):
            new = double.control("GET", f"events?after={sent}")[:_MOST_EVENTS]
            if new:
                events.put_events(
                    Entries=[
                        {
                            "EventBusName": bus,
                            "Source": EVENT_SOURCE,
                            "DetailType": each["type"],
                            "Detail": json.dumps(each),
                        }
                        for each in new
                    ]
                )
            sent += len(new)

    thread = threading.Thread(
        target=forward, args=(len(double.control("GET", "events")),), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
