"""The store of payments: guarded writes, and a history that is never dropped."""

from datetime import UTC, datetime, timedelta

import pytest

from payments.aws.items import TIMELINE_RETENTION
from payments.aws.payments import PaymentStore
from payments.core.amounts import Amounts
from payments.core.clock import utc_text
from payments.core.faults import PaymentNotFound, ServiceUnavailable, StaleTransition
from payments.core.payment import Failure, PaymentStatus, Transition
from payments.flows.charge import Charging
from tests.unit.cloud import (
    AT,
    ROW,
    TABLES,
    WITNESS,
    Cloud,
    calls_of,
    payment_request,
    statuses,
)

TO_PROCESSING = Transition(
    to=PaymentStatus.PROCESSING,
    at=AT,
    actor="test",
    request_id="request",
    gateway_reference="ref",
)


class TestHistory:
    """The history that clients see is the audit trail."""

    def test_a_status_has_one_record_of_it_and_no_other(
        self, store: PaymentStore, charging: Charging, cloud: Cloud
    ) -> None:
        store.create(payment_request(amount_minor=50002, source=ROW), actor="batch", at=AT)
        payment = charging.settle("pay_1", WITNESS)
        assert payment.status is PaymentStatus.FAILED
        assert statuses(store) == ["PENDING", "PROCESSING", "FAILED"]
        kept = {item["entity_id"]["S"].partition("#")[0] for item in cloud.items("status")}
        assert kept == {"outcomes"}

    def test_it_is_whole_when_all_that_expires_has_expired(
        self, store: PaymentStore, charging: Charging, cloud: Cloud
    ) -> None:
        old = datetime.now(UTC) - TIMELINE_RETENTION - timedelta(days=1)
        store.create(payment_request(), actor="api", at=utc_text(old))
        charging.charge_by_id("pay_1", WITNESS)
        for table in (TABLES.payments, TABLES.audit_logs):
            assert not any("expires_at" in item for item in cloud.items(table))
        for item in cloud.items(TABLES.processing_status):
            key = {name: item[name] for name in ("entity_id", "sequence")}
            cloud.dynamodb.delete_item(TableName=TABLES.processing_status, Key=key)
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]
        assert store.history("pay_1")[0].at == utc_text(old)

    def test_it_is_read_page_by_page(
        self,
        store: PaymentStore,
        charging: Charging,
        cloud: Cloud,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        store.create(payment_request(), actor="api", at=AT)
        charging.charge_by_id("pay_1", WITNESS)
        query = cloud.dynamodb.query
        monkeypatch.setattr(cloud.dynamodb, "query", lambda **each: query(**each, Limit=1))
        calls = calls_of(cloud.dynamodb)
        assert statuses(store) == ["PENDING", "PROCESSING", "COMPLETED"]
        assert len(calls) >= 3

    def test_an_unknown_payment_has_none(self, store: PaymentStore) -> None:
        assert store.history("pay_none") == []


class TestTransition:
    """A payment moves only from exactly what was read."""

    def test_a_payment_is_returned_as_it_is_stored(self, store: PaymentStore) -> None:
        payment, _ = store.create(payment_request(), actor="api", at=AT)
        payment = store.transition(payment, TO_PROCESSING)
        assert payment == store.get("pay_1")
        failed = Transition(
            to=PaymentStatus.FAILED,
            at=AT,
            actor="test",
            request_id="request",
            failure=Failure("card_declined", "The card issuer declined the charge."),
        )
        payment = store.transition(payment, failed)
        assert payment == store.get("pay_1")
        assert payment.gateway_reference == "ref"

    def test_the_hash_of_the_last_record_decides_and_not_the_version(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        payment, _ = store.create(payment_request(), actor="api", at=AT)
        cloud.dynamodb.update_item(
            TableName=TABLES.payments,
            Key={"payment_id": {"S": "pay_1"}},
            UpdateExpression="SET audit_hash = :other",
            ExpressionAttributeValues={":other": {"S": "0" * 64}},
        )
        with pytest.raises(StaleTransition) as stale:
            store.transition(payment, TO_PROCESSING)
        assert stale.value.current.version == payment.version
        assert stale.value.current.audit_hash == "0" * 64
        assert len(cloud.items(TABLES.audit_logs)) == 1

    def test_a_payment_that_is_not_there_cannot_move_and_is_not_made(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        payment, _ = store.create(payment_request(), actor="api", at=AT)
        cloud.dynamodb.delete_item(TableName=TABLES.payments, Key={"payment_id": {"S": "pay_1"}})
        with pytest.raises(PaymentNotFound):
            store.transition(payment, TO_PROCESSING)
        assert cloud.items(TABLES.payments) == []
        assert len(cloud.items(TABLES.audit_logs)) == 1

    def test_a_trail_that_is_ahead_of_its_payment_is_never_written_over(
        self, store: PaymentStore, cloud: Cloud
    ) -> None:
        payment, _ = store.create(payment_request(), actor="api", at=AT)
        [item] = cloud.items(TABLES.payments)
        store.transition(payment, TO_PROCESSING)
        cloud.dynamodb.put_item(TableName=TABLES.payments, Item=item)
        before = cloud.items(TABLES.audit_logs)
        with pytest.raises(ServiceUnavailable):
            store.transition(payment, TO_PROCESSING)
        assert cloud.items(TABLES.audit_logs) == before

    def test_each_status_is_one_write_of_two_items_and_of_a_count_for_a_rows_end(
        self, store: PaymentStore, charging: Charging, cloud: Cloud
    ) -> None:
        written: list[int] = []

        def count(params: dict[str, list[object]], **_: object) -> None:
            written.append(len(params["TransactItems"]))

        cloud.dynamodb.meta.events.register(
            "provide-client-params.dynamodb.TransactWriteItems", count
        )
        for name, source in (("by_api", "api"), ("by_row", ROW)):
            store.create(payment_request(name, source=source), actor="test", at=AT)
            charging.charge_by_id(name, WITNESS)
        assert written == [2, 2, 2, 2, 2, 3]


class TestAmounts:
    """What is left of a payment is stored with it."""

    def test_what_was_charged_is_stored_with_what_is_left_to_refund(
        self, cloud: Cloud, store: PaymentStore, charging: Charging
    ) -> None:
        store.create(payment_request(amount_minor=100), actor="api", at=AT)
        charging.charge_by_id("pay_1", WITNESS)
        (item,) = cloud.items(TABLES.payments)
        assert (item["captured_minor"], item["refundable_minor"]) == ({"N": "100"}, {"N": "100"})

    def test_a_payment_that_a_release_before_completed_can_be_refunded_whole(
        self, cloud: Cloud, store: PaymentStore, charging: Charging
    ) -> None:
        store.create(payment_request(amount_minor=100), actor="api", at=AT)
        charging.charge_by_id("pay_1", WITNESS)
        (item,) = cloud.items(TABLES.payments)
        amounts = {name for name in item if name.endswith("_minor")} - {"amount_minor"}
        cloud.dynamodb.put_item(
            TableName=TABLES.payments,
            Item={name: value for name, value in item.items() if name not in amounts},
        )
        payment = store.get("pay_1")
        assert payment is not None
        assert payment.amounts == Amounts.charged(100)

    def test_an_authorised_payment_says_until_when_it_can_be_captured(
        self, store: PaymentStore
    ) -> None:
        payment, _ = store.create(payment_request(amount_minor=100), actor="api", at=AT)
        before = "2026-01-08T00:00:00.000000Z"
        for to, until in ((PaymentStatus.PROCESSING, None), (PaymentStatus.AUTHORIZED, before)):
            change = Transition(
                to=to, at=AT, actor="test", request_id="request", capture_before=until
            )
            payment = store.transition(payment, change)
        assert store.get("pay_1") == payment
        assert (payment.capture_before, payment.amounts) == (before, Amounts.held(100))
