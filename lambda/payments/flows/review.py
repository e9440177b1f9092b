"""Deciding about payments in review: the table decides, a message wakes, the sweep wakes again."""

from collections.abc import Callable

from payments.core.clock import utc_now
from payments.core.faults import PaymentNotFound, ServiceUnavailable, StaleTransition
from payments.core.payment import Payment, PaymentStatus
from payments.core.review import Decision, NotInReview, Person, Review, ReviewDecided
from payments.flows.ports import Queue, Store

_ATTEMPTS = 8


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
