"""The audit trail: append-only records, each chained to the one before by SHA-256."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from payments.core.amounts import Amounts
from payments.core.content import Content
from payments.core.operation import (
    STEPS,
    Operation,
    OperationChange,
    OperationKind,
    OperationStatus,
)
from payments.core.payment import Payment, PaymentRequest, PaymentStatus, Transition
from payments.core.postings import postings_of
from payments.core.review import Decision, Person, Review

KIND: Final = "payment"
"""The kind of a record that tells of a payment's status.

Records of operations have the operation's kind. Code that reads records must accept kinds that it
does not know, and say so: a later release may write new ones.
"""

REVIEW: Final = "review"
"""The kind of a record that tells of a decision about a payment in review."""

KINDS: Final = (KIND, REVIEW, *(kind.value for kind in OperationKind))
"""The kinds that this release knows."""

GENESIS: Final = "0" * 64
"""``previous_hash`` of a payment's first record."""

WITNESSED_FIELDS: Final = ("amount_minor", "currency", "exponent", "content_hash")
"""The fields that every record of a payment repeats."""

# A tuple and no set: a tampered value may be of any type, and not every type has a hash.
_STEPS: Final = (
    (None, PaymentStatus.PENDING.value),
    *((status.value, to.value) for status in PaymentStatus for to in status.successors),
)

_COMPLETION: Final = (PaymentStatus.PROCESSING.value, PaymentStatus.COMPLETED.value)
"""The step of a payment that is charged whole."""

_WITNESSED_BY_OPERATIONS: Final = ("amount_minor", "currency", "exponent")
"""The fields that records of operations repeat; the rest is in the records before."""

type AuditRecord = dict[str, Any]
"""One record as stored: strings, integers and ``postings``, ``hash`` over all the rest.

``postings`` is empty where no money moves. A record without it was written before there were
postings.
"""


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
            **request.content.options,
            "source": request.source,
            **submission(request.submitter),
            **({"review": Review.REQUIRED.value} if request.needs_review else {}),
            "postings": [],
            "previous_hash": GENESIS,
        }
    )


def submission(submitter: Person | None) -> dict[str, str]:
    """Return who submitted a payment or an operation, as it is stored and told in its first record."""
    if submitter is None:
        return {}
    return {"submitter_id": submitter.id, "submitter_name": submitter.name}


def review_record(payment: Payment, decision: Decision) -> AuditRecord:
    """Return the record of a decision about a payment in review: who, when and why."""
    return _sealed(
        {
            "kind": REVIEW,
            "payment_id": payment.payment_id,
            "sequence": payment.version + 1,
            "at": decision.at,
            "created_at": payment.created_at,
            "correlation_id": payment.correlation_id,
            "actor": "api",
            "request_id": decision.request_id,
            "to": decision.review.value,
            **_decided(decision),
            **_witnessed(payment.content),
            "postings": [],
            "previous_hash": payment.audit_hash,
        }
    )


def _decided(decision: Decision) -> dict[str, str]:
    """Return what a record tells of a decision: who, and why."""
    return {
        "reviewer_id": decision.by.id,
        "reviewer_name": decision.by.name,
        "note": decision.note,
    }


def transition_record(payment: Payment, transition: Transition) -> AuditRecord:
    """Return the record of a change of status, chained to the payment's last record.

    Raises:
        ValueError: no payment goes from its status to that one.
    """
    if transition.to not in payment.status.successors:
        raise ValueError(f"{payment.status} does not lead to {transition.to}")
    record = {
        **_next(payment, transition),
        "kind": KIND,
        "created_at": payment.created_at,
        "correlation_id": payment.correlation_id,
        "from": payment.status.value,
        **_witnessed(payment.content),
        "postings": _postings(
            KIND, payment.status.value, transition.to.value, payment.amount_minor
        ),
    }
    if transition.gateway_reference == payment.gateway_reference:
        # An earlier record tells of it.
        record.pop("gateway_reference", None)
    if transition.to.event_type is not None:
        record["event_type"] = transition.to.event_type
    if transition.capture_before is not None:
        record["capture_before"] = transition.capture_before
    if transition.processor is not None:
        told = asdict(transition.processor)
        record |= {f"processor_{name}": value for name, value in told.items() if value}
    return _sealed(record)


