"""Two payments with curl, three by CSV file, and what became of them.

With Stripe's double as the processor, the same, by a card there; then a refund that comes back.
"""

import csv
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from local import batches, stripe
from local.api import PaymentsApi
from local.console import console, step
from local.deployment import Deployment
from local.errors import RigError
from local.workspace import REPOSITORY
from operations import batch
from payments.core.payment import PaymentStatus

PAYMENT = {"payment_id": "pay_123456", "amount": 99.99, "currency": "USD"}
CARRIED_PAYMENT = {"payment_id": "pay_carried", "amount": 500.02, "currency": "USD"}
"""The sandbox charges this amount, and its answer is lost."""
REFUND = {"refund_id": "refund_1", "amount": "10.00"}

BATCH = REPOSITORY / "samples/payments.csv"
BATCH_WITH_BAD_ROWS = REPOSITORY / "samples/payments-with-bad-rows.csv"
PATIENCE = 120.0  # seconds for all payments to become final


def run(
    deployment: Deployment, tell: Callable[[str], None], double: stripe.Double | None = None
) -> None:
    """Walk through the documented payment and the documented batch at a deployed system.

    Args:
        deployment: the system.
        tell: prints the story of a payment, by its id.
        double: Stripe's, if that is the system's processor and not the sandbox.

    Raises:
        RigError: something did not end as documented.
    """
    card = double.card if double else {}
    console.rule("One payment over HTTP", align="left")
    simple = _pay_with_curl(deployment, json.dumps(PAYMENT | card))
    console.rule("One whose answer gets lost at the processor", align="left")
    if double:
        double.plan("lose", at="confirm", payment_id=str(CARRIED_PAYMENT["payment_id"]))
    carried = _pay_with_curl(deployment, json.dumps(CARRIED_PAYMENT | card))
    for sample in (BATCH, BATCH_WITH_BAD_ROWS):
        file = _with_card(sample, card, deployment.workspace.state) if card else sample
        console.rule(f"A batch of payments: {os.path.relpath(file, REPOSITORY)}", align="left")
        console.print(file.read_text().rstrip(), markup=False)
        batch_id = batches.upload(deployment, file)
        console.print(f"Uploaded to s3://{deployment.outputs()['batch_bucket']}/{file.name}")
        with step("Following the batch") as following:
            report = batches.follow(deployment, batch_id, note=following.note, patience=PATIENCE)
        batch.show(report)
    payments = _wait_for_all(deployment, [simple, carried, *batches.payment_ids(BATCH)])
    console.rule("What became of them", align="left")
    console.print(_table(payments))
    if unpaid := [each["payment_id"] for each in payments if each["status"] != "COMPLETED"]:
        raise RigError(f"Expected all to be COMPLETED, but these are not: {', '.join(unpaid)}")
    if double:
        _compare_with(double, payments)
        _refund_that_comes_back(deployment, double, simple)
    console.rule("The life of almost every payment: paid in one hop", align="left")
    tell(simple)
    console.rule("And of one that a workflow had to carry: asked again, charged once", align="left")
    tell(carried)
    _show_what_next(deployment, json.dumps(card)[1:-1])


def curl(deployment: Deployment, path: str, *options: str) -> list[str]:
    """Return a curl command for the deployed API that works as printed, from the repository."""
    # A proxy of the machine's cannot reach this machine's own loopback names.
    proxied = any(name.lower().endswith("_proxy") for name in os.environ)
    return [
        "curl",
        "--silent",
        "--show-error",
        *(("--noproxy", "*") if proxied else ()),
        "--cacert",
        os.path.relpath(deployment.emulator.authority, REPOSITORY),
        *options,
        f"{deployment.api_url}{path}",
    ]


def _pay_with_curl(deployment: Deployment, payment: str) -> str:
    options = ("--include", "--header", "Content-Type: application/json", "--data", payment)
    command = curl(deployment, "/payments", *options)
    console.print(f"$ {shlex.join(command)}", markup=False)
    sent = subprocess.run(command, capture_output=True, check=False, cwd=REPOSITORY, text=True)
    console.print(sent.stdout.replace("\r", "").rstrip() or sent.stderr.rstrip(), markup=False)
    status = re.match(r"HTTP/\S+ (\d+)", sent.stdout)
    # 200 is the answer to the same payment once more, so that a second demo works like the first.
    if not status or int(status[1]) not in {HTTPStatus.ACCEPTED, HTTPStatus.OK}:
        raise RigError(f"The API did not accept the payment (curl's exit code: {sent.returncode}).")
    if int(status[1]) == HTTPStatus.OK:
        console.print("[dim]This payment was made before: the answer repeats it, no charge.[/dim]")
    return str(json.loads(payment)["payment_id"])


