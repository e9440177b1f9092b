"""A few minutes of business in half a minute, so that the dashboard has something to show."""

import json
import random
import time
import uuid

from local import batches
from local.api import PaymentsApi
from local.console import step
from local.demo import BATCH, BATCH_WITH_BAD_ROWS
from local.deployment import Deployment

PAYMENTS = 90
SECONDS_BETWEEN = 0.7
UPLOADS_AFTER = (10, 50)
REFUNDED = 7
"""Of so many payments that were completed, one is refunded."""

# Mostly paid, some declined, a few with a gateway that stumbles (see the table in docs/pay.md).
AMOUNTS = {
    "USD": ("19.99", "49.99", "99.99", "125.00", "19.99", "49.99", "400.01", "500.01"),
    "EUR": ("9.90", "25.00", "250.00", "9.90", "25.00", "400.02", "500.04"),
    "JPY": ("1980", "5000", "12000", "1980", "5000", "40001"),
}


def run(deployment: Deployment) -> None:
    """Pay by HTTP and by file, refund some, send some nonsense, and wait for the last payment's end.

    Raises:
        TimeoutError: a payment had no end in time.
    """
    chance = random.Random(6)
    api = PaymentsApi(deployment.api_url_by_path, authority=deployment.emulator.authority)
    with step("Paying") as paying:
        uploaded, paid = [], []
        for number in range(PAYMENTS):
            currency = chance.choice(list(AMOUNTS))
            amount = chance.choice(AMOUNTS[currency])
            payment_id = f"pay_{uuid.uuid4().hex[:12]}"
            api.submit({"payment_id": payment_id, "amount": amount, "currency": currency})
            paid.append(payment_id)
            if number % 15 == 0:
                api.submit(b"{}")
            if number in UPLOADS_AFTER:
                uploaded += [
                    batches.upload(deployment, file) for file in (BATCH, BATCH_WITH_BAD_ROWS)
                ]
            paying.note(f"{number + 1} of {PAYMENTS}")
            time.sleep(SECONDS_BETWEEN)
    with step("Waiting for the last one's end"):
        # The schedule does it every five minutes.
        deployment.clients.functions.invoke(
            FunctionName=f"payment-processor-{deployment.workspace.suffix}",
            Payload=json.dumps({"action": "sweep"}),
        )
        final = {payment_id: api.final(payment_id, patience=120) for payment_id in paid}
        completed = [each for each, payment in final.items() if payment["status"] == "COMPLETED"]
        for payment_id in completed[::REFUNDED]:
            api.request("POST", f"/payments/{payment_id}/refunds", body={"refund_id": "r1"})
        for batch_id in uploaded:
            batches.follow(deployment, batch_id, patience=120)