def operation_record(
    payment: Payment,
    operation: Operation,
    change: OperationChange,
    *,
    before: OperationStatus | None,
) -> AuditRecord:
    """Return the record of a step of an operation, chained to the payment's last record.

    ``from`` and ``to`` are the operation's statuses, ``operation_minor`` is its amount, and
    ``created_at`` when it was requested. Its first record tells all that was asked for.

    Args:
        payment: as it was before.
        operation: as it is after the step.
        change: what brought it there.
        before: the status that it had, ``None`` if the record is its first.
    """
    record = {
        **_next(payment, change),
        "kind": operation.kind.value,
        "created_at": operation.requested_at,
        "correlation_id": operation.correlation_id,
        "operation_id": operation.operation_id,
        "operation_minor": operation.amount_minor,
        **{name: payment.content.to_dict()[name] for name in _WITNESSED_BY_OPERATIONS},
        "postings": _postings(
            operation.kind.value,
            None if before is None else before.value,
            change.to.value,
            operation.amount_minor,
        ),
    }
    if operation.rest_minor:
        record["rest_minor"] = operation.rest_minor
    if before is not None:
        record["from"] = before.value
    else:
        record["request_hash"] = operation.request_hash
        record["source"] = operation.source
        record["final"] = int(operation.final)
        if operation.reason is not None:
            record["reason"] = operation.reason
        record |= submission(operation.submitter)
    if change.decision is not None:
        record |= _decided(change.decision)
    if change.to is not OperationStatus.PENDING and operation.kind is not OperationKind.CANCEL:
        record["event_type"] = f"{operation.kind}.{change.to.lower()}"
    return _sealed(record)


def _next(payment: Payment, change: Transition | OperationChange) -> AuditRecord:
    """Return what every record after the first says of a change."""
    record: AuditRecord = {
        "payment_id": payment.payment_id,
        "sequence": payment.version + 1,
        "at": change.at,
        "actor": change.actor,
        "request_id": change.request_id,
        "attempt": change.attempt,
        "to": change.to.value,
        "previous_hash": payment.audit_hash,
    }
    if change.failure is not None:
        record["failure_code"] = change.failure.code
        record["failure_message"] = change.failure.message
    if change.gateway_reference is not None:
        record["gateway_reference"] = change.gateway_reference
    return record


def _witnessed(content: Content) -> dict[str, Any]:
    fields = {**content.to_dict(), "content_hash": content.hash}
    return {name: fields[name] for name in WITNESSED_FIELDS}


def _postings(kind: str, before: str | None, to: str, amount_minor: int) -> list[dict[str, Any]]:
    return [posting.to_dict() for posting in postings_of(kind, before, to, amount_minor)]


def _expected_postings(record: AuditRecord) -> list[dict[str, Any]]:
    """Return what a record must post that makes a step which it may make."""
    kind = record["kind"]
    if kind == REVIEW:
        return []
    amount = record.get("amount_minor" if kind == KIND else "operation_minor", 0)
    return _postings(kind, record.get("from"), record["to"], amount)


def record_hash(record: AuditRecord) -> str:
    """Return the SHA-256 over the canonical JSON of a record without its own hash."""
    content = {name: value for name, value in record.items() if name != "hash"}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def chain_faults(payment_id: str, records: Iterable[AuditRecord]) -> list[str]:
    """Check one payment's records, in the order of their sequence, for tampering.

    Whatever a record holds or lacks is reported and never raised. Of a record whose kind this
    release does not know, only the place in the chain is checked.

    Returns:
        A sentence per fault: a changed, missing, repeated or foreign record, another amount, a
        step that no payment and no operation may make, or other postings than it makes. Empty means
        that the chain is whole.
    """
    faults: list[str] = []
    expected_sequence, previous_hash = 1, GENESIS
    accepted: AuditRecord | None = None
    life = Life()
    has_postings = False
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
        fault = life.fault_of(record)
        if fault is not None:
            faults.append(f"{where}: {fault}")
        faults.extend(
            f"{where}: {name} is not what was accepted"
            for name in WITNESSED_FIELDS
            if (name in record or record.get("kind") == KIND)
            and record.get(name) != accepted.get(name)
        )
        has_postings = has_postings or "postings" in record
        if has_postings and fault is None and record["kind"] in KINDS:
            expected = _expected_postings(record)
            if record.get("postings") != expected:
                faults.append(f"{where}: posts {record.get('postings')!r}, not {expected}")
        expected_sequence = (sequence if isinstance(sequence, int) else expected_sequence) + 1
        previous_hash = record.get("hash", "")
    return faults


