"""From the queue to the workflow."""

import pytest

from payments.aws.batches import BatchStore
from payments.aws.payments import PaymentStore
from payments.batches.progress import BatchStatus
from payments.flows.charge import PaymentProcessing, StepContext
from payments.flows.dispatch import PaymentDispatch
from tests.unit.cloud import Started, payment_request, statuses

STEP = StepContext(execution_arn="arn:execution:pay_1", request_id="invocation-1", attempt=0)


class TestDispatch:
    """From the queue to the workflow."""

    def test_a_row_of_a_batch_becomes_a_payment_and_runs(self, store: PaymentStore) -> None:
        workflow = Started()
        PaymentDispatch(store, workflow).dispatch(payment_request(source="batch:b:2"))
        assert statuses(store) == ["PENDING"]
        assert workflow.started == ["pay_1"]

    def test_a_row_that_conflicts_runs_nothing_and_is_counted_once(
        self, store: PaymentStore, batch_store: BatchStore
    ) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        workflow = Started()
        row = payment_request(amount_minor=1, source="batch:b:2")
        for _ in range(3):
            PaymentDispatch(store, workflow).dispatch(row)
        assert workflow.started == []
        assert [kept.outcome for kept in batch_store.not_paid("b")] == ["conflict"]
        assert self.counted(batch_store) == {"conflict": 1}

    def test_a_row_that_repeats_a_payment_is_a_duplicate_and_is_counted_once(
        self, store: PaymentStore, batch_store: BatchStore
    ) -> None:
        store.create(payment_request(source="batch:b:2"), actor="batch", at="2026-01-01")
        row = payment_request(source="batch:b:3")
        for _ in range(3):
            PaymentDispatch(store, Started()).dispatch(row)
        assert [(kept.line, kept.outcome) for kept in batch_store.not_paid("b")] == [
            (3, "duplicate")
        ]
        assert self.counted(batch_store) == {"duplicate": 1}

    def test_a_row_that_is_paid_is_counted_with_its_last_transition(
        self, store: PaymentStore, processing: PaymentProcessing, batch_store: BatchStore
    ) -> None:
        for name, amount_minor in (("pay_1", 100), ("pay_2", 40001)):
            row = payment_request(name, amount_minor, source="batch:b:2")
            PaymentDispatch(store, Started()).dispatch(row)
            for _ in range(2):
                processing.charge(name, STEP)
        assert self.counted(batch_store) == {"completed": 1, "failed": 1}

    @pytest.mark.parametrize(("source", "started"), [("batch:b:2", ["pay_1"]), ("batch:b:3", [])])
    def test_only_a_final_payments_own_row_asks_whether_its_execution_died(
        self, source: str, started: list[str], store: PaymentStore, processing: PaymentProcessing
    ) -> None:
        row = payment_request(source="batch:b:2")
        PaymentDispatch(store, Started()).dispatch(row)
        processing.charge("pay_1", STEP)
        workflow = Started()
        PaymentDispatch(store, workflow).dispatch(payment_request(source=source))
        assert workflow.started == started

    def counted(self, batch_store: BatchStore) -> dict[str, int]:
        batch_store.record("b", BatchStatus.PROCESSING, "2026-01-01")
        progress = batch_store.progress("b")
        assert progress is not None
        return {outcome: count for outcome, count in progress.outcomes.items() if count}
