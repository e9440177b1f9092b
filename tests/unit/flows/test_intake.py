"""Accepting: the write decides what is new, a replay or a conflict."""

import threading

from payments.aws.payments import PaymentStore
from payments.flows.charge import Charging
from payments.flows.intake import PaymentIntake
from tests.unit.cloud import WITNESS, Cloud, payment_request, repeat_committed_writes, statuses


class TestAcceptance:
    """Accepting a payment."""

    def test_a_new_payment_is_pending_with_history_and_audit(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        payment, created = store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        assert created
        assert store.get("pay_1") == payment
        assert statuses(store) == ["PENDING"]
        [record] = cloud.items("audit")
        assert (record["actor"]["S"], record["to"]["S"]) == ("api", "PENDING")
        assert record["amount_minor"]["N"] == "9999"

    def test_a_taken_id_leaves_everything_as_it_was(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        first, _ = store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        before = [cloud.items(table) for table in ("payments", "status", "audit")]
        other = payment_request(amount_minor=1, correlation_id="request-2")
        stored, created = store.create(other, actor="api", at="2026-01-02T00:00:00Z")
        assert (stored, created) == (first, False)
        assert [cloud.items(table) for table in ("payments", "status", "audit")] == before

    def test_the_lost_answer_of_a_committed_write_is_ones_own(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        repeat_committed_writes(cloud)
        _, created = store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        assert created

    def test_one_of_many_concurrent_requests_is_the_first(
        self, store: PaymentStore, intake: PaymentIntake
    ) -> None:
        answers: list[bool] = []

        def submit(number: int) -> None:
            _, created = intake.submit(payment_request(correlation_id=f"request-{number}"))
            answers.append(created)

        threads = [threading.Thread(target=submit, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [False] * 19 + [True]
        assert statuses(store) == ["PENDING"]

    def test_a_payment_not_final_is_in_the_open_index_and_leaves_it_when_final(
        self, store: PaymentStore, charging: Charging, cloud: Cloud
    ) -> None:
        store.create(payment_request(), actor="api", at="2026-01-01T00:00:00Z")
        [item] = cloud.items("payments")
        assert 0 <= int(item["open_shard"]["N"]) < 16
        assert item["accepted_at"]["S"] == "2026-01-01T00:00:00Z"
        charging.charge_by_id("pay_1", WITNESS)
        [item] = cloud.items("payments")
        assert "open_shard" not in item
        assert "accepted_at" not in item
