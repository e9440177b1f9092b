"""What the rules need of the world: a store, a queue, a workflow, a count."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from payments.core.payment import HistoryEntry, Payment, PaymentRequest, RowOutcome, Transition


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


class Received(Protocol):
    """What the rules need of a message that was received."""

    def release(self, receipt_handle: str) -> None:
        """Let a message be delivered again immediately."""
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
