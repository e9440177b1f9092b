"""The processor of an environment. Only the code of the one that is configured gets imported."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from payments.core.fields import ProcessorNeeds
from payments.gateways.port import Hint, OperationGateway, PaymentGateway, RefundHint
from payments.runtime.clients import client
from payments.runtime.settings import optional_setting, setting

SANDBOX: Final = "sandbox"
STRIPE: Final = "stripe"


def is_stripe() -> bool:
    """Say whether Stripe is the processor, and not the sandbox.

    Raises:
        ValueError: it is another one, for which the sandbox must not stand in.
    """
    name = setting("PAYMENT_PROCESSOR")
    if name not in {SANDBOX, STRIPE}:
        raise ValueError(f"no processor is called {name!r}")
    return name == STRIPE


def processor_rate() -> int | None:
    """Return how many payments a second the processor takes; ``None`` if there is no limit."""
    rate = optional_setting("PROCESSOR_RATE")
    return None if rate is None else int(rate)


@cache
def processor_needs() -> ProcessorNeeds | None:
    """Return what the processor needs of every payment, if it needs something."""
    if not is_stripe():
        return None
    from payments.gateways.stripe.needs import STRIPE_NEEDS  # noqa: PLC0415 - no start waits for it

    return STRIPE_NEEDS


def hint_of(event: Mapping[str, Any]) -> Hint | RefundHint | None:
    """Return which charge or refund of this environment an event of the processor is about, if any."""
    if not is_stripe():
        return None
    from payments.gateways.stripe import events  # noqa: PLC0415 - no start waits for it

    return events.hint_of(event, environment=setting("ENVIRONMENT_SUFFIX"))


@cache
def payment_gateway() -> PaymentGateway:
    """Return the processor."""
    if is_stripe():
        from payments.runtime.stripe import stripe_gateway  # noqa: PLC0415 - no start waits for it

        return stripe_gateway()
    from payments.aws.sandbox_ledger import SandboxLedger  # noqa: PLC0415 - likewise
    from payments.gateways.sandbox import SandboxGateway  # noqa: PLC0415

    return SandboxGateway(SandboxLedger(client("dynamodb"), setting("PROCESSING_STATUS_TABLE")))


@cache
def operation_gateway() -> OperationGateway:
    """Return the same processor, for what comes after a charge."""
    if is_stripe():
        from payments.runtime.stripe import stripe_operations  # noqa: PLC0415 - likewise

        return stripe_operations()
    from payments.aws.sandbox_ledger import SandboxOperationLedger  # noqa: PLC0415
    from payments.gateways.sandbox_operations import SandboxOperations  # noqa: PLC0415

    ledger = SandboxOperationLedger(client("dynamodb"), setting("PROCESSING_STATUS_TABLE"))
    return SandboxOperations(ledger)
