"""What an event of Stripe's is about, see https://docs.stripe.com/event-destinations/eventbridge.

Events come late, twice, in any order, and about payments of others that share the account. So an
event only tells where to look.
"""

from collections.abc import Mapping
from typing import Any

from payments.gateways.port import Hint, RefundHint


def hint_of(event: Mapping[str, Any], *, environment: str) -> Hint | RefundHint | None:
    """Return which charge or refund of this environment an event is about; ``None`` if about none.

    Args:
        event: as EventBridge delivers it; ``detail`` is Stripe's own event.
        environment: the name that our charges and refunds carry in their metadata.
    """
    match event:
        case {"detail": {"data": {"object": {"metadata": {"environment": str(whose)}} as about}}}:
            return _hint(about) if whose == environment else None
    return None


def _hint(about: Mapping[str, Any]) -> Hint | RefundHint | None:
    match about:
        case {
            "object": "payment_intent",
            "id": str(reference),
            "metadata": {"payment_id": str(payment_id)},
        }:
            return Hint(payment_id, reference)
        case {
            "object": "refund",
            "payment_intent": str(reference),
            "metadata": {"payment_id": str(payment_id), "operation": str(name)},
        }:
            return RefundHint(payment_id, reference, name)
        # A charge has the metadata of its intent.
        case {
            "object": "charge",
            "payment_intent": str(reference),
            "metadata": {"payment_id": str(payment_id)},
        }:
            return RefundHint(payment_id, reference, None)
    return None
