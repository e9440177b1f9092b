"""Refunds, captures and releases at Stripe.

A refund carries the name of our operation in its metadata, so that it is found among the refunds of
its intent for ever, and Stripe's keys, which live for a day, only keep twins apart. An intent
captures once, and carries the name of the capture; its state guards the rest.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from payments.core.faults import FieldError, GatewayUnavailable
from payments.core.operation import Operation, OperationKind
from payments.core.payment import Payment
from payments.gateways.failures import (
    AMOUNT_NOT_SUPPORTED,
    AUTHORIZATION_OVER,
    CAPTURE_REFUSED,
    CAPTURED_ELSEWHERE,
    CAPTURES_ONCE,
    REFUND_REFUSED,
    REFUND_RETURNED,
)
from payments.gateways.port import Captured, Done, OperationOutcome, Pending, Refused
from payments.gateways.stripe.amounts import our_amount, stripe_amount
from payments.gateways.stripe.client import Reply, StripeClient
from payments.gateways.stripe.intents import (
    INTENTS,
    OUR_CANCELLATION,
    compare,
    intent_of,
    refused,
)

_REFUNDS: Final = "/v1/refunds"
_PAGE: Final = "100"
_NOT_REFUNDABLE: Final = frozenset(
    {
        "amount_too_large",
        "amount_too_small",
        "charge_already_refunded",
        "charge_disputed",
        "charge_not_refundable",
        "insufficient_funds",
        "parameter_invalid_integer",
        "refund_disputed_payment",
    }
)


class StripeOperations:
    """Carries out operations; see :class:`payments.gateways.port.OperationGateway`."""

    def __init__(self, client: StripeClient, *, environment: str) -> None:
        self._client = client
        self._environment = environment

    def refund(self, payment: Payment, operation: Operation) -> OperationOutcome:
        """Give an amount back. See :meth:`OperationGateway.refund`."""
        amount = _amount(payment, operation)
        if amount is None:
            return Refused(AMOUNT_NOT_SUPPORTED)
        reply = self._client.post(
            _REFUNDS,
            {
                "payment_intent": str(payment.gateway_reference),
                "amount": str(amount),
                "metadata[payment_id]": payment.payment_id,
                "metadata[environment]": self._environment,
                "metadata[operation]": operation.name,
            },
            key=f"{self._environment}:{operation.name}:{operation.requested_at}",
        )
        if not reply.error:
            return self._refunded(payment, operation, reply.document)
        # What is refused now may have been done before, by a call whose answer was lost.
        known = self._known_refund(payment, operation)
        if known is not None:
            return self._refunded(payment, operation, known)
        if reply.error.get("type") == "idempotency_error":
            raise GatewayUnavailable("another release asked for this refund with its key")
        if _is_about_the_refund(reply):
            return Refused(REFUND_REFUSED)
        raise refused(reply)

    def capture(self, payment: Payment, operation: Operation) -> OperationOutcome:
        """Capture what an intent holds, or a part. See :meth:`OperationGateway.capture`."""
        if not operation.final and payment.amounts.capturable:
            return Refused(CAPTURES_ONCE)
        amount = _amount(payment, operation)
        if amount is None:
            return Refused(AMOUNT_NOT_SUPPORTED)
        reply = self._client.post(
            f"{INTENTS}/{payment.gateway_reference}/capture",
            {"amount_to_capture": str(amount), "metadata[operation]": operation.name},
        )
        if reply.error.get("code") in ("amount_too_large", "amount_too_small"):
            return Refused(CAPTURE_REFUSED)
        return self._captured(operation, self._intent(payment, reply)) or Pending()

    def void(self, payment: Payment, operation: Operation) -> OperationOutcome | Captured:
        """Release what an intent holds. See :meth:`OperationGateway.void`."""
        del operation
        reply = self._client.post(
            f"{INTENTS}/{payment.gateway_reference}/cancel",
            {"cancellation_reason": OUR_CANCELLATION},
        )
        return _released(payment, self._intent(payment, reply)) or Pending()

    def look_up_operation(
        self, payment: Payment, operation: Operation
    ) -> OperationOutcome | Captured | None:
        """Ask what became of one. See :meth:`OperationGateway.look_up_operation`."""
        if operation.kind is OperationKind.REFUND:
            known = self._known_refund(payment, operation)
            return None if known is None else self._refunded(payment, operation, known)
        reply = self._client.get(f"{INTENTS}/{payment.gateway_reference}")
        intent = self._intent(payment, reply)
        if operation.kind is OperationKind.CAPTURE:
            return self._captured(operation, intent)
        return _released(payment, intent)

    def _intent(self, payment: Payment, reply: Reply) -> Mapping[str, Any]:
        return intent_of(reply, payment, environment=self._environment, live=self._client.live)

    def _known_refund(self, payment: Payment, operation: Operation) -> Mapping[str, Any] | None:
        """Return the refund that an operation made, as Stripe has it now."""
        if operation.gateway_reference is not None:
            reply = self._client.get(f"{_REFUNDS}/{operation.gateway_reference}")
            if reply.error:
                raise refused(reply)
            return reply.document
        for refund in self._refunds_of(payment):
            metadata = refund.get("metadata") or {}
            if metadata.get("operation") == operation.name:
                return refund
        return None

    def _refunds_of(self, payment: Payment) -> Iterator[Mapping[str, Any]]:
        query = {"payment_intent": str(payment.gateway_reference), "limit": _PAGE}
        while True:
            reply = self._client.get(_REFUNDS, query)
            match reply.document:
                case {"data": list(refunds), "has_more": bool(has_more)}:
                    yield from refunds
                case _:
                    raise refused(reply)
            if not has_more or not refunds:
                return
            query["starting_after"] = refunds[-1]["id"]

    def _refunded(
        self, payment: Payment, operation: Operation, refund: Mapping[str, Any]
    ) -> OperationOutcome:
        """Return the outcome that a refund has, once it is compared with what was asked for."""
        metadata = refund.get("metadata") or {}
        compare("amount", refund.get("amount"), _amount(payment, operation))
        compare("currency", refund.get("currency"), payment.currency.lower())
        compare("payment_intent", refund.get("payment_intent"), payment.gateway_reference)
        compare("metadata.environment", metadata.get("environment"), self._environment)
        compare("metadata.operation", metadata.get("operation"), operation.name)
        match refund.get("status"):
            case "succeeded":
                return Done(refund["id"])
            case "failed" | "canceled":
                return Refused(REFUND_RETURNED)
            case "pending" | "requires_action":
                return Pending()
            case status:
                raise GatewayUnavailable(f"the refund has a status of {status}")

    def _captured(self, operation: Operation, intent: Mapping[str, Any]) -> OperationOutcome | None:
        """Return what became of a capture, by the state of its intent."""
        match intent.get("status"):
            case "succeeded":
                if intent["metadata"].get("operation") != operation.name:
                    return Refused(CAPTURED_ELSEWHERE)
                return Done(str(intent.get("latest_charge")))
            case "canceled":
                return Refused(AUTHORIZATION_OVER)
            case "requires_capture":
                return None
            case status:
                raise GatewayUnavailable(f"the intent has a status of {status}")


def _released(payment: Payment, intent: Mapping[str, Any]) -> OperationOutcome | Captured | None:
    """Return what became of a release, by the state of its intent."""
    match intent.get("status"):
        case "canceled":
            return Done(intent["id"])
        case "succeeded":
            return Captured(our_amount(intent["amount_received"], payment.content))
        case "requires_capture":
            return None
        case status:
            raise GatewayUnavailable(f"the intent has a status of {status}")


def _amount(payment: Payment, operation: Operation) -> int | None:
    """Return an operation's amount in Stripe's minor units; ``None`` if it cannot be written so."""
    amount = stripe_amount(payment.content._replace(amount_minor=operation.amount_minor))
    return None if isinstance(amount, FieldError) else amount


def _is_about_the_refund(reply: Reply) -> bool:
    """Say whether a refusal is final: this refund cannot be made."""
    error = reply.error
    return error.get("code") in _NOT_REFUNDABLE or error.get("param") == "amount"
