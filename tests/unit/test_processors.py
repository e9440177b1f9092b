"""Which processor a function gets, and that nobody pays for the one that is not configured."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.config import Processor
from payments.runtime import processor

LAMBDA = Path(__file__).parents[2] / "lambda"

SETTINGS = {
    "POWERTOOLS_SERVICE_NAME": "payment-processor",
    "POWERTOOLS_METRICS_NAMESPACE": "payments",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "PAYMENTS_TABLE": "payments",
    "PROCESSING_STATUS_TABLE": "processing-status",
    "AUDIT_LOGS_TABLE": "audit-logs",
    "PAYMENT_OPERATIONS_TABLE": "payment-operations",
    "REVIEW_ABOVE": "",
    "PAYMENT_EVENTS_QUEUE_URL": "https://localhost/1/payment-events-dev",
    "PAYMENT_ROWS_QUEUE_URL": "https://localhost/1/payment-rows-dev",
}
STRIPE = {
    "PAYMENT_PROCESSOR": "stripe",
    "PROCESSOR_KEY_ARN": "arn:aws:secretsmanager:eu-central-1:1:secret:payment-processor-key-dev",
    "PROCESSOR_MODE": "test",
    "PROCESSOR_RATE": "25",
    "ENVIRONMENT_SUFFIX": "dev",
}
SANDBOX = {"PAYMENT_PROCESSOR": "sandbox"}

START = """
import sys
from payments.runtime import payment_processor, api_handler
gateway = payment_processor.charging()._gateway
needs = api_handler.services().intake.needs
print(type(gateway).__name__, needs is not None, "payments.gateways.stripe.gateway" in sys.modules,
    "payments.gateways.sandbox" in sys.modules,
    type(payment_processor.performing()._gateway).__name__,
    type(payment_processor.hints()._charging._gateway).__name__,
    getattr(payment_processor.payment_sweep()._line, "per_second", None))
"""


@pytest.mark.parametrize(
    ("settings", "started"),
    [
        (SANDBOX, "SandboxGateway False False True SandboxOperations SandboxGateway None"),
        (STRIPE, "StripeGateway True True False StripeOperations StripeGateway 25"),
    ],
)
def test_only_the_processor_that_is_configured_is_imported(
    settings: dict[str, str], started: str
) -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", START],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(LAMBDA), **SETTINGS, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.stdout.startswith(started), outcome.stderr


def test_no_function_starts_with_a_processor_that_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAYMENT_PROCESSOR", "acme")
    for wiring in (
        processor.payment_gateway,
        processor.operation_gateway,
        processor.processor_needs,
    ):
        with pytest.raises(ValueError, match="'acme'"):
            wiring.__wrapped__()


@pytest.mark.parametrize("name", Processor)
def test_the_functions_know_every_processor_that_can_be_deployed(
    name: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYMENT_PROCESSOR", name)
    assert processor.is_stripe() is (name is Processor.STRIPE)
