"""Finding what is stuck, refunds that may have come back, and reviews that nobody decided."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from payments.core.clock import utc_now, utc_text
from payments.core.faults import NotCancelable, PaymentNotFound, StaleOperation, StaleTransition
from payments.core.operation import (
    Operation,
    OperationChange,
    OperationKind,
    OperationRef,
    OperationStatus,
    OperationStep,
    look_again_at,
)
from payments.core.payment import API, Failure, OpenPayment, Payment, PaymentStatus, Transition
from payments.core.review import ENDS_AFTER, LATE_AFTER
from payments.flows.charge import Witness
from payments.flows.delivery import LONGEST_DELAY_SECONDS
from payments.flows.operations import OperationIntake
from payments.flows.ports import (
    Line,
    MeasuredQueue,
    OperationQueue,
    Operations,
    OperationTally,
    Store,
    Tally,
    no_tally,
)

STUCK_AFTER: Final = timedelta(minutes=15)
"""A payment that is still open so long after it was accepted is stuck."""


@dataclass(slots=True)
class Found:
    """What a look at open payments found.

    Attributes:
        stuck: payments that nothing moved on for too long.
        unreadable: ids of payments that could not be read, with why.
        ended_at: where in each shard the look ended, the one longest ago first.
        at: when it was.
    """

    at: str
    stuck: list[Payment] = field(default_factory=list)
    unreadable: dict[str, Exception] = field(default_factory=dict)
    ended_at: dict[int, OpenPayment] = field(default_factory=dict)


class PaymentSweep:
    """Finds payments that are stuck, and puts them back on their queue."""

    def __init__(
        self,
        store: Store,
        queue: MeasuredQueue,
        clock: Callable[[], str] = utc_now,
        tally: Tally = no_tally,
        *,
        line: Line | None = None,
    ) -> None:
        """Look at the store; ``line`` is before a processor that takes only so many a second."""
        self._store = store
        self._queue = queue
        self._clock = clock
        self._line = line
        self._tally = tally

    def look(self, *, has_time: Callable[[], bool]) -> Found:
        """Look at what was accepted 15 minutes ago or earlier and is still open.

        Where the processor takes only so many payments a second, what waits its turn is not stuck:
        what is behind those whose turn it is, and the time that the rest of the queue takes is added.

        Each look begins where the last one that was remembered ended, so that what stays stuck
        cannot hide what a retry would finish. A payment that cannot be read does not stop the look.

        Args:
            has_time: asked before each payment; once it says no, the rest is for the next look.

        Raises:
            ServiceUnavailable: the index could not be read; the next sweep looks again.
        """
        now = self._clock()
        by_api, by_row = self._latest(datetime.fromisoformat(now))
        found, seen = Found(now, ended_at=dict(self._store.last_look())), set[str]()
        for entry in self._store.open_payments(max(by_api, by_row), dict(found.ended_at)):
            if not has_time():
                break
            # Taken out and put in again: the shard looked at longest ago stays the first.
            found.ended_at.pop(entry.shard, None)
            found.ended_at[entry.shard] = entry
            # Where the last look ended among payments of one time, the index tells some twice.
            if entry.payment_id in seen:
                continue
            seen.add(entry.payment_id)
            try:
                payment = self._store.get(entry.payment_id)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others count
                found.unreadable[entry.payment_id] = error
                continue
            # The index lags behind the table.
            if payment is None or not payment.is_open:
                continue
            if payment.created_at <= (by_api if payment.source == API else by_row):
                found.stuck.append(payment)
        return found

    def _latest(self, now: datetime) -> tuple[str, str]:
        """Return when a payment by API was accepted at the latest that may be stuck, and a row."""
        latest = now - STUCK_AFTER
        if self._line is None:
            return utc_text(latest), utc_text(latest)
        by_api, by_row = (
            timedelta(
                seconds=backlog.waiting / self._line.per_second
                + (LONGEST_DELAY_SECONDS if backlog.delayed else 0)
            )
            for backlog in self._queue.backlogs()
        )
        # A row is accepted when its turn has come, a payment by API when it is put in line.
        waited = now - min(now, self._line.front() or now)
        return utc_text(latest - waited - by_api), utc_text(latest - by_row)

    def put_back_by_id(self, payment_id: str) -> int:
        """Send one payment to its queue again, if it is still open; return whether it was.

        Raises:
            ServiceUnavailable: try again.
        """
        payment = self._store.get(payment_id)
        if payment is None or not payment.is_open:
            return 0
        return self._queue.send_payments([payment])

    def put_back(self, found: Found) -> int:
        """Send stuck payments to their queue again, whatever they wait for: one id is one payment.

        Where the look ended is remembered last: what could not be sent is looked at again.

        Raises:
            ServiceUnavailable: not all were sent; the next sweep sends them again.
        """
        sent = self._queue.send_payments(found.stuck)
        self._store.remember_look(found.ended_at, at=found.at)
        return sent

    def end_reviews(self, witness: Witness, *, has_time: Callable[[], bool]) -> int:
        """End the reviews that nobody decided within 72 hours: their payments fail.

        Returns:
            How many payments wait for a decision for more than four hours.

        Raises:
            ServiceUnavailable: the next sweep looks again.
        """
        now = datetime.fromisoformat(self._clock())
        expired, late = utc_text(now - ENDS_AFTER), 0
        for entry in self._store.reviews(utc_text(now - LATE_AFTER)):
            if not has_time():
                break
            payment = self._store.get(entry.payment_id)
            # The index lags behind the table.
            if payment is None or payment.status is not PaymentStatus.IN_REVIEW or payment.is_open:
                continue
            if entry.accepted_at > expired:
                late += 1
                continue
            transition = Transition(
                to=PaymentStatus.FAILED,
                at=self._clock(),
                actor=witness.actor,
                request_id=witness.request_id,
                attempt=witness.attempt,
                failure=REVIEW_EXPIRED,
            )
            # Stale: somebody has decided in the last moment, and that stands.
            with suppress(StaleTransition):
                self._tally(self._store.transition(payment, transition))
        return late


REVIEW_EXPIRED: Final = Failure(
    "review_expired", "Nobody has decided about the payment within 72 hours."
)


class OperationSweep:
    """Puts operations on their queue again: those that are stuck, and refunds to be looked at."""

    def __init__(
        self, operations: Operations, queue: OperationQueue, clock: Callable[[], str] = utc_now
    ) -> None:
        self._operations = operations
        self._queue = queue
        self._clock = clock

    def look(self, *, has_time: Callable[[], bool]) -> list[Operation]:
        """Put on their queue what is due; each gets a later time, so that none hides the others.

        Args:
            has_time: asked before each operation; once it says no, the rest is for the next look.

        Returns:
            Those that are stuck: still open 15 minutes after they were requested or looked at.

        Raises:
            ServiceUnavailable: the next sweep looks again.
        """
        now = self._clock()
        stuck: list[Operation] = []
        for which in self._operations.due(now):
            if not has_time():
                break
            operation = self._operations.get(*which)
            # The index lags behind the table.
            if operation is None or operation.due_at is None or operation.due_at > now:
                continue
            if operation.status.is_open:
                stuck.append(operation)
            self._queue.send_operation(operation, tries=1)
            due_at = look_again_at(operation.kind, operation.status, operation.updated_at, now)
            self._operations.look_again(operation, due_at)
        return stuck

    def put_back(self, which: OperationRef) -> int:
        """Send one operation to its queue again, if it is still open; return whether it was.

        Raises:
            ServiceUnavailable: try again.
        """
        operation = self._operations.get(*which)
        if operation is None or not operation.status.is_open:
            return 0
        self._queue.send_operation(operation, tries=1)
        return 1


class RefundReviewSweep:
    """Ends reviews of refunds that nobody decided."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        clock: Callable[[], str] = utc_now,
        tally: OperationTally = no_tally,
    ) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock
        self._tally = tally

    def end_reviews(self, witness: Witness, *, has_time: Callable[[], bool]) -> int:
        """End the reviews that nobody decided within 72 hours: their refunds fail.

        Returns:
            How many refunds wait for a decision for more than four hours.

        Raises:
            ServiceUnavailable: the next sweep looks again.
        """
        now = datetime.fromisoformat(self._clock())
        expired, late = utc_text(now - ENDS_AFTER), 0
        for requested_at, which in self._operations.reviews(utc_text(now - LATE_AFTER)):
            if not has_time():
                break
            payment = self._store.get(which.payment_id)
            refund = self._operations.get(*which)
            # The index lags behind the table.
            if payment is None or refund is None or refund.status is not OperationStatus.IN_REVIEW:
                continue
            if requested_at > expired:
                late += 1
                continue
            change = OperationChange(
                to=OperationStatus.FAILED,
                at=self._clock(),
                actor=witness.actor,
                request_id=witness.request_id,
                attempt=witness.attempt,
                failure=REFUND_REVIEW_EXPIRED,
            )
            step = OperationStep(refund, refund.after(change), change)
            # Stale: somebody has decided in the last moment, or the next sweep looks again.
            with suppress(StaleOperation, StaleTransition):
                self._tally(step.after, self._operations.commit(payment, [step]))
        return late


