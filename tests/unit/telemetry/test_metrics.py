"""What is counted."""

import json

import pytest

from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueues
from payments.aws.sandbox_ledger import SandboxLedger
from payments.core.messages import PaymentMessage
from payments.core.payment import Payment
from payments.flows.charge import Charging
from payments.flows.delivery import Delivery
from payments.flows.intake import PaymentIntake
from payments.gateways.sandbox import SandboxGateway
from payments.telemetry.metrics import count_payment
from tests.unit.cloud import ROW, WITNESS, Started, payment_request


class TestTally:
    """What is counted: each status a payment reaches, once, by whoever's write decided."""

    def test_a_payment_is_counted_once_for_each_status(
        self, store: PaymentStore, queues: PaymentQueues, ledger: SandboxLedger
    ) -> None:
        counted: list[str] = []

        def tally(payment: Payment) -> None:
            counted.append(payment.status.value)

        intake = PaymentIntake(store, queues, tally=tally)
        charging = Charging(store, SandboxGateway(ledger), tally=tally)
        for _ in range(2):
            intake.submit(payment_request())
        for _ in range(2):
            charging.charge_by_id("pay_1", WITNESS)
        assert counted == ["PENDING", "PROCESSING", "COMPLETED"]

    def test_a_row_is_counted_when_its_message_creates_the_payment(
        self, store: PaymentStore, charging: Charging
    ) -> None:
        counted: list[str] = []
        delivery = Delivery(
            store, charging, Started(), tally=lambda payment: counted.append(payment.payment_id)
        )
        for _ in range(2):
            delivery.deliver(PaymentMessage(payment_request(source=ROW)), WITNESS, is_first=False)
        assert counted == ["pay_1"]

    def test_figures_are_by_service_and_currency_and_hold_no_id(
        self, store: PaymentStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        payment, _ = store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        count_payment(payment)
        told = json.loads(capsys.readouterr().out)
        [directive] = told["_aws"]["CloudWatchMetrics"]
        assert sorted(directive["Dimensions"][0]) == ["currency", "service"]
        assert (told["currency"], told["PaymentsAccepted"], told["AmountAccepted"]) == (
            "USD",
            [1],
            [9999],
        )
        assert "pay_1" not in str(told)
