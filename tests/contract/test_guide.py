"""The guide for client developers, docs/pay.md, says what the contract says."""

import json
import re
from pathlib import Path

import pytest

from payments.core.payment import PaymentStatus
from payments.flows.charge import Charging
from payments.gateways.sandbox import DECLINED_AMOUNTS, TROUBLED_AMOUNTS
from payments.gateways.sandbox_operations import (
    CAPTURED_INSTEAD,
    REFUSED_AMOUNTS,
    TROUBLED_OPERATIONS,
)
from tests.contract.asking import PAYMENT, Send, operate, submit
from tests.contract.contract import Contract
from tests.unit.cloud import WITNESS

GUIDE = (Path(__file__).parents[2] / "docs/pay.md").read_text()
REQUESTS = re.findall(
    r"\"\$API(/[^\"]+)\" -H 'Content-Type: application/json' \\\n  -d '(.+)'", GUIDE
)


def section(heading: str) -> str:
    """Return a section of the guide, from its heading to the next one."""
    return GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("status", PaymentStatus)
def test_every_status_is_explained(status: PaymentStatus) -> None:
    assert f"\n| `{status}` | " in section("Statuses")


def test_every_event_is_listed_and_no_other(contract: Contract) -> None:
    rows = [line.split("|")[1] for line in section("Events").splitlines() if line[:3] == "| `"]
    assert set(re.findall(r"`(\S+)`", "".join(rows))) == set(contract.document["webhooks"])


def test_every_amount_of_the_sandbox_is_told_here_and_in_the_contract(contract: Contract) -> None:
    of_payments = {*DECLINED_AMOUNTS, *TROUBLED_AMOUNTS}
    of_operations = {*REFUSED_AMOUNTS, *TROUBLED_OPERATIONS, CAPTURED_INSTEAD}
    for text in (section("Sandbox"), contract.document["info"]["description"]):
        rows = [line.split("|")[1] for line in text.splitlines() if re.match(r"\| `?\d", line)]
        assert set(map(int, re.findall(r"\d+", "".join(rows)))) == of_payments | of_operations


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_every_request_is_as_documented(contract: Contract, path: str, body: str) -> None:
    route = re.sub(r"/pay_\w+", "/{payment_id}", path)
    content = contract.operations[f"POST {route}"]["requestBody"]["content"]
    assert not contract.faults(content["application/json"]["schema"], json.loads(body))


def test_every_kind_of_request_has_an_example() -> None:
    asked = {path.rpartition("/")[2] for path, _ in REQUESTS}
    assert asked == {"payments", "refunds", "captures", "cancel"}


def test_the_requests_are_carried_out_in_their_order(send: Send, charging: Charging) -> None:
    # The guide cancels a payment that it has not made before.
    assert submit(send, {**PAYMENT, "payment_id": "pay_123458"})[0] == 202
    for path, body in REQUESTS:
        if path == "/payments":
            assert submit(send, body)[0] == 202
            charging.charge_by_id(json.loads(body)["payment_id"], WITNESS)
        else:
            payment_id = path.split("/")[2]
            route = path.replace(payment_id, "{payment_id}")
            assert operate(send, f"POST {route}", body, payment_id)[0] in {200, 202}
