"""Lists from real indexes, as far as moto has them, and what AWS may fail to do."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from payments.aws.batches import BatchStore
from payments.aws.lists import PaymentLists
from payments.aws.payments import PaymentStore
from payments.batches.progress import BatchStatus
from payments.core.faults import ServiceUnavailable
from payments.core.lists import Filters
from payments.core.payment import PaymentStatus
from payments.flows.charge import Charging
from payments.flows.listing import PaymentListing
from tests.unit.cloud import (
    BATCH_ID,
    TABLES,
    WITNESS,
    Cloud,
    add_indexes,
    calls_of,
    payment_request,
)
from tests.unit.flows.test_listing import listed
from tests.unit.indexes import IndexedPayments

AT = "2026-03-12T00:00:{:02}.000000Z"


@pytest.fixture
def listing(cloud: Cloud, batch_store: BatchStore) -> PaymentListing:
    """Lists of the payments on an empty account."""
    add_indexes(cloud.dynamodb, TABLES.payments)
    lists = PaymentLists(cloud.dynamodb, TABLES.payments, sleep=lambda _: None)
    return PaymentListing(lists, batch_store)


def fill(store: PaymentStore, charging: Charging) -> IndexedPayments:
    """Write sixty payments, a third of them open, and return them in memory as well."""
    copy = IndexedPayments()
    for number in range(60):
        source = f"batch:{BATCH_ID}:{number}" if number % 4 == 0 else "api"
        currency = "EUR" if number % 5 == 0 else "USD"
        request = payment_request(f"pay_{number}", 100, currency, source)
        # Four of each time.
        store.create(request, actor="api", at=AT.format(number // 4))
        if number % 3:
            charging.charge_by_id(f"pay_{number}", WITNESS)
        stored = store.get(f"pay_{number}")
        assert stored is not None
        copy.put(stored)
    return copy


def test_lists_are_the_same_on_moto_and_in_memory(
    listing: PaymentListing, store: PaymentStore, charging: Charging, batch_store: BatchStore
) -> None:
    memory: Any = fill(store, charging)
    other = PaymentListing(PaymentLists(memory, "payments"), batch_store)
    for filters, count in (
        (Filters(), 60),
        (Filters(status=PaymentStatus.PENDING), 20),
        (Filters(status=PaymentStatus.PROCESSING), 0),
        (Filters(status=PaymentStatus.COMPLETED), 40),
        (Filters(currency="EUR"), 12),
        (Filters(batch_id=BATCH_ID), 15),
        (Filters(created_from=AT.format(3), created_to=AT.format(5)), 8),
        (Filters(created_from=AT.format(5), created_to=AT.format(3)), 0),
    ):
        for limit in (7, 100):
            found = listed(listing, filters, limit)
            assert found == listed(other, filters, limit)
            assert len(found) == len(set(found)) == count


def test_a_page_takes_33_reads(
    listing: PaymentListing, store: PaymentStore, charging: Charging, cloud: Cloud
) -> None:
    fill(store, charging)
    calls = calls_of(cloud.dynamodb)
    assert len(listing.page(Filters(), 20).payments) == 20
    assert sorted(calls) == ["BatchGetItem", *["Query"] * 32]


def test_the_time_of_a_batch_is_known_from_its_statuses(batch_store: BatchStore) -> None:
    assert batch_store.times(BATCH_ID) == (None, None)
    details = {"bucket": "files"}
    batch_store.record(BATCH_ID, BatchStatus.PROCESSING, AT.format(1), details=details)
    assert batch_store.times(BATCH_ID) == (AT.format(1), None)
    batch_store.record(BATCH_ID, BatchStatus.FAILED, AT.format(2))
    # It can still be tried again, and its rows are still paid.
    assert batch_store.times(BATCH_ID) == (AT.format(1), None)
    batch_store.record(BATCH_ID, BatchStatus.COMPLETED, AT.format(3))
    assert batch_store.times(BATCH_ID) == (AT.format(1), AT.format(3))


@pytest.mark.parametrize("shard", [0, 31])
def test_a_shard_that_does_not_answer_is_no_short_page(
    listing: PaymentListing,
    store: PaymentStore,
    charging: Charging,
    cloud: Cloud,
    shard: int,
) -> None:
    fill(store, charging)

    def refuse(params: dict[str, Any], **_: Any) -> None:
        if params["ExpressionAttributeValues"][":shard"] == {"N": str(shard)}:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "Query")

    cloud.dynamodb.meta.events.register("provide-client-params.dynamodb.Query", refuse)
    with pytest.raises(ServiceUnavailable):
        listing.page(Filters(), 20)


def test_payments_that_one_read_did_not_bring_are_read_again(
    listing: PaymentListing, store: PaymentStore, charging: Charging, cloud: Cloud
) -> None:
    fill(store, charging)
    read = cloud.dynamodb.batch_get_item

    def read_half(**request: Any) -> Any:
        keys = request["RequestItems"][TABLES.payments]["Keys"]
        half = len(keys) // 2
        request["RequestItems"][TABLES.payments]["Keys"] = keys[: half or 1]
        answer: Any = read(**request)
        if half:
            answer["UnprocessedKeys"] = {TABLES.payments: {"Keys": keys[half:]}}
        return answer

    cloud.dynamodb.batch_get_item = read_half  # type: ignore[method-assign]  # the fault
    assert len(listing.page(Filters(), 60).payments) == 60


def test_a_payment_that_the_index_knows_and_the_table_does_not_is_no_short_page(
    listing: PaymentListing, store: PaymentStore, charging: Charging, cloud: Cloud
) -> None:
    fill(store, charging)
    read = cloud.dynamodb.batch_get_item

    def lose_one(**request: Any) -> Any:
        answer: Any = read(**request)
        answer["Responses"][TABLES.payments].pop()
        return answer

    cloud.dynamodb.batch_get_item = lose_one  # type: ignore[method-assign]  # the fault
    with pytest.raises(ServiceUnavailable):
        listing.page(Filters(), 20)
