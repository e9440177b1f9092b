"""Which payments a list has, as an index knows them and as they are."""

from dataclasses import replace

import pytest

from payments.core.lists import Entry, Filters, Position
from payments.core.payment import Payment, PaymentStatus
from tests.unit.cloud import AT, BATCH_ID, ROW
from tests.unit.trails import completed

EARLIER, LATER = "2025-12-31T23:59:59.999999Z", "2026-01-01T00:00:00.000001Z"

FILTERS = [
    ({}, True),
    ({"created_from": EARLIER}, True),
    ({"created_from": AT}, True),
    ({"created_from": LATER}, False),
    ({"created_to": EARLIER}, False),
    ({"created_to": AT}, False),
    ({"created_to": LATER}, True),
    ({"currency": "USD"}, True),
    ({"currency": "EUR"}, False),
    ({"batch_id": BATCH_ID}, True),
    ({"batch_id": f"batch_{'1' * 32}"}, False),
    ({"created_from": EARLIER, "created_to": LATER, "currency": "EUR"}, False),
    ({"created_from": LATER, "currency": "USD", "batch_id": BATCH_ID}, False),
    ({"created_to": EARLIER, "currency": "USD", "batch_id": BATCH_ID}, False),
]


def stored(source: str = ROW) -> Payment:
    return replace(completed().payment, source=source)


def entry(currency: str | None = "USD", source: str | None = ROW) -> Entry:
    return Entry(Position(AT, "pay_1"), currency, source)


@pytest.mark.parametrize(("filters", "has"), FILTERS)
def test_a_list_has_what_each_of_its_filters_has(filters: dict[str, str], *, has: bool) -> None:
    assert Filters(**filters).have(stored()) is has  # type: ignore[arg-type]  # texts
    assert Filters(**filters).may_have(entry()) is has  # type: ignore[arg-type]  # texts


def test_a_list_of_a_status_has_payments_of_that_status_only() -> None:
    assert Filters(status=PaymentStatus.COMPLETED).have(stored())
    assert not Filters(status=PaymentStatus.FAILED).have(stored())


def test_a_list_of_a_status_has_none_that_another_filter_leaves_out() -> None:
    assert not Filters(status=PaymentStatus.COMPLETED, currency="EUR").have(stored())


def test_a_list_of_a_batch_has_no_payment_that_came_by_api() -> None:
    assert not Filters(batch_id=BATCH_ID).have(stored("api"))
    assert not Filters(batch_id=BATCH_ID).may_have(entry(source="api"))


@pytest.mark.parametrize("filters", [Filters(currency="EUR"), Filters(batch_id="batch_x")])
def test_what_an_index_does_not_hold_may_be_in_the_list(filters: Filters) -> None:
    assert filters.may_have(entry(currency=None, source=None))
