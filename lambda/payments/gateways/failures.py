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

REFUND_REFUSED: Final = Failure("declined", "The processor refused the refund.")
REFUND_RETURNED: Final = Failure(
    "refund_returned", "The refund could not be paid out; the money came back."
)
CAPTURE_REFUSED: Final = Failure("declined", "The processor refused the capture.")
CAPTURES_ONCE: Final = Failure(
    "partial_capture_not_supported",
    "The processor captures a payment once, and releases what a capture leaves.",
)
AUTHORIZATION_OVER: Final = Failure(
    "authorization_over", "The authorization was released or has expired."
)
CAPTURED_ELSEWHERE: Final = Failure(
    "already_captured", "The processor has captured the payment; it can be refunded."
)
