"""The audit trail: append-only records, each chained to the one before by SHA-256."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from payments.core.content import Content
from payments.core.payment import Payment, PaymentRequest, PaymentStatus, Transition

KIND: Final = "payment"
"""The kind of a record that tells of a payment's status."""

GENESIS: Final = "0" * 64
"""``previous_hash`` of a payment's first record."""

WITNESSED_FIELDS: Final = ("amount_minor", "currency", "exponent", "content_hash")
"""What every record of a payment says again."""

# Pairs, found by comparison: what was tampered with may be of any type.
_STEPS: Final = (
    (None, PaymentStatus.PENDING.value),
    *((status.value, to.value) for status in PaymentStatus for to in status.successors),
)

type AuditRecord = dict[str, Any]
"""One record as stored: flat, strings and integers only, ``hash`` over all the rest."""


def acceptance_record(request: PaymentRequest, *, actor: str, at: str) -> AuditRecord:
    """Return the first record of a payment: who asked for what, and when."""
    return _sealed(
        {
            "kind": KIND,
            "payment_id": request.payment_id,
            "sequence": 1,
            "at": at,
            "created_at": at,
            "correlation_id": request.correlation_id,
            "actor": actor,
            "request_id": request.correlation_id,
            "to": PaymentStatus.PENDING.value,
            **_witnessed(request.content),
            "source": request.source,
            "previous_hash": GENESIS,
        }
    )


def transition_record(payment: Payment, transition: Transition) -> AuditRecord:
    """Return the record of a change of status, chained to the payment's last record."""
    record: AuditRecord = {
        "kind": KIND,
        "payment_id": payment.payment_id,
        "sequence": payment.version + 1,
        "at": transition.at,
        "created_at": payment.created_at,
        "correlation_id": payment.correlation_id,
        "actor": transition.actor,
        "request_id": transition.request_id,
        "attempt": transition.attempt,
        "from": payment.status.value,
        "to": transition.to.value,
        **_witnessed(payment.content),
        "previous_hash": payment.audit_hash,
    }
    if transition.to.event_type is not None:
        record["event_type"] = transition.to.event_type
    if transition.failure is not None:
        record["failure_code"] = transition.failure.code
        record["failure_message"] = transition.failure.message
    if transition.gateway_reference is not None:
        record["gateway_reference"] = transition.gateway_reference
    return _sealed(record)


def _witnessed(content: Content) -> dict[str, Any]:
    fields = {**content.to_dict(), "content_hash": content.hash}
    return {name: fields[name] for name in WITNESSED_FIELDS}


def record_hash(record: AuditRecord) -> str:
    """Return the SHA-256 over the canonical JSON of a record without its own hash."""
    content = {name: value for name, value in record.items() if name != "hash"}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def chain_faults(payment_id: str, records: Iterable[AuditRecord]) -> list[str]:
    """Check one payment's records, in the order of their sequence, for tampering.

    Whatever a record holds, or lacks, is reported and never raised.

    Returns:
        A sentence per fault: a changed, missing, repeated or foreign record, another amount, or a
        transition that no payment may make. Empty means that the chain is whole.
    """
    faults: list[str] = []
    expected_sequence, previous_hash, status = 1, GENESIS, None
    accepted: AuditRecord | None = None
    for record in records:
        accepted = accepted or record
        sequence = record.get("sequence")
        where = f"{payment_id} record {sequence}"
        if record.get("payment_id") != payment_id:
            faults.append(f"{where}: belongs to {record.get('payment_id')!r}")
        if sequence != expected_sequence:
            faults.append(f"{where}: record {expected_sequence} was expected here")
        if not _is_sealed(record):
            faults.append(f"{where}: its content does not match its hash")
        if record.get("previous_hash") != previous_hash:
            faults.append(f"{where}: is not chained to the record before it")
        step = (record.get("from"), record.get("to"))
        if step[0] != status or step not in _STEPS:
            faults.append(f"{where}: {step[0]!r} → {step[1]!r} after {status!r}")
        faults.extend(
            f"{where}: {name} is not what was accepted"
            for name in WITNESSED_FIELDS
            if record.get(name) != accepted.get(name)
        )
        expected_sequence = (sequence if isinstance(sequence, int) else expected_sequence) + 1
        previous_hash, status = record.get("hash", ""), record.get("to")
    return faults


def canonical_json(document: dict[str, Any]) -> str:
    """Return the one JSON text of a document: sorted keys, no spaces, for hashing."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _sealed(record: AuditRecord) -> AuditRecord:
    return {**record, "hash": record_hash(record)}


def _is_sealed(record: AuditRecord) -> bool:
    try:
        return bool(record.get("hash") == record_hash(record))
    except TypeError:
        # JSON has no such value, so none of ours holds it.
        return False
