"""A payment that moves, with its operations and records, without any store."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from payments.core.audit import (
    AuditRecord,
    acceptance_record,
    chain_faults,
    operation_record,
    review_record,
    transition_record,
)
from payments.core.operation import (
    Operation,
    OperationChange,
    OperationKind,
    OperationRequest,
    OperationStatus,
)
from payments.core.payment import Payment, PaymentRequest, PaymentStatus, Transition
from payments.core.review import Decision, Person, Review
from tests.unit.cloud import AT, payment_request

REFUND = OperationRequest(
    kind=OperationKind.REFUND,
    payment_id="pay_1",
    operation_id="r1",
    source="api",
    correlation_id="request-2",
    amount_minor=100,
)


class Trail:
    """A payment of 99.99 USD that moves, and the records of what happened to it."""

    def __init__(
        self,
        *statuses: PaymentStatus,
        request: PaymentRequest = payment_request(),  # noqa: B008 - frozen
        actor: str = "test",
        request_id: str = "request",
    ) -> None:
        first = acceptance_record(request, actor="api", at=AT)
        self._by: dict[str, Any] = {"actor": actor, "request_id": request_id}
        self.records: list[AuditRecord] = [first]
        self.operations: dict[str, Operation] = {}
        self.payment = Payment(
            content=request.content,
            status=PaymentStatus.PENDING,
            version=1,
            content_hash=request.content.hash,
            source=request.source,
            correlation_id=request.correlation_id,
            created_at=AT,
            updated_at=AT,
            audit_hash=first["hash"],
            submitter=request.submitter,
            review=Review.REQUIRED if request.needs_review else None,
        )
        for status in statuses:
            self.move(status)

    def by(self, *, actor: str) -> None:
        """Let somebody else do what follows."""
        self._by["actor"] = actor

    def move(self, to: PaymentStatus, **told: Any) -> None:
        """Move the payment to a status; ``told`` is what else the transition says."""
        change = Transition(to=to, at=AT, **self._by, **told)
        record = transition_record(self.payment, change)
        self.records.append(record)
        self.payment = self.payment.after(change, record["hash"])

    def decide(self, review: Review, by: Person, note: str = "as agreed") -> None:
        """Let somebody decide about the payment, which is in review."""
        decision = Decision(review, by, note, AT, "request-3")
        record = review_record(self.payment, decision)
        self.records.append(record)
        self.payment = self.payment.reviewed(decision, record["hash"])

    def step(
        self,
        operation: Operation,
        to: OperationStatus,
        *,
        before: OperationStatus | None,
        **told: Any,
    ) -> Operation:
        """Take an operation one step further; ``told`` is what else the change says."""
        change = OperationChange(to=to, at=AT, **self._by, **told)
        moved = replace(operation, status=to) if before is None else operation.after(change)
        amounts = moved.moves(self.payment.amounts, before)
        record = operation_record(self.payment, moved, change, before=before)
        self.records.append(record)
        self.operations[moved.name] = moved
        self.payment = replace(
            self.payment,
            amounts=amounts,
            version=self.payment.version + 1,
            audit_hash=record["hash"],
        )
        return moved

    def refund(
        self, operation_id: str, amount: int, *statuses: OperationStatus, source: str = "api"
    ) -> None:
        """Request a refund of an amount, and take it through these statuses."""
        request = replace(self._request(OperationKind.REFUND, operation_id), source=source)
        self._operate(
            Operation.requested(request, amount_minor=amount, rest_minor=0, at=AT), statuses
        )

    def capture(self, operation_id: str, amount: int, *statuses: OperationStatus) -> None:
        """Request the final capture of an amount, and take it through these statuses."""
        request = self._request(OperationKind.CAPTURE, operation_id)
        rest = self.payment.amounts.capturable - amount
        self._operate(
            Operation.requested(request, amount_minor=amount, rest_minor=rest, at=AT), statuses
        )

    def cancel(self, *statuses: OperationStatus) -> None:
        """Request the cancellation, and take it through these statuses."""
        request = self._request(OperationKind.CANCEL, "cancel")
        held = self.payment.amounts.capturable
        self._operate(
            Operation.requested(request, amount_minor=held, rest_minor=0, at=AT), statuses
        )

    def _request(self, kind: OperationKind, operation_id: str) -> OperationRequest:
        payment_id = self.payment.payment_id
        return replace(REFUND, kind=kind, payment_id=payment_id, operation_id=operation_id)

    def _operate(self, operation: Operation, statuses: Iterable[OperationStatus]) -> None:
        operation = self.step(operation, OperationStatus.PENDING, before=None)
        for status in statuses:
            operation = self.step(operation, status, before=operation.status)

    @property
    def faults(self) -> list[str]:
        """What is wrong with the records."""
        return chain_faults(self.payment.payment_id, self.records)


def completed() -> Trail:
    """Return the trail of a payment that was charged whole."""
    return Trail(PaymentStatus.PROCESSING, PaymentStatus.COMPLETED)


def authorized() -> Trail:
    """Return the trail of a payment that is authorised and not captured yet."""
    return Trail(PaymentStatus.PROCESSING, PaymentStatus.AUTHORIZED)
