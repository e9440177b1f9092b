"""Finding payments that are stuck."""

import pytest

from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueue
from payments.core.messages import decode_message
from payments.flows.charge import PaymentProcessing, StepContext
from payments.flows.sweep import PaymentSweep
from tests.unit.cloud import TABLES, Cloud, add_open_index, payment_request

STEP = StepContext(execution_arn="arn:execution:pay_1", request_id="invocation-1", attempt=0)


class TestSweep:
    """Finding payments that are stuck, on a table with its index."""

    NOW = "2026-01-01T12:00:00.000000Z"

    @pytest.fixture
    def sweep(self, store: PaymentStore, queue: PaymentQueue, cloud: Cloud) -> PaymentSweep:
        add_open_index(cloud.dynamodb, TABLES.payments)
        return PaymentSweep(store, queue, lambda: self.NOW)

    def test_what_is_not_final_after_fifteen_minutes_is_stuck(
        self, store: PaymentStore, sweep: PaymentSweep, processing: PaymentProcessing
    ) -> None:
        for name, at in (
            ("old", "11:00:00.000000"),
            ("at_the_line", "11:45:00.000000"),
            ("young", "11:45:00.000001"),
            ("done", "10:00:00.000000"),
        ):
            store.create(payment_request(name), actor="api", at=f"2026-01-01T{at}Z")
        processing.charge("done", STEP)
        found = sweep.stuck(has_time=lambda: True)
        assert sorted(payment.payment_id for payment in found) == ["at_the_line", "old"]

    def test_every_page_of_every_shard_is_looked_at(
        self, store: PaymentStore, sweep: PaymentSweep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.aws.payments._OPEN_PAGE", 1)
        names = {f"pay_{number}" for number in range(40)}
        for name in names:
            store.create(payment_request(name), actor="api", at="2026-01-01T00:00:00.000000Z")
        found = sweep.stuck(has_time=lambda: True)
        assert sorted(payment.payment_id for payment in found) == sorted(names)

    def test_it_stops_when_time_is_up(self, store: PaymentStore, sweep: PaymentSweep) -> None:
        for number in range(5):
            store.create(payment_request(f"pay_{number}"), actor="api", at="2026-01-01T00:00:00Z")
        looks = iter([True, True, False])
        assert len(sweep.stuck(has_time=lambda: next(looks))) == 2

    def test_what_is_stuck_is_queued_again_as_it_was(
        self, store: PaymentStore, sweep: PaymentSweep, cloud: Cloud
    ) -> None:
        request = payment_request(source="batch:b:7")
        store.create(request, actor="batch", at="2026-01-01T00:00:00.000000Z")
        assert sweep.put_back(sweep.stuck(has_time=lambda: True)) == 1
        [message] = cloud.messages()
        assert decode_message(message["Body"]) == request