def _with_card(file: Path, card: Mapping[str, str], directory: Path) -> Path:
    """Write a batch file again, with columns for a card."""
    rows = list(csv.reader(file.read_text().splitlines()))
    written = directory / file.name
    with written.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*rows[0], *card])
        writer.writerows([*row, *card.values()] for row in rows[1:])
    return written


def _compare_with(double: stripe.Double, payments: list[dict[str, Any]]) -> None:
    """Show what Stripe's double has charged for these payments, which must be the same."""
    console.rule("What Stripe's double charged", align="left")
    table = Table("payment", "charge of", "captured", "in", box=None, pad_edge=False)
    charges = double.charges()
    for payment in payments:
        made = charges.get(payment["payment_id"], [])
        for charge in made:
            table.add_row(
                escape(payment["payment_id"]),
                charge["payment_intent"],
                str(charge["captured"]),
                f"minor units of {charge['currency'].upper()}",
            )
        if [each["captured"] for each in made] != [payment["amount_minor"]]:
            raise RigError(f"{payment['payment_id']} was not charged once: {made}")
    table.columns[2].justify = "right"
    console.print(table)


def _refund_that_comes_back(deployment: Deployment, double: stripe.Double, payment_id: str) -> None:
    """Refund a part, have the bank send it back, and let Stripe's event tell of it."""
    console.rule("A refund that the customer's bank sends back", align="left")
    path = f"/payments/{payment_id}/refunds"
    command = curl(
        deployment,
        path,
        *("--header", "Content-Type: application/json", "--data", json.dumps(REFUND)),
    )
    bus = f"payment-processor-events-{deployment.workspace.suffix}"
    with stripe.forwarding(double, deployment.clients.events, bus=bus):
        console.print(f"$ {shlex.join(command)}", markup=False)
        sent = subprocess.run(command, capture_output=True, check=False, cwd=REPOSITORY, text=True)
        console.print(sent.stdout.rstrip() or sent.stderr.rstrip(), markup=False)
        api = PaymentsApi(deployment.api_url_by_path, authority=deployment.emulator.authority)
        with step("Waiting until the refund is done"):
            refund = api.ended(f"{path}/{REFUND['refund_id']}", {"COMPLETED", "FAILED"})
        if refund["status"] == "COMPLETED":
            double.fail_refund_of(payment_id)
        with step("Waiting until the refund has failed, of which Stripe tells by an event"):
            refund = api.ended(f"{path}/{REFUND['refund_id']}", {"FAILED"})
    console.print(f"{REFUND['refund_id']}: {refund['status']} {refund['failure_code']}")


def _wait_for_all(deployment: Deployment, payment_ids: list[str]) -> list[dict[str, Any]]:
    api = PaymentsApi(deployment.api_url_by_path, authority=deployment.emulator.authority)
    try:
        with step("Waiting until every payment is final") as waiting:
            return [
                api.final(each, patience=max(1.0, PATIENCE - waiting.seconds))
                for each in payment_ids
            ]
    except TimeoutError as error:
        raise RigError(str(error)) from error


def _table(payments: list[dict[str, Any]]) -> Table:
    table = Table("payment", "amount", "currency", "status", "history", box=None, pad_edge=False)
    for payment in payments:
        colour = PaymentStatus(payment["status"]).colour
        table.add_row(
            escape(payment["payment_id"]),
            payment["amount"],
            payment["currency"],
            f"[{colour}]{payment['status']}[/{colour}] {payment.get('failure_code', '')}".rstrip(),
            " → ".join(entry["status"] for entry in payment["history"]),
        )
    table.columns[1].justify = "right"
    return table


def _show_what_next(deployment: Deployment, card: str) -> None:
    console.rule("Go on from here", align="left")
    console.print(f"API: {deployment.api_url}")
    look = curl(deployment, f"/payments/{PAYMENT['payment_id']}")
    console.print(f"$ {shlex.join(look)}", markup=False)
    if card:
        console.print(f"Pay by the same card: {card}", markup=False)
    console.print("Pay with another payment_id, try your own file with")
    console.print(
        "$ pipenv run payments --env local batch upload samples/payments-with-bad-rows.csv"
    )
    console.print("and end it all with: make down")
