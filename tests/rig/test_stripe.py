"""The rig's double of Stripe: who charges in the local cloud follows from whether it runs."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local import demo, deployment, emulator, processes, stripe
from local.deployment import Deployment
from local.emulator import Emulator
from local.errors import RigError
from local.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(state=tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def double(workspace: Workspace) -> Iterator[stripe.Double]:
    """A double that runs as the rig starts it."""
    yield stripe.start(workspace, port=emulator.free_port())
    stripe.stop(workspace)


def pay(double: stripe.Double, payment_id: str) -> str:
    """Charge at the double as the gateway does; return the id of the intent."""
    form = {
        "amount": "9999",
        "currency": "usd",
        "customer": double.customer,
        "payment_method": double.payment_method,
        "metadata[payment_id]": payment_id,
    }
    intent = str(double.asked("payment_intents", form)["id"])
    double.asked(f"payment_intents/{intent}/confirm", {"off_session": "true"})
    return intent


def test_the_stack_is_configured_for_the_double_that_runs(
    workspace: Workspace, double: stripe.Double
) -> None:
    assert stripe.settings(workspace) == {
        "PAYMENT_PROCESSOR": "stripe",
        "STRIPE_API_BASE": double.url,
        "STRIPE_EVENT_SOURCE": "stripe.double",
    }
    assert deployment.configuration(workspace).items() >= stripe.settings(workspace).items()


def test_one_that_runs_is_not_started_again(workspace: Workspace, double: stripe.Double) -> None:
    assert stripe.start(workspace) == double == stripe.running(workspace)


def test_its_customer_can_pay_by_card(double: stripe.Double) -> None:
    assert double.card == {
        "processor_customer": double.customer,
        "processor_payment_method": double.payment_method,
    }
    pay(double, "pay_1")
    assert [charge["captured"] for charge in double.charges()["pay_1"]] == [9999]


def test_without_a_double_the_sandbox_charges(tmp_path: Path) -> None:
    assert stripe.settings(Workspace(state=tmp_path)) == {}


def test_a_double_that_died_is_none(workspace: Workspace, double: stripe.Double) -> None:
    record = workspace.stripe_record.read_text()
    try:
        another = json.loads(record) | {"started": "at another time"}
        workspace.stripe_record.write_text(json.dumps(another))
        assert stripe.running(workspace) is None
    finally:
        workspace.stripe_record.write_text(record)
    assert stripe.running(workspace) == double


def test_a_port_in_use_is_one_clear_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RigError, match="cannot be used"):
            stripe.start(Workspace(state=tmp_path), port=taken.getsockname()[1])


def test_stopping_ends_the_process(tmp_path: Path) -> None:
    workspace = Workspace(state=tmp_path)
    double = stripe.start(workspace, port=emulator.free_port())
    stripe.stop(workspace)
    assert processes.start_time(double.pid) is None
    assert not workspace.stripe_record.exists()
    stripe.stop(workspace)


def test_another_processor_is_another_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(state=tmp_path)
    record = {
        "fingerprint": deployment.fingerprint(),
        "configuration": deployment.configuration(workspace),
        "outputs": {},
    }
    workspace.deployment_record.write_text(json.dumps(record))
    emulated = Emulator(pid=1, started="", port=4600, authority=str(workspace.authority))
    assert Deployment(workspace, emulated).is_current()
    monkeypatch.setattr(stripe, "settings", lambda _: {"PAYMENT_PROCESSOR": "stripe"})
    assert not Deployment(workspace, emulated).is_current()


class Bus:
    """Takes events; a call takes ten at most."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def put_events(self, *, Entries: list[dict[str, Any]]) -> None:  # noqa: N803 - boto3's name
        assert len(Entries) <= 10
        self.entries += Entries


def test_events_go_to_the_bus_in_their_order_and_only_new_ones(
    double: stripe.Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe, "_FORWARDING_PAUSE", 0.01)
    pay(double, "pay_before")
    bus = Bus()
    with stripe.forwarding(double, bus, bus="events-local"):  # type: ignore[arg-type]  # all it uses
        for number in range(5):
            pay(double, f"pay_{number}")
        deadline = time.monotonic() + 20
        while len(bus.entries) < 15 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert [each["DetailType"] for each in bus.entries] == 5 * [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]
    assert {(each["EventBusName"], each["Source"]) for each in bus.entries} == {
        ("events-local", "stripe.double")
    }
    about = json.loads(bus.entries[2]["Detail"])["data"]["object"]
    assert about["metadata"]["payment_id"] == "pay_0"


def test_the_bank_takes_back_the_last_refund_of_a_payment(double: stripe.Double) -> None:
    intent = pay(double, "pay_refunded")
    refunds = [
        double.asked(
            "refunds",
            {
                "payment_intent": intent,
                "amount": str(amount),
                "metadata[payment_id]": "pay_refunded",
            },
        )
        for amount in (100, 200)
    ]
    double.fail_refund_of("pay_refunded")
    [charge] = double.charges()["pay_refunded"]
    assert charge["refunded"] == 100
    told = [each["data"]["object"] for each in double.control("GET", "events")][-1]
    assert (told["id"], told["status"]) == (refunds[1]["id"], "failed")


def test_a_lost_answer_is_planned_for_one_payment(double: stripe.Double) -> None:
    double.plan("lose", at="confirm", payment_id="pay_lost")
    pay(double, "pay_other")
    with pytest.raises(OSError):  # noqa: PT011 - the connection ends, in whatever way
        pay(double, "pay_lost")
    assert len(double.charges()["pay_lost"]) == 1


def test_a_batch_file_gets_columns_for_a_card(tmp_path: Path) -> None:
    sample = tmp_path / "sample.csv"
    sample.write_text('payment_id,amount,currency\npay_1,"1,000.00",USD\n')
    (tmp_path / "state").mkdir()
    written = demo._with_card(sample, {"processor_customer": "cus_1"}, tmp_path / "state")
    assert written.read_text() == (
        'payment_id,amount,currency,processor_customer\npay_1,"1,000.00",USD,cus_1\n'
    )


def test_what_was_charged_otherwise_than_we_say_is_an_error(
    double: stripe.Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay(double, "pay_compared")
    payment = {"payment_id": "pay_compared", "amount_minor": 9999}
    demo._compare_with(double, [payment])
    for wrong in ({"amount_minor": 9998}, {"payment_id": "pay_nobody"}):
        with pytest.raises(RigError, match="was not charged once"):
            demo._compare_with(double, [payment | wrong])
    twice = {"pay_compared": double.charges()["pay_compared"] * 2}
    monkeypatch.setattr(stripe.Double, "charges", lambda _: twice)
    with pytest.raises(RigError, match="was not charged once"):
        demo._compare_with(replace(double), [payment])
