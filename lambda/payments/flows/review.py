"""Deciding about what is in review: the table decides, a message wakes, the sweep wakes again."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from payments.core.clock import utc_now
from payments.core.faults import (
    OperationNotFound,
    PaymentNotFound,
    ServiceUnavailable,
    StaleOperation,
    StaleTransition,
)
from payments.core.operation import (
    Operation,
    OperationChange,
    OperationKind,
    OperationRef,
    OperationStatus,
    OperationStep,
)
from payments.core.payment import Failure, Payment, PaymentStatus
from payments.core.review import (
    Decision,
    NotInReview,
    Person,
    RefundNotInReview,
    Review,
    ReviewDecided,
)
from payments.flows.ports import (
    Lists,
    OperationQueue,
    Operations,
    OperationTally,
    Queue,
    Store,
    no_tally,
)

_ATTEMPTS = 8

REFUND_REJECTED: Final = Failure("review_rejected", "A second person has rejected the refund.")


class Reviews:
    """Takes decisions about payments that wait for a second person."""

    def __init__(self, store: Store, queue: Queue, clock: Callable[[], str] = utc_now) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    def decide(
        self, payment_id: str, review: Review, *, note: str, by: Person, request_id: str
    ) -> tuple[Payment, bool]:
        """Approve or reject a payment, and let it go on to its charge or its failure.

        Returns:
            The payment, and whether this decision is new: the same one again is answered as it is.

        Raises:
            PaymentNotFound: there is none with this id.
            NotInReview: it waits for no decision.
            OwnPayment: it was submitted by the same person.
            ReviewDecided: there is another decision.
            ServiceUnavailable: the decision may not have been made; send it again.
        """
        for _ in range(_ATTEMPTS):
            payment = self._store.get(payment_id)
            if payment is None:
                raise PaymentNotFound(payment_id)
            if payment.review is not None and payment.review.is_decided:
                if (payment.review, payment.reviewer_id) != (review, by.id):
                    raise ReviewDecided(payment_id)
                self._wake(payment)
                return payment, False
            if payment.status is not PaymentStatus.IN_REVIEW:
                raise NotInReview(payment_id)
            decision = Decision(review, by, note, self._clock(), request_id)
            try:
                decided = self._store.decide(payment, decision)
            except StaleTransition:
                continue
            self._wake(decided)
            return decided, True
        raise ServiceUnavailable("the payment is being written by too many")

    def _wake(self, payment: Payment) -> None:
        if payment.status is PaymentStatus.IN_REVIEW:
            self._queue.send(payment)


class RefundReviews:
    """Takes decisions about refunds that wait for a second person."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        queue: OperationQueue,
        clock: Callable[[], str] = utc_now,
        tally: OperationTally = no_tally,
    ) -> None:
        self._store = store
        self._operations = operations
        self._queue = queue
        self._clock = clock
        self._tally = tally

    def decide(
        self,
        payment_id: str,
        refund_id: str,
        review: Review,
        *,
        note: str,
        by: Person,
        request_id: str,
    ) -> tuple[Operation, Payment, bool]:
        """Approve or reject a refund: it goes to the processor, or fails and gives back its amount.

        Returns:
            The refund and its payment, and whether this decision is new, as for a
            payment.

        Raises:
            PaymentNotFound, OperationNotFound: there is none with this id.
            RefundNotInReview: it waits for no decision.
            OwnRefund: it was asked for by the same person.
            ReviewDecided: there is another decision.
            ServiceUnavailable: the decision may not have been made; send it again.
        """
        for _ in range(_ATTEMPTS):
            payment = self._store.get(payment_id)
            if payment is None:
                raise PaymentNotFound(payment_id)
            refund = self._operations.get(payment_id, OperationKind.REFUND, refund_id)
            if refund is None:
                raise OperationNotFound(refund_id)
            if refund.review is not None and refund.review.is_decided:
                if (refund.review, refund.reviewer_id) != (review, by.id):
                    raise ReviewDecided(refund_id)
                self._wake(refund, tries=1)
                return refund, payment, False
            if refund.status is not OperationStatus.IN_REVIEW:
                raise RefundNotInReview(refund_id)
            step = _decided(refund, Decision(review, by, note, self._clock(), request_id))
            try:
                moved = self._operations.commit(payment, [step])
            except (StaleOperation, StaleTransition):
                continue
            self._tally(step.after, moved)
            self._wake(step.after, tries=0)
            return step.after, moved, True
        raise ServiceUnavailable("the payment is being written by too many")

    def _wake(self, refund: Operation, *, tries: int) -> None:
        if refund.status.is_open:
            self._queue.send_operation(refund, tries=tries)


def _decided(refund: Operation, decision: Decision) -> OperationStep:
    is_approved = decision.review is Review.APPROVED
    change = OperationChange(
        to=OperationStatus.PENDING if is_approved else OperationStatus.FAILED,
        at=decision.at,
        actor="api",
        request_id=decision.request_id,
        failure=None if is_approved else REFUND_REJECTED,
        decision=decision,
    )
    return OperationStep(refund, refund.after(change), change)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A payment that waits for a decision, or a refund of one."""

    payment: Payment
    refund: Operation | None = None

    @property
    def since(self) -> str:
        """When it was accepted."""
        return self.payment.created_at if self.refund is None else self.refund.requested_at

    @property
    def submitter(self) -> Person | None:
        """Who must not decide about it, if that is known."""
        return self.payment.submitter if self.refund is None else self.refund.submitter


MOST_WAITING: Final = 100
"""How many of those that wait are told."""

_MOST_ENTRIES: Final = 16 * 100
"""As many entries as the first page of every partition has, whose oldest are the oldest of all."""


class WaitingList:
    """What waits for a second person."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        lists: Lists,
        clock: Callable[[], str] = utc_now,
    ) -> None:
        self._store = store
        self._operations = operations
        self._lists = lists
        self._clock = clock

    def oldest(self) -> tuple[list[Waiting], bool]:
        """Return what waits for a decision, the oldest first, and whether there is more.

        Raises:
            ServiceUnavailable: try again.
        """
        now = self._clock()
        payments = ((each.accepted_at, each.payment_id, None) for each in self._store.reviews(now))
        refunds = ((at, which.payment_id, which) for at, which in self._operations.reviews(now))
        entries = heapq.nsmallest(
            MOST_WAITING + 1,
            [*islice(payments, _MOST_ENTRIES), *islice(refunds, _MOST_ENTRIES)],
            key=lambda entry: entry[:2],
        )
        told = entries[:MOST_WAITING]
        waiting = self._as_they_stand(told)
        return sorted(waiting, key=lambda each: each.since), len(entries) > len(told)

    def _as_they_stand(self, entries: list[tuple[str, str, OperationRef | None]]) -> list[Waiting]:
        """Return what still waits: the indexes lag behind the tables, which know best."""
        ids = list(dict.fromkeys(payment_id for _, payment_id, _ in entries))
        payments = {each.payment_id: each for each in self._lists.payments(ids)}
        refunds = self._operations.read([which for _, _, which in entries if which is not None])
        return [
            *(
                Waiting(payments[payment_id])
                for _, payment_id, which in entries
                if which is None and payments[payment_id].waits_for_decision
            ),
            *(
                Waiting(payments[refund.payment_id], refund)
                for refund in refunds
                if refund.status is OperationStatus.IN_REVIEW
            ),
        ]
