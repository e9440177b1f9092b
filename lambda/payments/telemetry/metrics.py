"""What is counted: CloudWatch metrics in the embedded metric format, by service and currency.

Powertools' own decorator would warn of every invocation that has nothing to count.
"""

from collections.abc import Mapping
from typing import Final

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from payments.core.operation import Operation
from payments.core.payment import Payment

_ALL_FUNCTIONS: Final = "payments"
"""The service of what is counted of payments, whichever function it was that wrote."""


def count_payment(payment: Payment) -> None:
    """Emit ``Payments…`` and ``Amount…`` of the status that a payment has just reached.

    Amounts are in minor units: a metric is a double, which holds every whole number up to 2^53
    exactly. These are figures for graphs; the money itself is in the tables.
    """
    reached = payment.status.counted_as
    if reached is None:
        return
    figures = EphemeralMetrics(service=_ALL_FUNCTIONS)
    figures.add_dimension(name="currency", value=payment.currency)
    figures.add_metric(name=f"Payments{reached}", unit=MetricUnit.Count, value=1)
    figures.add_metric(name=f"Amount{reached}", unit=MetricUnit.NoUnit, value=payment.amount_minor)
    figures.flush_metrics()


def count_operation(operation: Operation, payment: Payment) -> None:
    """Emit ``Refunds…``, ``Captures…`` or ``Cancels…`` of the status that an operation has reached.

    ``…Amount`` is in minor units.
    """
    name = f"{operation.kind.value.capitalize()}s{operation.status.counted_as}"
    figures = EphemeralMetrics(service=_ALL_FUNCTIONS)
    figures.add_dimension(name="currency", value=payment.currency)
    figures.add_metric(name=name, unit=MetricUnit.Count, value=1)
    figures.add_metric(name=f"{name}Amount", unit=MetricUnit.NoUnit, value=operation.amount_minor)
    figures.flush_metrics()


def count(counts: Mapping[str, int]) -> None:
    """Emit counts of the running function, under its own name, zeros included."""
    figures = EphemeralMetrics()
    for name, value in counts.items():
        figures.add_metric(name=name, unit=MetricUnit.Count, value=value)
    figures.flush_metrics()
