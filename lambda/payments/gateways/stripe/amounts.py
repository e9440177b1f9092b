"""Amounts as Stripe counts them, see https://docs.stripe.com/currencies#minor-units.

Its minor units are those of ISO 4217 but for seven currencies. An amount that it cannot take is
refused and never rounded.
"""

from typing import Final

from payments.core.content import Content
from payments.core.faults import FieldError
from payments.core.money import to_decimal_text

EXPONENTS: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Decimals that Stripe gives a currency, where ISO 4217 says otherwise.

ISK and UGX are written with two decimals that are always 00, for backwards compatibility. The page
lists UGX among those without decimals, too, but the special case is what the API holds to.
"""

NOT_TAKEN: Final = frozenset(
    {"BOV", "CHE", "CHW", "CLF", "COU", "IQD", "LYD", "MXV", "USN", "UYI", "UYW"}
)
"""Currencies that certainly nobody can pay in there: units of account, and those of three and four
decimals that Stripe's page does not name. What an account can take beyond them depends on its
country, so only Stripe knows."""

MAX_DIGITS: Final = 12
"""Most digits of an amount, for most cards: https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts"""

_THREE_DECIMALS: Final = 3


def stripe_amount(content: Content) -> int | FieldError:
    """Return a payment's amount in Stripe's minor units, or why Stripe certainly cannot take it.

    >>> stripe_amount(Content("pay_1", 9999, "USD", 2)), stripe_amount(Content("pay_1", 5, "UGX", 0))
    (9999, 500)
    >>> stripe_amount(Content("pay_1", 5124, "KWD", 3)).message
    'must be a multiple of 0.010: the processor takes no smaller part of KWD'
    """
    currency, exponent = content.currency, content.exponent
    if currency in NOT_TAKEN:
        return FieldError(
            "currency", "currency_not_supported", f"the processor takes no payments in {currency}"
        )
    theirs = EXPONENTS.get(currency, exponent)
    # Three decimals: the last digit must be 0.
    step = 10 if exponent == _THREE_DECIMALS else 10 ** max(exponent - theirs, 0)
    if content.amount_minor % step:
        least = to_decimal_text(step, exponent)
        return FieldError(
            "amount",
            "amount_not_supported",
            f"must be a multiple of {least}: the processor takes no smaller part of {currency}",
        )
    amount: int = content.amount_minor * 10**theirs // 10**exponent
    if amount >= 10**MAX_DIGITS:
        most = to_decimal_text(10 ** (MAX_DIGITS + exponent - theirs) - step, exponent)
        return FieldError(
            "amount",
            "amount_not_supported",
            f"must be at most {most}: the processor takes no more of {currency} in one payment",
        )
    return amount


def our_amount(theirs: int, content: Content) -> int:
    """Return an amount of Stripe's in the minor units of a payment.

    >>> our_amount(500, Content("pay_1", 5, "UGX", 0)), our_amount(5, Content("p", 500, "MGA", 2))
    (5, 500)
    """
    decimals = EXPONENTS.get(content.currency, content.exponent)
    amount: int = theirs * 10**content.exponent // 10**decimals
    return amount
