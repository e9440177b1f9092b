"""What Stripe's declines are in our words, see https://docs.stripe.com/declines/codes."""

from collections.abc import Mapping
from typing import Any, Final

from payments.core.payment import Failure
from payments.gateways.failures import (
    AMOUNT_NOT_SUPPORTED,
    AUTHENTICATION_REQUIRED,
    CARD_DECLINED,
    CURRENCY_NOT_SUPPORTED,
    EXPIRED_CARD,
    INSUFFICIENT_FUNDS,
    PAYMENT_METHOD_UNUSABLE,
)

_BY_CODE: Final[Mapping[str, Failure]] = {
    "insufficient_funds": INSUFFICIENT_FUNDS,
    "expired_card": EXPIRED_CARD,
    "authentication_required": AUTHENTICATION_REQUIRED,
    "authentication_not_handled": AUTHENTICATION_REQUIRED,
    "payment_intent_authentication_failure": AUTHENTICATION_REQUIRED,
    "currency_not_supported": CURRENCY_NOT_SUPPORTED,
    "invalid_amount": AMOUNT_NOT_SUPPORTED,
    "amount_too_small": AMOUNT_NOT_SUPPORTED,
    "amount_too_large": AMOUNT_NOT_SUPPORTED,
    "card_not_supported": PAYMENT_METHOD_UNUSABLE,
    "incorrect_number": PAYMENT_METHOD_UNUSABLE,
    "invalid_number": PAYMENT_METHOD_UNUSABLE,
    "invalid_account": PAYMENT_METHOD_UNUSABLE,
    "invalid_expiry_month": PAYMENT_METHOD_UNUSABLE,
    "invalid_expiry_year": PAYMENT_METHOD_UNUSABLE,
}
"""All others are ``card_declined``: what tells of fraud, a lost or a stolen card must look plain."""

_BY_PARAMETER: Final[Mapping[str, Failure]] = {
    "payment_method": PAYMENT_METHOD_UNUSABLE,
    "customer": PAYMENT_METHOD_UNUSABLE,
    # What Stripe calls the method of a customer's in some messages about an intent.
    "source": PAYMENT_METHOD_UNUSABLE,
    "amount": AMOUNT_NOT_SUPPORTED,
    "currency": CURRENCY_NOT_SUPPORTED,
}


def decline_code(error: Mapping[str, Any]) -> str | None:
    """Return Stripe's own code of an error: the issuer's where there is one."""
    return error.get("decline_code") or error.get("code")


def card_failure(error: Mapping[str, Any]) -> Failure:
    """Return why a card was declined.

    >>> card_failure({"code": "card_declined", "decline_code": "stolen_card"}).code
    'card_declined'
    >>> card_failure({"code": "expired_card", "decline_code": "expired_card"}).code
    'expired_card'
    """
    return _BY_CODE.get(decline_code(error) or "", CARD_DECLINED)


def request_failure(error: Mapping[str, Any]) -> Failure | None:
    """Return why a payment is refused for what it asks for, or ``None`` where the fault is ours."""
    code, parameter = error.get("code"), error.get("param")
    if code in ("amount_too_small", "amount_too_large"):
        return AMOUNT_NOT_SUPPORTED
    if code == "parameter_unknown":
        return None
    return _BY_PARAMETER.get(str(parameter))
