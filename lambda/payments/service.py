"""The payment rules: accept once, charge once, never guess an outcome."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from payments.errors import PaymentConflict, PaymentNotFound, StaleTransition
from payments.gateway import Approved, ChargeOutcome, PaymentGateway
from payments.models import (
    Failure,
    HistoryEntry,
    Payment,
    PaymentRequest,
    PaymentStatus,
    RowOutcome,
    Transition,
    utc_now,
    utc_text,
)

STUCK_AFTER: Final = timedelta(minutes=15)
"""A payment that is still open so long after it was accepted is stuck."""


class Store(Protocol):
    """What the rules need of a store; :class:`payments.store.PaymentStore` is it."""

    def create(self, request: PaymentRequest, *, actor: str, at: str) -> tuple[Payment, bool]:
        """Write a payment unless its id is taken; say whether this call created it."""
        ...

    def transition(self, payment: Payment, transition: Transition) -> Payment:
        """Move a payment that is still as given, or raise ``StaleTransition``."""
        ...

    def get(self, payment_id: str) -> Payment | None:
        """Return a payment as it stands."""
        ...

    def history(self, payment_id: str) -> list[HistoryEntry]:
        """Return its statuses, oldest first."""
        ...

    def record_not_paid(self, request: PaymentRequest, outcome: RowOutcome, *, at: str) -> None:
        """Record and count, once, a row of a batch that is not paid."""
        ...

    def open_payments(self, accepted_before: str) -> Iterator[str]:
        """Yield the ids of open payments, the oldest of each shard first."""
        ...


class Queue(Protocol):
    """What the rules need of the queue of payment events."""

    def send(self, payment: Payment) -> None:
        """Make a payment durable in the queue."""
        ...


class BulkQueue(Protocol):
    """What the sweep needs of the queue of payment events."""

    def send_payments(self, payments: Iterable[Payment]) -> int:
        """Make many payments durable in the queue and return how many."""
        ...


class Workflow(Protocol):
    """What the rules need of the workflow."""

    def ensure_running(self, name: str, workflow_input: Mapping[str, Any]) -> None:
        """Start the one execution of a name unless it runs or has succeeded."""
        ...


type Tally = Callable[[Payment], None]
"""Is told of every status that a payment reaches, by the one call whose write brought it there."""


def no_tally(_: Payment) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """Who carries out a workflow step: execution ARN, invocation id, tries before (from 0)."""

    execution_arn: str
    request_id: str
    attempt: int


class PaymentIntake:
    """Accepts payments over HTTP and answers for them."""

    def __init__(
        self,
        store: Store,
        queue: Queue,
        clock: Callable[[], str] = utc_now,
        tally: Tally = no_tally,
    ) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock
        self._tally = tally

    def submit(self, request: PaymentRequest) -> tuple[Payment, bool]:
        """Accept a payment, or recognise one that was accepted before.

        Returns:
            The payment as it stands, durable in the queue unless already under way, and whether
            this request is the one that created it.

        Raises:
            PaymentConflict: its id is taken by other content.
            ServiceUnavailable: nothing is promised; the same request may be sent again.
        """
        payment, created = self._store.create(request, actor="api", at=self._clock())
        if payment.content_hash != request.content_hash:
            raise PaymentConflict(payment)
        if created:
            self._tally(payment)
        # Also a replay sends while PENDING: the send of the first request may have failed.
        if payment.status is PaymentStatus.PENDING:
            self._queue.send(payment)
        return payment, created

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


class PaymentDispatch:
    """Hands payments from the queue to the workflow."""

    def __init__(
        self,
        store: Store,
        workflow: Workflow,
        clock: Callable[[], str] = utc_now,
        tally: Tally = no_tally,
    ) -> None:
        self._store = store
        self._workflow = workflow
        self._clock = clock
        self._tally = tally

    def dispatch(self, request: PaymentRequest) -> None:
        """Make sure that a payment exists and that its workflow runs.

        A row of a batch whose payment id is taken, by other content or by the same payment from
        elsewhere, is recorded as conflict or duplicate.

        Raises:
            ServiceUnavailable: try again.
        """
        # What came by API was written before it was queued.
        if request.source != "api":
            payment, created = self._store.create(request, actor="batch", at=self._clock())
            if created:
                self._tally(payment)
            if payment.content_hash != request.content_hash:
                self._not_paid(request, RowOutcome.CONFLICT)
                return
            if payment.source != request.source:
                self._not_paid(request, RowOutcome.DUPLICATE)
                if payment.status.is_settled:
                    return
            # A settled payment may not have been announced yet: its execution may have died in
            # between, and is restarted then.
        workflow_input = {
            "payment_id": request.payment_id,
            "correlation_id": request.correlation_id,
        }
        self._workflow.ensure_running(request.payment_id, workflow_input)

    def _not_paid(self, request: PaymentRequest, outcome: RowOutcome) -> None:
        self._store.record_not_paid(request, outcome, at=self._clock())


class PaymentProcessing:
    """The workflow's steps: each may be repeated at any time and comes to the same end."""

    def __init__(
        self,
        store: Store,
        gateway: PaymentGateway,
        clock: Callable[[], str] = utc_now,
        tally: Tally = no_tally,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._tally = tally

    def charge(self, payment_id: str, step: StepContext) -> Payment:
        """Charge a payment and record the outcome.

        Returns:
            The settled payment; one that was settled before, untouched.

        Raises:
            PaymentNotFound: there is none with this id.
            GatewayUnavailable: the outcome is unknown; ask again.
            ServiceUnavailable: try again.
        """
        return self._finish(payment_id, step, self._gateway.charge)

    def settle(self, payment_id: str, step: StepContext) -> Payment:
        """End a payment whose charge got no answer: as the gateway says, never by guess.

        Returns and raises as :meth:`charge`.
        """
        return self._finish(payment_id, step, self._gateway.cancel)

    def _finish(
        self,
        payment_id: str,
        step: StepContext,
        ask: Callable[[Payment], ChargeOutcome],
    ) -> Payment:
        payment = self._store.get(payment_id)
        if payment is None:
            raise PaymentNotFound(payment_id)
        if payment.status is PaymentStatus.PENDING:
            payment = self._move(payment, self._step_to(PaymentStatus.PROCESSING, step))
        if payment.status.is_settled:
            return payment
        answer = ask(payment)
        if isinstance(answer, Approved):
            outcome = self._step_to(PaymentStatus.COMPLETED, step, reference=answer.reference)
        else:
            outcome = self._step_to(PaymentStatus.FAILED, step, failure=answer.failure)
        return self._move(payment, outcome)

    def _step_to(
        self,
        status: PaymentStatus,
        step: StepContext,
        *,
        failure: Failure | None = None,
        reference: str | None = None,
    ) -> Transition:
        return Transition(
            to=status,
            at=self._clock(),
            actor=step.execution_arn,
            request_id=step.request_id,
            attempt=step.attempt,
            failure=failure,
            gateway_reference=reference,
        )

    def _move(self, payment: Payment, transition: Transition) -> Payment:
        try:
            moved = self._store.transition(payment, transition)
        except StaleTransition as stale:
            # A twin was faster, and what it wrote rests on the same answer of the gateway.
            return stale.current
        self._tally(moved)
        return moved


class PaymentSweep:
    """Finds payments that are stuck, and puts them back on the queue."""

    def __init__(self, store: Store, queue: BulkQueue, clock: Callable[[], str] = utc_now) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    def stuck(self, *, has_time: Callable[[], bool]) -> list[Payment]:
        """Return what was accepted 15 minutes ago or earlier and is still open.

        Args:
            has_time: asked before each payment; once it says no, the rest is for the next sweep.

        Raises:
            ServiceUnavailable: the next sweep will look again.
        """
        before = utc_text(datetime.fromisoformat(self._clock()) - STUCK_AFTER)
        found = []
        for payment_id in self._store.open_payments(before):
            if not has_time():
                break
            payment = self._store.get(payment_id)
            # The index lags behind the table, which knows best.
            if payment is not None and payment.status.is_open:
                found.append(payment)
        return found

    def put_back(self, payments: Iterable[Payment]) -> int:
        """Send payments to the queue again, whatever they wait for: one id is one payment.

        Raises:
            ServiceUnavailable: not all were sent; the next sweep sends them again.
        """
        return self._queue.send_payments(payments)
