"""What the rules need of the world: a store, a queue, a workflow, a count."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from payments.core.asking import Asked
from payments.core.faults import FieldError
from payments.core.lists import Entry, Filters, Position
from payments.core.messages import Backlog
from payments.core.operation import Operation, OperationKind, OperationRef, OperationStep
from payments.core.payment import (
    HistoryEntry,
    OpenPayment,
    Payment,
    PaymentRequest,
    RowOutcome,
    Transition,
)
from payments.core.review import Decision


class Store(Protocol):
    """What the rules need of a store of payments."""

    def create(self, request: PaymentRequest, *, actor: str, at: str) -> tuple[Payment, bool]:
        """Write a payment unless its id is taken; say whether this call created it."""
        ...

    def transition(self, payment: Payment, transition: Transition) -> Payment:
        """Move a payment that is still as given, or raise ``StaleTransition``."""
        ...

    def decide(self, payment: Payment, decision: Decision) -> Payment:
        """Write a decision of another person about a payment that is still as given."""
        ...

    def reviews(self, accepted_before: str) -> Iterator[OpenPayment]:
        """Yield the payments that wait for a decision."""
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

    def open_payments(
        self, accepted_before: str, last_look: Mapping[int, OpenPayment]
    ) -> Iterator[OpenPayment]:
        """Yield open payments: in each shard those behind the last look first."""
        ...

    def expired(self, before: str) -> Iterator[str]:
        """Yield ids of authorised payments that could be captured until before a time."""
        ...

    def last_look(self) -> Mapping[int, OpenPayment]:
        """Return where in each shard the last look ended, the one longest ago first."""
        ...

    def remember_look(self, ended_at: Mapping[int, OpenPayment], *, at: str) -> None:
        """Remember where in each shard a look ended, the one longest ago first."""
        ...


class Operations(Protocol):
    """What the rules need of a store of operations."""

    def get(self, payment_id: str, kind: OperationKind, operation_id: str) -> Operation | None:
        """Return an operation as it stands."""
        ...

    def of(self, payment_id: str, kind: OperationKind | None = None) -> list[Operation]:
        """Return the operations on a payment, of one kind or of all."""
        ...

    def commit(
        self,
        payment: Payment,
        steps: Sequence[OperationStep],
        transition: Transition | None = None,
    ) -> Payment:
        """Take operations and their payment a step further, all or nothing.

        Raises ``StaleOperation`` or ``StaleTransition`` if one is not as it was.
        """
        ...

    def record_not_refunded(
        self, asked: Asked, outcome: RowOutcome, fault: FieldError | None, *, at: str
    ) -> None:
        """Record and count, once and for good, a row of a file that does not become a refund.

        Raises ``StaleOperation`` if it has become one.
        """
        ...

    def due(self, before: str) -> Iterator[OperationRef]:
        """Yield operations that the sweep must look at."""
        ...

    def look_again(self, operation: Operation, due_at: str | None) -> None:
        """Let the sweep look at an operation at another time, or never."""
        ...

    def reviews(self, requested_before: str) -> Iterator[tuple[str, OperationRef]]:
        """Yield the refunds that wait for a decision, each with the time since when."""
        ...

    def read(self, refs: Sequence[OperationRef]) -> list[Operation]:
        """Return at most 100 operations as they stand, those that are there."""
        ...


class Queue(Protocol):
    """What the rules need of the queues: a row of a file goes to the queue of rows."""

    def send(self, payment: Payment) -> None:
        """Make a payment durable in its queue."""
        ...

    def send_payments(self, payments: Iterable[Payment]) -> int:
        """Make many payments durable in their queues and return how many."""
        ...


class MeasuredQueue(Queue, Protocol):
    """Queues that say how much waits in them."""

    def backlogs(self) -> tuple[Backlog, Backlog]:
        """Return about how many payments by API wait, and how many rows."""
        ...


class Line(Protocol):
    """What the rules need to know of the line before a processor that takes so many a second."""

    @property
    def per_second(self) -> int:
        """How many payments the processor takes."""
        ...

    def front(self) -> datetime | None:
        """Return when the payments by API were queued whose turn it is; ``None`` if none is."""
        ...


class Lists(Protocol):
    """What the rules need of the indexes of payments."""

    def entries(self, filters: Filters, after: Position | None) -> Iterator[Entry]:
        """Yield entries behind a position, the newest first; raise ``ReadsSpent`` at the limit."""
        ...

    def payments(self, payment_ids: Sequence[str]) -> list[Payment]:
        """Return at most 100 payments as they stand, in this order."""
        ...


class BatchTimes(Protocol):
    """What the rules need to know of batches."""

    def times(self, batch_id: str) -> tuple[str | None, str | None]:
        """Return when reading a batch began and when its last payment was settled, if known."""
        ...


class OperationQueue(Protocol):
    """What the rules need of the queues for operations, which go where their source says."""

    def send_operation(self, operation: Operation, *, tries: int = 0) -> None:
        """Make an operation durable in its queue."""
        ...


class Workflow(Protocol):
    """What the rules need of a workflow."""

    def start_once(self, subject: str, workflow_input: Mapping[str, Any]) -> None:
        """Start the first execution for a subject, unless it ever was started."""
        ...

    def ensure_running(self, subject: str, workflow_input: Mapping[str, Any]) -> None:
        """Start an execution for a subject, unless one runs."""
        ...


type Tally = Callable[[Payment], None]
"""Counts a status that a payment has reached: called once for each, after the write."""


type OperationTally = Callable[[Operation, Payment], None]
"""Is told of every status that an operation reaches, likewise, with its payment."""


def no_tally(*_: object) -> None:
    """Count nothing."""