class Life:
    """Follows a payment and its operations through their records.

    ``amounts`` is where the payment stands after the records so far, ``operations`` the status of
    each operation by kind and id.
    """

    def __init__(self) -> None:
        self.amounts = Amounts()
        self.operations: dict[tuple[str, str], str] = {}
        self._status: object = None
        self._submitter: object = None
        self._review: object = None
        self._askers: dict[tuple[str, str], Person | None] = {}

    def fault_of(self, record: AuditRecord) -> str | None:
        """Follow one record; return what no payment and no operation may do, if it tells of that."""
        kind = record.get("kind")
        try:
            if kind == KIND:
                return self._transition(record)
            if kind == REVIEW:
                return self._decision(record)
            if kind in KINDS:
                return self._operation(OperationKind(kind), record)
        except (LookupError, TypeError, ValueError) as fault:
            return f"cannot be followed: {fault}"
        return None if isinstance(kind, str) else f"its kind is {kind!r}"

    def _transition(self, record: AuditRecord) -> str | None:
        step, before = (record.get("from"), record.get("to")), self._status
        self._status = step[1]
        if before is None:
            self._submitter, self._review = _person(record, "submitter"), record.get("review")
        if self._is_charged_without_decision(step):
            return f"{step[0]!r} → {step[1]!r} without a decision"
        if step[0] != before or step not in _STEPS:
            return f"{step[0]!r} → {step[1]!r} after {before!r}"
        if step == _COMPLETION:
            self.amounts = Amounts.charged(record["amount_minor"])
        elif step[1] == PaymentStatus.AUTHORIZED.value:
            self.amounts = Amounts.held(record["amount_minor"])
        return None

    def _is_charged_without_decision(self, step: Any) -> bool:
        begins = step[1] == PaymentStatus.PROCESSING.value
        return begins and self._review not in {None, Review.APPROVED.value}

    def _decision(self, record: AuditRecord) -> str | None:
        decided, before = record.get("to"), self._review
        self._review = decided
        if before != Review.REQUIRED.value or self._status != PaymentStatus.IN_REVIEW.value:
            return f"a decision {decided!r} in {self._status!r} after {before!r}"
        if decided not in {Review.APPROVED.value, Review.REJECTED.value}:
            return f"{decided!r} is no decision"
        reviewer, submitter = _person(record, "reviewer"), self._submitter
        if isinstance(submitter, Person) and (reviewer is None or reviewer.is_same_as(submitter)):
            return "who submitted the payment has decided about it"
        return None

    def _operation(self, kind: OperationKind, record: AuditRecord) -> str | None:
        name = (kind.value, record["operation_id"])
        step: Any = (record.get("from"), record.get("to"))
        before = self.operations.get(name)
        self.operations[name] = record["to"]
        if before is None:
            self._askers[name] = _person(record, "submitter")
        move = STEPS[kind].get(step)
        if step[0] != before or move is None:
            return f"{kind} {name[1]!r}: {step[0]!r} → {step[1]!r} after {before!r}"
        self.amounts = move(self.amounts, record["operation_minor"], record.get("rest_minor", 0))
        if before == OperationStatus.IN_REVIEW.value:
            return self._operation_decision(name, record)
        return None

    def _operation_decision(self, name: tuple[str, str], record: AuditRecord) -> str | None:
        reviewer, asker = _person(record, "reviewer"), self._askers[name]
        # Nobody decides about what ends because nobody has decided.
        if reviewer is None:
            is_passed = record["to"] == OperationStatus.PENDING.value
            return f"{name[0]} {name[1]!r}: passed without a decision" if is_passed else None
        if asker is not None and reviewer.is_same_as(asker):
            return f"{name[0]} {name[1]!r}: who asked for it has decided about it"
        return None


def _person(record: AuditRecord, role: str) -> Person | None:
    if f"{role}_id" not in record:
        return None
    return Person(record[f"{role}_id"], record[f"{role}_name"])


def is_unposted(record: AuditRecord) -> bool:
    """Say whether a record tells of money that moved and was written before there were postings."""
    is_completed = (record.get("from"), record.get("to")) == _COMPLETION
    return "postings" not in record and record.get("kind") == KIND and is_completed


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
