"""Handing payments from the queue to their workflow."""

from collections.abc import Callable

from payments.core.clock import utc_now
from payments.core.payment import (
    PaymentRequest,
    RowOutcome,
)
from payments.flows.ports import Store, Tally, Workflow, no_tally


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
            if payment.content_hash != request.content.hash:
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
