"""Queries and cursors of lists: every fault is named, and a cursor is good for its list only."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.api.lists import describe_page, parse_list_query
from payments.core.faults import InvalidRequest
from payments.core.lists import Bookmark, Filters, Page, Position
from payments.core.payment import PaymentStatus

BATCH_ID = f"batch_{'a' * 32}"
BOOKMARK = Bookmark(Position("2026-03-12T19:03:58.123456Z", "pay_1"), "2026-03-12T19:02:58.123456Z")
QUERY = {"status": "COMPLETED", "currency": "USD", "batch_id": BATCH_ID}


def event(**query: str) -> dict[str, Any]:
    return {"multiValueQueryStringParameters": {name: [value] for name, value in query.items()}}


def faults(of: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as refused:
        parse_list_query(of)
    return [(error.field, error.code) for error in refused.value.errors]


def cursor(query: dict[str, str] | None = None, bookmark: Bookmark = BOOKMARK) -> str:
    page = Page([], bookmark, bookmark.complete_until)
    told: str = describe_page(page, parse_list_query(event(**(query or {}))))["next_cursor"]
    return told


def test_without_a_query_a_list_has_every_payment_and_pages_of_twenty() -> None:
    for nothing in ({}, {"multiValueQueryStringParameters": None}):
        query = parse_list_query(nothing)
        assert (query.filters, query.limit, query.bookmark) == (Filters(), 20, None)


def test_every_filter_is_read() -> None:
    times = {"created_from": "2026-03-12T20:00:00+01:00", "created_to": "2026-03-13T00:00:00.5Z"}
    query = parse_list_query(event(**QUERY, **times, limit="100"))
    assert query.limit == 100
    assert query.filters == Filters(
        status=PaymentStatus.COMPLETED,
        currency="USD",
        created_from="2026-03-12T19:00:00.000000Z",
        created_to="2026-03-13T00:00:00.500000Z",
        batch_id=BATCH_ID,
    )


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        *(("limit", value, "invalid_limit") for value in ("0", "101", "-1", "1.0", "", "٣", "01")),
        *(("status", value, "unknown_status") for value in ("", "completed", "PAID")),
        *(("currency", value, "invalid_format") for value in ("", "usd", "USDX")),
        *(("batch_id", value, "invalid_format") for value in ("", "pay_1", f"{BATCH_ID}0")),
        *(
            (name, value, "invalid_time")
            for name in ("created_from", "created_to")
            for value in (
                *("", "2026-03-12", "2026-03-12T19:00:00", "2026-03-12 19:00:00Z"),
                *("2026-02-30T19:00:00Z", "2026-03-12T19:00:00.1234567Z", "0001-01-01T00:00:00+14:00"),
            )
        ),
        ("page", "2", "unknown_parameter"),
    ],
)  # fmt: skip
def test_a_fault_is_named(name: str, value: str, code: str) -> None:
    assert faults(event(**{name: value})) == [(name, code)]


def test_every_fault_is_told_at_once() -> None:
    query = event(limit="0", status="x", cursor="y")
    query["multiValueQueryStringParameters"]["currency"] = ["USD", "EUR"]
    query["multiValueQueryStringParameters"]["x" * 100] = ["1"]
    assert faults(query) == [
        ("currency", "duplicate_key"),
        ("x" * 64, "unknown_parameter"),
        ("limit", "invalid_limit"),
        ("status", "unknown_status"),
    ]


def test_a_cursor_leads_on_in_its_list_with_any_limit() -> None:
    for query in ({}, QUERY):
        for limit in ("1", "100"):
            read = parse_list_query(event(**query, cursor=cursor(query), limit=limit))
            assert read.bookmark == BOOKMARK


@pytest.mark.parametrize("changed", [*QUERY, "created_from"])
def test_a_cursor_of_other_filters_is_refused(changed: str) -> None:
    value = {"status": "FAILED", "currency": "EUR", "batch_id": f"batch_{'b' * 32}"}
    other = {**QUERY, changed: value.get(changed, "2026-03-12T19:00:00Z")}
    without = {name: value for name, value in QUERY.items() if name != changed}
    for query in (other, without) if changed in QUERY else (other,):
        assert faults(event(**query, cursor=cursor(QUERY))) == [("cursor", "invalid_cursor")]


@given(st.integers(0, 200), st.sampled_from("ABab01-_"))
def test_a_cursor_that_was_changed_anywhere_is_refused(place: int, letter: str) -> None:
    made = cursor()
    place %= len(made)
    changed = f"{made[:place]}{letter}{made[place + 1 :]}"
    if changed != made:
        assert faults(event(cursor=changed)) == [("cursor", "invalid_cursor")]


@given(
    st.text(max_size=300)
    | st.binary(max_size=200).map(lambda it: base64.urlsafe_b64encode(it).decode())
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    assert faults(event(cursor=text)) == [("cursor", "invalid_cursor")]


@pytest.mark.parametrize(
    "mangle",
    [
        lambda made: f"{made}=",
        lambda made: made[:-1],
        lambda made: f" {made}",
        lambda made: made * 20,
        # The same in another writing of base64.
        lambda made: made.swapcase(),
    ],
)
def test_a_mangled_cursor_is_refused(mangle: Any) -> None:
    assert faults(event(cursor=mangle(cursor()))) == [("cursor", "invalid_cursor")]


@pytest.mark.parametrize(
    "bookmark",
    [
        Bookmark(Position("2026-03-12", "pay_1"), BOOKMARK.complete_until),
        Bookmark(Position("2026-03-12T19:03:58Z", "pay_1"), BOOKMARK.complete_until),
        Bookmark(Position(BOOKMARK.after.created_at, "pay 1"), BOOKMARK.complete_until),
        Bookmark(Position(BOOKMARK.after.created_at, "../x"), BOOKMARK.complete_until),
        Bookmark(BOOKMARK.after, "soon"),
    ],
)
def test_a_cursor_that_was_made_up_holds_nothing_but_times_and_an_id(bookmark: Bookmark) -> None:
    """Its check can be worked out by anybody."""
    assert faults(event(cursor=cursor(bookmark=bookmark))) == [("cursor", "invalid_cursor")]


def test_a_page_says_where_the_list_goes_on() -> None:
    query = parse_list_query({})
    last = describe_page(Page([], None, BOOKMARK.complete_until), query)
    assert last == {
        "data": [],
        "has_more": False,
        "next_cursor": None,
        "complete_until": BOOKMARK.complete_until,
    }
    assert describe_page(Page([], BOOKMARK, BOOKMARK.complete_until), query)["has_more"] is True
