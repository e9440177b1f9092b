"""Accepting payments: once, durably, and never with two meanings."""

from collections.abc import Callable
from dataclasses import replace

from payments.core.clock import utc_now
from payments.core.faults import PaymentConflict, PaymentNotFound
from payments.core.fields import ProcessorNeeds
from payments.core.payment import (
    HistoryEntry,
    Payment,
    PaymentRequest,
    PaymentStatus,
)
from payments.core.review import NO_REVIEW, ReviewLimits
from payments.flows.ports import Queue, Store, Tally, no_tally


class PaymentIntake:
    """Accepts payments over HTTP and answers for them."""

    def __init__(
        self,
        store: Store,
        queue: Queue,
        clock: Callable[[], str] = utc_now,
        tally: Tally = no_tally,
        limits: ReviewLimits = NO_REVIEW,
        needs: ProcessorNeeds | None = None,
    ) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock
        self._tally = tally
        self._limits = limits
        self.needs = needs
        """What the processor needs of every payment."""

    def submit(self, request: PaymentRequest) -> tuple[Payment, bool]:
        """Accept a payment, or recognise one that was accepted before.

        Returns:
            The payment as it stands, durable in the queue unless already under way, and whether
            this request is the one that created it.

        Raises:
            PaymentConflict: its id is taken by other content.
            ServiceUnavailable: nothing is promised; the same request may be sent again.
        """
        payment, created = self._store.create(self._judged(request), actor="api", at=self._clock())
        if payment.content_hash != request.content.hash:
            raise PaymentConflict(payment)
        if created:
            self._tally(payment)
        # Also a replay sends while PENDING: the send of the first request may have failed.
        if payment.status is PaymentStatus.PENDING:
            self._queue.send(payment)
        return payment, created

    def _judged(self, request: PaymentRequest) -> PaymentRequest:
        """Decide once and for all whether a second person must look at the payment."""
        return replace(request, needs_review=self._limits.need(request.content))

    def look_up(self, payment_id: str) -> tuple[Payment, list[HistoryEntry]]:
        """Return a payment and every status it has had.

        Raises:
            PaymentNotFound: there is none with this id.
        """
        payment = self._store.get(payment_id)
        if payment is None:
            raise PaymentNotFound(payment_id)
        # A transition between the two reads must not show a history ahead of the payment.
        history = self._store.history(payment_id)
        return payment, [entry for entry in history if entry.sequence <= payment.version]
