"""Why a payment was declined, in our words: whichever processor says it, clients read the same."""

from typing import Final

from payments.core.payment import Failure

INSUFFICIENT_FUNDS: Final = Failure("insufficient_funds", "The account does not hold this amount.")
CARD_DECLINED: Final = Failure("card_declined", "The card issuer declined the charge.")
"""Also what tells of fraud, a lost or a stolen card: who pays must not learn it from us."""
EXPIRED_CARD: Final = Failure("expired_card", "The card has expired.")
AUTHENTICATION_REQUIRED: Final = Failure(
    "authentication_required", "The card issuer wants the customer to confirm the charge."
)
PAYMENT_METHOD_UNUSABLE: Final = Failure(
    "payment_method_unusable", "The processor cannot charge this customer's payment method."
)
AMOUNT_NOT_SUPPORTED: Final = Failure(
    "amount_not_supported", "The processor does not take this amount."
)
CURRENCY_NOT_SUPPORTED: Final = Failure(
    "currency_not_supported", "The processor does not take payments in this currency."
)
CANCELED_AT_PROCESSOR: Final = Failure(
    "canceled_at_processor", "The charge was canceled at the processor; nothing was charged."
)
