"""Decisions about payments and refunds in review: what waits, who decides, and what."""

from datetime import datetime
from typing import Any, Final

from payments.api.requests import parse_object
from payments.core.clock import utc_text
from payments.core.faults import FieldError, InvalidRequest
from payments.core.money import to_decimal_text
from payments.core.review import ENDS_AFTER, Person, Review
from payments.flows.review import Waiting

LONGEST_NOTE: Final = 200
"""In bytes of UTF-8: a record of the audit trail stays under 1,024 bytes."""

_DECISIONS: Final = {"approve": Review.APPROVED, "reject": Review.REJECTED}


def caller(event: dict[str, Any]) -> Person | None:
    """Return who signed a request; nobody, if it was sent to a route that takes unsigned ones.

    See https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html#context-variable-reference
    """
    identity: dict[str, str | None] = event.get("requestContext", {}).get("identity") or {}
    unique_id, arn = identity.get("user"), identity.get("userArn")
    return Person.of(unique_id, arn or "") if unique_id else None


def parse_review_json(text: str) -> tuple[Review, str]:
    """Read the body of a request to decide: the decision and why.

    Raises:
        InvalidRequest: with all faults of the body together.
    """
    document, errors = parse_object(text)
    errors += [
        FieldError(name[:64], "unknown_field", "is not a field of a decision")
        for name in document
        if name not in {"decision", "note"}
    ]
    decision, note = document.get("decision"), document.get("note")
    if "decision" not in document:
        errors.append(FieldError("decision", "required", "is missing"))
    elif not isinstance(decision, str) or decision not in _DECISIONS:
        errors.append(FieldError("decision", "invalid_format", "must be approve or reject"))
    if "note" not in document:
        errors.append(FieldError("note", "required", "is missing"))
    elif type(note) is not str or not _is_note(note):
        errors.append(
            FieldError(
                "note",
                "invalid_format",
                f"must be text of one line, of at most {LONGEST_NOTE} bytes in UTF-8",
            )
        )
    if errors:
        raise InvalidRequest(errors)
    return _DECISIONS[str(decision)], str(note)


def _is_note(text: str) -> bool:
    return text.isprintable() and bool(text.strip()) and len(text.encode()) <= LONGEST_NOTE


def describe_waiting(waiting: Waiting) -> dict[str, Any]:
    """Return what waits for a decision as who decides sees it."""
    payment, refund = waiting.payment, waiting.refund
    amount = payment.amount_minor if refund is None else refund.amount_minor
    body: dict[str, Any] = {
        "kind": "payment" if refund is None else refund.kind.value,
        "payment_id": payment.payment_id,
        "amount": to_decimal_text(amount, payment.content.exponent),
        "amount_minor": amount,
        "currency": payment.currency,
        "waits_since": waiting.since,
        "ends_at": utc_text(datetime.fromisoformat(waiting.since) + ENDS_AFTER),
    }
    if refund is not None:
        body["refund_id"] = refund.operation_id
        if refund.reason is not None:
            body["reason"] = refund.reason
    if waiting.submitter is not None:
        body["submitted_by"] = waiting.submitter.name
    return body