REFUND_REVIEW_EXPIRED: Final = Failure(
    "review_expired", "Nobody has decided about the refund within 72 hours."
)


@dataclass(frozen=True, slots=True)
class Expired:
    """How many payments a look at expired authorisations cancelled, and which hold on.

    ``refused``: ids of payments that are still authorised although the processor was asked.
    """

    cancelled: int
    refused: list[str]


class ExpirySweep:
    """Has the processor release what was authorised and not captured in time."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        intake: OperationIntake,
        clock: Callable[[], str] = utc_now,
    ) -> None:
        self._store = store
        self._operations = operations
        self._intake = intake
        self._clock = clock

    def look(self, actor: str, request_id: str, *, has_time: Callable[[], bool]) -> Expired:
        """Cancel payments whose authorisation has expired.

        One whose cancellation the processor refused less than a day ago is left alone.

        Returns:
            How many were cancelled, and the payments that the processor has refused to release.

        Raises:
            ServiceUnavailable: the next sweep looks again.
        """
        now = self._clock()
        refused_since = utc_text(datetime.fromisoformat(now) - _ASKED_AGAIN_AFTER)
        cancelled, refused = 0, list[str]()
        for payment_id in self._store.expired(now):
            if not has_time():
                break
            cancels = self._operations.of(payment_id, OperationKind.CANCEL)
            if any(each.status is OperationStatus.FAILED for each in cancels):
                refused.append(payment_id)
            if any(each.updated_at > refused_since for each in cancels):
                continue
            with suppress(NotCancelable, PaymentNotFound):
                self._intake.cancel(
                    payment_id,
                    request_id,
                    reason="authorization_expired",
                    actor=actor,
                    has_expired=True,
                )
                cancelled += 1
        return Expired(cancelled, refused)


_ASKED_AGAIN_AFTER: Final = timedelta(days=1)
