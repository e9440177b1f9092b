"""The audit trail: append-only records, each chained to the one before by SHA-256."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from payments.models import (
    SUCCESSORS,
    Payment,
    PaymentRequest,
    PaymentStatus,
    Transition,
    canonical_json,
)

GENESIS: Final = "0" * 64
"""``previous_hash`` of a payment's first record."""

type AuditRecord = dict[str, Any]
"""One record as stored: flat, strings and integers only, ``hash`` over all the rest."""


def acceptance_record(request: PaymentRequest, *, actor: str, at: str) -> AuditRecord:
    """Return the first record of a payment: who asked for what, and when."""
    return _sealed(
        {
            "payment_id": request.payment_id,
            "sequence": 1,
            "at": at,
            "actor": actor,
            "request_id": request.correlation_id,
            "to": PaymentStatus.PENDING.value,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "content_hash": request.content_hash,
            "source": request.source,
            "previous_hash": GENESIS,
        }
    )


def transition_record(payment: Payment, transition: Transition) -> AuditRecord:
    """Return the record of a change of status, chained to the payment's last record."""
    record: AuditRecord = {
        "payment_id": payment.payment_id,
        "sequence": payment.version + 1,
        "at": transition.at,
        "actor": transition.actor,
        "request_id": transition.request_id,
        "attempt": transition.attempt,
        "from": payment.status.value,
        "to": transition.to.value,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "content_hash": payment.content_hash,
        "previous_hash": payment.audit_hash,
    }
    if transition.failure is not None:
        record["failure_code"] = transition.failure.code
        record["failure_message"] = transition.failure.message
    if transition.gateway_reference is not None:
        record["gateway_reference"] = transition.gateway_reference
    return _sealed(record)


def record_hash(record: AuditRecord) -> str:
    """Return the SHA-256 over the canonical JSON of a record without its own hash."""
    content = {name: value for name, value in record.items() if name != "hash"}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def chain_faults(payment_id: str, records: Iterable[AuditRecord]) -> list[str]:
    """Check one payment's records, in the order of their sequence, for tampering.

    Returns:
        A sentence per fault: a changed, missing, repeated or foreign record, or a transition that
        no payment may make. Empty means that the chain is whole.
    """
    faults: list[str] = []
    expected_sequence, previous_hash, status = 1, GENESIS, None
    for record in records:
        sequence = record.get("sequence")
        where = f"{payment_id} record {sequence}"
        if record.get("payment_id") != payment_id:
            faults.append(f"{where}: belongs to {record.get('payment_id')!r}")
        if sequence != expected_sequence:
            faults.append(f"{where}: record {expected_sequence} was expected here")
        if record.get("hash") != record_hash(record):
            faults.append(f"{where}: its content does not match its hash")
        if record.get("previous_hash") != previous_hash:
            faults.append(f"{where}: is not chained to the record before it")
        if record.get("from") != status or not _may_follow(status, record.get("to")):
            faults.append(f"{where}: {record.get('from')} → {record.get('to')} after {status}")
        expected_sequence = (sequence if isinstance(sequence, int) else expected_sequence) + 1
        previous_hash, status = record.get("hash", ""), record.get("to")
    return faults


def _sealed(record: AuditRecord) -> AuditRecord:
    return {**record, "hash": record_hash(record)}


def _may_follow(status: str | None, successor: Any) -> bool:
    if status is None:
        return bool(successor == PaymentStatus.PENDING)
    return successor in SUCCESSORS.get(PaymentStatus(status), frozenset())
