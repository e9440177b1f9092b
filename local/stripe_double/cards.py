"""Stripe's test cards by name, and which amounts and currencies a charge may have.

https://docs.stripe.com/testing and https://docs.stripe.com/currencies
"""

from dataclasses import dataclass
from typing import Final

from local.stripe_double.errors import StripeError, refused


@dataclass(frozen=True, slots=True)
class Card:
    """How a test card behaves. ``decline`` is a code and the issuer's decline code."""

    number: str
    brand: str = "visa"
    decline: tuple[str, str | None] | None = None
    attachable: bool = True
    authentication: bool = False
    refund: str = "succeeded"


CARDS: Final = {
    "pm_card_visa": Card("4242424242424242"),
    "pm_card_visa_debit": Card("4000056655665556"),
    "pm_card_mastercard": Card("5555555555554444", "mastercard"),
    "pm_card_amex": Card("378282246310005", "amex"),
    "pm_card_visa_chargeDeclined": Card(
        "4000000000000002", decline=("card_declined", "generic_decline"), attachable=False
    ),
    "pm_card_visa_chargeDeclinedInsufficientFunds": Card(
        "4000000000009995", decline=("card_declined", "insufficient_funds"), attachable=False
    ),
    "pm_card_visa_chargeDeclinedLostCard": Card(
        "4000000000009987", decline=("card_declined", "lost_card"), attachable=False
    ),
    "pm_card_visa_chargeDeclinedStolenCard": Card(
        "4000000000009979", decline=("card_declined", "stolen_card"), attachable=False
    ),
    "pm_card_visa_chargeDeclinedFraudulent": Card(
        "4100000000000019", decline=("card_declined", "fraudulent"), attachable=False
    ),
    "pm_card_chargeDeclinedExpiredCard": Card(
        "4000000000000069", decline=("expired_card", None), attachable=False
    ),
    "pm_card_chargeDeclinedIncorrectCvc": Card(
        "4000000000000127", decline=("incorrect_cvc", None), attachable=False
    ),
    "pm_card_chargeDeclinedProcessingError": Card(
        "4000000000000119", decline=("processing_error", None), attachable=False
    ),
    "pm_card_chargeCustomerFail": Card(
        "4000000000000341", decline=("card_declined", "generic_decline")
    ),
    "pm_card_authenticationRequired": Card("4000002500003155", authentication=True),
    "pm_card_pendingRefund": Card("4000000000007726", refund="pending"),
    "pm_card_refundFail": Card("4000000000005126", refund="failed"),
}

MESSAGES: Final = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": (
        "An error occurred while processing your card. Try again in a little bit."
    ),
    "authentication_required": (
        "Your card was declined. This transaction requires authentication."
    ),
}
"""What Stripe says of a decline; of all others ``Your card was declined.``"""

_BY_DECIMALS: Final = {
    "none": "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf",
    "two that are 00": "isk ugx",
    "two": """
        aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad
        cdf chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl
        htg huf idr ils inr jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur
        mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd
        scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs wst xcd xcg
        yer zar zmw
        """,
    "three of which the last is 0": "bhd jod kwd omr tnd",
}
_STEPS: Final = {"two that are 00": 100, "three of which the last is 0": 10}
CURRENCIES: Final = {
    code: _STEPS.get(decimals, 1)
    for decimals, codes in _BY_DECIMALS.items()
    for code in codes.split()
}
"""The currencies that a charge may be in, and what its amount must be a multiple of."""

_LEAST: Final = {
    "usd": 50,
    "eur": 50,
    "gbp": 30,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "huf": 17500,
    "jpy": 50,
    "mxn": 1000,
    "nok": 300,
    "pln": 200,
    "sek": 300,
}
"""The least that may be charged, where it is settled in the same currency."""

_MOST: Final = 999_999_999_999


def check_amount(amount: int, currency: str) -> None:
    """Refuse an amount that cannot be charged in a currency.

    Raises:
        StripeError: with the code or the parameter that Stripe names.
    """
    if currency not in CURRENCIES:
        raise refused(f"Invalid currency: {currency}.", param="currency")
    if amount < 1:
        raise refused(
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
            param="amount",
        )
    if amount > _MOST:
        raise _unfit("amount_too_large", "Amount must be no more than 999999999999.")
    if amount < _LEAST.get(currency, 1):
        raise _unfit("amount_too_small", f"Amount must be at least {_LEAST[currency]}.")
    if amount % CURRENCIES[currency]:
        raise refused(
            f"Invalid amount. Amounts charged in {currency} must be evenly divisible by"
            f" {CURRENCIES[currency]}.",
            param="amount",
        )


def _unfit(code: str, message: str) -> StripeError:
    return refused(message, code=code, param="amount")
