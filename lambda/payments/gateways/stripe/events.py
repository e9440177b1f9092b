"""What an event of Stripe's is about, see https://docs.stripe.com/event-destinations/eventbridge.

Events come late, twice, in any order, and about payments of others that share the account. So an
event only tells where to look.
"""

from collections.abc import Mapping
from typing import Any

from payments.gateways.port import Hint


def hint_of(event: Mapping[str, Any], *, environment: str) -> Hint | None:
    """Return which charge of this environment an event is about; ``None`` if it is about none.

    Args:
        event: as EventBridge delivers it; ``detail`` is Stripe's own event.
        environment: the name that our charges carry in their metadata.
    """
    match event:
        case {
            "detail": {
                "data": {
                    "object": {
                        "object": "payment_intent",
                        "id": str(reference),
                        "metadata": {"payment_id": str(payment_id), "environment": str(whose)},
                    }
                }
            }
        } if whose == environment:
            return Hint(payment_id, reference)
    return None
