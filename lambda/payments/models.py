"""A payment, its statuses and the facts about it that leave the system."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from payments.money import to_decimal_text


class PaymentStatus(StrEnum):
    """Where a payment is: ``PENDING`` → ``PROCESSING`` → ``COMPLETED`` or ``FAILED``."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether no transition leaves this status."""
        return not SUCCESSORS[self]


SUCCESSORS: Final[dict[PaymentStatus, frozenset[PaymentStatus]]] = {
    PaymentStatus.PENDING: frozenset({PaymentStatus.PROCESSING}),
    PaymentStatus.PROCESSING: frozenset({PaymentStatus.COMPLETED, PaymentStatus.FAILED}),
    PaymentStatus.COMPLETED: frozenset(),
    PaymentStatus.FAILED: frozenset(),
}
"""The whole life of a payment: from each status, where it may go."""


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A payment somebody asks for, already valid.

    ``amount_minor`` is in minor units of ``currency`` (ISO 4217). ``source`` is ``api`` or
    ``batch:{batch_id}:{line}``; ``correlation_id`` names the one request or row that asked.
    """

    payment_id: str
    amount_minor: int
    currency: str
    source: str
    correlation_id: str

    @property
    def content_hash(self) -> str:
        """SHA-256 of what makes two requests the same payment: id, amount and currency."""
        content = f"{self.payment_id}\n{self.amount_minor}\n{self.currency}"
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a payment failed: a stable code and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Payment:
    """The current state of a payment. Times are UTC, ISO 8601 with microseconds."""

    payment_id: str
    amount_minor: int
    currency: str
    status: PaymentStatus
    version: int
    content_hash: str
    source: str
    correlation_id: str
    created_at: str
    updated_at: str
    audit_hash: str
    failure: Failure | None = None
    gateway_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of status, with the witness to it.

    ``actor`` is who did it (``api``, ``batch`` or the workflow's execution ARN), ``request_id``
    the invocation it happened in, ``attempt`` how often the step was tried before (from 0).
    """

    to: PaymentStatus
    at: str
    actor: str
    request_id: str
    attempt: int = 0
    failure: Failure | None = None
    gateway_reference: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One status a payment has had, and since when."""

    sequence: int
    status: PaymentStatus
    at: str


def utc_now() -> str:
    """Return the time now: UTC, ISO 8601, microseconds."""
    return utc_text(datetime.now(UTC))


def utc_text(moment: datetime) -> str:
    """Write a time (UTC) as all times are stored, so that they sort as text."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def describe(payment: Payment) -> dict[str, Any]:
    """Return the payment as clients see it, in answers and notifications alike."""
    body: dict[str, Any] = {
        "payment_id": payment.payment_id,
        "amount": to_decimal_text(payment.amount_minor, payment.currency),
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "status": payment.status.value,
        "created_at": payment.created_at,
        "updated_at": payment.updated_at,
    }
    if payment.failure is not None:
        body["failure_code"] = payment.failure.code
        body["failure_message"] = payment.failure.message
    return body


def notification(payment: Payment) -> dict[str, Any]:
    """Return the event that announces a payment's status.

    ``event_id`` follows from payment and status alone, so a repeated announcement is recognised.
    """
    return {
        "event_id": f"{payment.payment_id}:{payment.status.value}",
        "event_type": f"payment.{payment.status.value.lower()}",
        "sequence": payment.version,
        "occurred_at": payment.updated_at,
        "correlation_id": payment.correlation_id,
        "payment": describe(payment),
    }


def canonical_json(document: dict[str, Any]) -> str:
    """Return the one JSON text of a document: sorted keys, no spaces, for hashing."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
