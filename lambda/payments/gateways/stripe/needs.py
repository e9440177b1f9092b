"""What Stripe needs of a payment, checked where the payment comes in."""

import re
from typing import Final

from payments.core.content import Content
from payments.core.faults import FieldError
from payments.core.fields import ProcessorNeeds
from payments.gateways.stripe.amounts import stripe_amount


def _amount_fault(content: Content) -> FieldError | None:
    amount = stripe_amount(content)
    return amount if isinstance(amount, FieldError) else None


STRIPE_NEEDS: Final = ProcessorNeeds(
    ids={
        "processor_customer": (
            re.compile(r"cus_[A-Za-z0-9_]{1,250}"),
            "the id of a Stripe customer, such as cus_NffrFeUfNV2Hib",
        ),
        "processor_payment_method": (
            re.compile(r"(?:pm|card|src)_[A-Za-z0-9_]{1,250}"),
            "the id of a Stripe payment method, such as pm_1MqLiJLkdIwHu7ixUEgbFdYF",
        ),
    },
    fault_of=_amount_fault,
)
"""A method that is attached to a customer can only be charged together with that customer:
https://docs.stripe.com/api/payment_intents/create"""
