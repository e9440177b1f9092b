"""Finding payments that are stuck."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from payments.core.clock import utc_now, utc_text
from payments.core.payment import (
    Payment,
)
from payments.flows.ports import BulkQueue, Store

STUCK_AFTER: Final = timedelta(minutes=15)
"""A payment that is still open so long after it was accepted is stuck."""


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
