"""Lists: every payment once, in order, in few reads, also while payments arrive."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.aws.keys import time_shard
from payments.aws.lists import PaymentLists
from payments.core.clock import utc_text
from payments.core.content import Content
from payments.core.faults import ServiceUnavailable
from payments.core.lists import Filters, Page
from payments.core.payment import Failure, Payment, PaymentStatus
from payments.flows.listing import PaymentListing
from tests.unit.indexes import IndexedPayments

BEGIN = datetime(2026, 3, 12, tzinfo=UTC)
NOW = BEGIN + timedelta(hours=1)
COMPLETE_UNTIL = utc_text(NOW - timedelta(seconds=60))
BATCH_ID, OTHER_BATCH_ID = f"batch_{'a' * 32}", f"batch_{'b' * 32}"


@dataclass
class Batches:
    """Knows when batches were read."""

    known: dict[str, tuple[str | None, str | None]]

    def times(self, batch_id: str) -> tuple[str | None, str | None]:
        return self.known.get(batch_id, (None, None))


def after(seconds: float) -> str:
    return utc_text(BEGIN + timedelta(seconds=seconds))


def payment(
    payment_id: str,
    seconds: float = 0,
    *,
    status: PaymentStatus = PaymentStatus.COMPLETED,
    currency: str = "USD",
    source: str = "api",
) -> Payment:
    content = Content(payment_id, 100, currency, 2)
    failure = Failure("card_declined", "no") if status is PaymentStatus.FAILED else None
    at = after(seconds)
    return Payment(content, status, 3, content.hash, source, "request-1", at, at, "hash", failure)


def listing(table: IndexedPayments, **batches: tuple[str | None, str | None]) -> PaymentListing:
    client: Any = table
    lists = PaymentLists(client, "payments", sleep=lambda _: None)
    return PaymentListing(lists, Batches(dict(batches)), clock=lambda: utc_text(NOW))


def pages(of: PaymentListing, filters: Filters, limit: int) -> Iterator[Page]:
    page = of.page(filters, limit)
    yield page
    while page.next is not None:
        page = of.page(filters, limit, page.next)
        yield page


def listed(of: PaymentListing, filters: Filters, limit: int = 20) -> list[str]:
    return [each.payment_id for page in pages(of, filters, limit) for each in page.payments]


PAYMENTS = st.builds(
    payment,
    # A few ids of each time, so that many are of one time.
    st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True),
    st.integers(0, 40),
    status=st.sampled_from(PaymentStatus),
    currency=st.sampled_from(["USD", "EUR"]),
    source=st.sampled_from(["api", f"batch:{BATCH_ID}:2", f"batch:{OTHER_BATCH_ID}:2"]),
)
SOME = st.lists(PAYMENTS, max_size=60, unique_by=lambda each: each.payment_id)
MAYBE_TIME = st.none() | st.integers(0, 40).map(after)
FILTERS = st.builds(
    Filters,
    status=st.none() | st.sampled_from(PaymentStatus),
    currency=st.sampled_from([None, "USD", "EUR", "JPY"]),
    created_from=MAYBE_TIME,
    created_to=MAYBE_TIME,
    batch_id=st.sampled_from([None, None, BATCH_ID]),
)


@settings(deadline=None, max_examples=300)
@given(SOME, FILTERS, st.integers(1, 100))
def test_pages_together_are_the_payments_each_once_and_in_order(
    some: list[Payment], filters: Filters, limit: int
) -> None:
    table = IndexedPayments()
    for each in some:
        table.put(each)
    expected = sorted(
        ((each.created_at, each.payment_id) for each in some if filters.have(each)), reverse=True
    )
    assert listed(listing(table), filters, limit) == [payment_id for _, payment_id in expected]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=200, unique=True),
    st.integers(1, 30),
    # Not 1: only the next entry tells that there is no other of the same time.
    st.integers(2, 5),
    st.none() | st.sampled_from([PaymentStatus.COMPLETED, PaymentStatus.PENDING]),
)
def test_pages_are_whole_wherever_queries_end_and_budgets_are_spent(
    seconds: list[int], limit: int, page: int, status: PaymentStatus | None
) -> None:
    table = IndexedPayments(page=page)
    every = [
        payment(f"p{second}", second, status=list(PaymentStatus)[second % 3]) for second in seconds
    ]
    for each in every:
        table.put(each)
    filters = Filters(status=status)
    expected = [
        each.payment_id
        for each in sorted(every, key=lambda each: each.created_at, reverse=True)
        if filters.have(each)
    ]
    assert listed(listing(table), filters, limit) == expected


@settings(deadline=None, max_examples=200)
@given(SOME, st.lists(st.integers(0, 59), max_size=40), st.integers(1, 30))
def test_what_arrives_meanwhile_leaves_no_hole_before_complete_until(
    some: list[Payment], late: list[int], limit: int
) -> None:
    table = IndexedPayments()
    for each in some:
        table.put(each)
    arriving = iter(
        payment(f"late-{number}", 3600 - seconds) for number, seconds in enumerate(late)
    )

    def arrive() -> None:
        for each in arriving:
            table.put(each)
            return

    # Before every single read, as the index of a busy table would change.
    table.between = arrive
    told = list(pages(listing(table), Filters(), limit))
    assert {page.complete_until for page in told} == {COMPLETE_UNTIL}
    found = [(each.created_at, each.payment_id) for page in told for each in page.payments]
    assert found == sorted(set(found), reverse=True)
    before = [each for each in found if each[0] < COMPLETE_UNTIL]
    assert before == sorted(((each.created_at, each.payment_id) for each in some), reverse=True)


@pytest.fixture(scope="module")
def large() -> IndexedPayments:
    """100,000 payments, one in a thousand failed, a hundred open, a batch of a thousand."""
    table = IndexedPayments()
    for number in range(100_000):
        status, source, currency = PaymentStatus.COMPLETED, "api", "USD"
        if number % 1000 == 0:
            status = PaymentStatus.FAILED
        elif number % 1000 == 500:
            status = PaymentStatus.PENDING
        if 20_000 <= number < 22_000 and number % 2:
            source, currency = f"batch:{BATCH_ID}:{number}", "CHF"
        table.put(
            payment(f"pay_{number}", number / 100, status=status, source=source, currency=currency)
        )
    return table


@pytest.mark.parametrize("limit", [1, 20, 100])
@pytest.mark.parametrize(
    ("filters", "matching"),
    [
        (Filters(), 100_000),
        (Filters(created_from=after(500), created_to=after(600)), 10_000),
        (Filters(status=PaymentStatus.COMPLETED), 99_800),
        (Filters(status=PaymentStatus.FAILED), 100),
        (Filters(status=PaymentStatus.PENDING), 100),
        (Filters(currency="CHF"), 1000),
        (Filters(batch_id=BATCH_ID), 1000),
        (Filters(currency="JPY"), 0),
    ],
    ids=["all", "a time", "completed", "failed", "pending", "a currency", "a batch", "nothing"],
)
def test_a_page_of_a_large_table_takes_at_most_40_reads(
    large: IndexedPayments, filters: Filters, matching: int, limit: int
) -> None:
    of = listing(large, **{BATCH_ID: (after(199), after(230))})
    found, page = 0, None
    for _ in range(4):
        large.calls.clear()
        page = of.page(filters, limit, page.next if page else None)
        # One more read tells when a batch was read.
        assert large.calls.total() + (filters.batch_id is not None) <= 40
        found += len(page.payments)
        if page.next is None:
            break
    assert found <= matching


def test_open_payments_are_found_without_reading_the_others(large: IndexedPayments) -> None:
    found = listed(listing(large), Filters(status=PaymentStatus.PENDING))
    assert found == [f"pay_{number}" for number in range(99_500, 0, -1000)]


def test_the_rows_of_a_batch_are_found_at_its_time(large: IndexedPayments) -> None:
    of = listing(large, **{BATCH_ID: (after(199), after(230))})
    assert len(of.page(Filters(batch_id=BATCH_ID), 100).payments) == 100


def test_ids_that_share_a_shard_take_no_more_reads() -> None:

    table = IndexedPayments()
    names = (f"pay_{number}" for number in range(10_000))
    for second, name in enumerate([name for name in names if time_shard(name) == 7][:200]):
        table.put(payment(name, second))
    page = listing(table).page(Filters(), 100)
    assert len(page.payments) == 100
    assert table.calls.total() <= 40


def test_a_list_up_to_a_time_is_complete_until_then_or_a_minute_ago() -> None:
    of = listing(IndexedPayments())
    assert of.page(Filters(), 1).complete_until == COMPLETE_UNTIL
    assert of.page(Filters(created_to=after(10)), 1).complete_until == after(10)
    later = utc_text(NOW + timedelta(days=1))
    assert of.page(Filters(created_to=later), 1).complete_until == COMPLETE_UNTIL


def test_more_payments_of_one_moment_than_a_page_may_read_are_an_error_and_no_endless_list() -> (
    None
):
    table = IndexedPayments(page=2)
    for number in range(1000):
        table.put(payment(f"p{number}", 0))
    with pytest.raises(ServiceUnavailable):
        listing(table).page(Filters(), 20)
