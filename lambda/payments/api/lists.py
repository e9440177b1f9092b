"""Requests for lists of payments, and their answers."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from payments.batches.batch import BATCH_ID
from payments.core.announcements import describe
from payments.core.clock import utc_text
from payments.core.faults import FieldError, InvalidRequest
from payments.core.fields import CURRENCY, PAYMENT_ID
from payments.core.lists import Bookmark, Filters, Page, Position
from payments.core.payment import PaymentStatus

DEFAULT_LIMIT: Final = 20

MOST_PAYMENTS: Final = 100


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a request for a list asks for."""

    filters: Filters
    limit: int
    bookmark: Bookmark | None


def parse_list_query(event: dict[str, Any]) -> ListQuery:
    """Read the query of ``GET /payments``.

    Raises:
        InvalidRequest: with all faults of the query together.
    """
    given, errors = _parameters(event)
    values: dict[str, Any] = {}
    for name, text in given.items():
        values[name] = _READERS[name](text)
        if values[name] is None:
            errors.append(FieldError(name, *_EXPECTED[name]))
    filters = Filters(
        **{name: value for name, value in values.items() if name not in {"limit", "cursor"}}
    )
    bookmark = None
    # A cursor can only be held against filters that are known.
    if "cursor" in given and not errors:
        bookmark = _bookmark(given["cursor"], filters)
        if bookmark is None:
            errors.append(FieldError("cursor", *_EXPECTED["cursor"]))
    if errors:
        raise InvalidRequest(errors)
    return ListQuery(filters, values.get("limit", DEFAULT_LIMIT), bookmark)


def describe_page(page: Page, query: ListQuery) -> dict[str, Any]:
    """Return a page of a list as clients see it; ``next_cursor`` is ``None`` on the last."""
    return {
        "data": [describe(payment) for payment in page.payments],
        "has_more": page.next is not None,
        "next_cursor": None if page.next is None else _cursor(page.next, query.filters),
        "complete_until": page.complete_until,
    }


def _parameters(event: dict[str, Any]) -> tuple[dict[str, str], list[FieldError]]:
    repeated: dict[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
    given, errors = dict[str, str](), list[FieldError]()
    for name, values in repeated.items():
        if name not in _READERS:
            errors.append(
                FieldError(name[:_SHOWN_NAME_LENGTH], "unknown_parameter", "is no parameter here")
            )
        elif len(values) > 1:
            errors.append(FieldError(name, "duplicate_key", "is given more than once"))
        else:
            given[name] = values[0]
    return given, errors


_SHOWN_NAME_LENGTH: Final = 64

# RFC 3339, section 5.6, in upper case and with no more digits than are stored.
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _time(text: str) -> str | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return utc_text(datetime.fromisoformat(text).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _limit(text: str) -> int | None:
    is_number = re.fullmatch("[1-9][0-9]{0,2}", text)
    return int(text) if is_number and int(text) <= MOST_PAYMENTS else None


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if pattern.fullmatch(text) else None


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "limit": _limit,
    "cursor": _matching(re.compile("[A-Za-z0-9_-]{1,400}")),
    "status": lambda text: PaymentStatus(text) if text in set(PaymentStatus) else None,
    "currency": _matching(CURRENCY),
    "created_from": _time,
    "created_to": _time,
    "batch_id": _matching(BATCH_ID),
}
"""The parameters of a list, each with what reads it; ``None`` means that it has a fault."""

_BAD_TIME: Final = (
    "invalid_time",
    "must be a time as in RFC 3339, such as 2026-03-12T19:00:00Z or 2026-03-12T20:00:00%2B01:00",
)

_EXPECTED: Final = {
    "limit": ("invalid_limit", f"must be a whole number from 1 to {MOST_PAYMENTS}"),
    "cursor": (
        "invalid_cursor",
        "must be the next_cursor of a page of this list, with the same filters",
    ),
    "status": ("unknown_status", f"must be one of {', '.join(PaymentStatus)}"),
    "currency": ("invalid_format", "must be a code of three letters in upper case, such as USD"),
    "created_from": _BAD_TIME,
    "created_to": _BAD_TIME,
    "batch_id": ("invalid_format", "must be batch_ and 32 hexadecimal digits in lower case"),
}


def _cursor(bookmark: Bookmark, filters: Filters) -> str:
    """Return a bookmark as text that is good for this list only.

    It needs no secret: whoever makes one up gets to another place of a list that they may read.
    """
    place = "|".join((*bookmark.after, bookmark.complete_until))
    text = f"{place}|{_check(place, filters)}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _bookmark(cursor: str, filters: Filters) -> Bookmark | None:
    """Return what a cursor says, or ``None`` if it is not of this list or not as it was made."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        created_at, payment_id, complete_until, _ = text.split("|")
    except ValueError:
        return None
    bookmark = Bookmark(Position(created_at, payment_id), complete_until)
    # Only the very text that was made: base64 can write the same bytes in more than one way.
    if cursor != _cursor(bookmark, filters) or not PAYMENT_ID.fullmatch(payment_id):
        return None
    if _time(created_at) != created_at or _time(complete_until) != complete_until:
        return None
    return bookmark


def _check(place: str, filters: Filters) -> str:
    known = "|".join(["1", "GET /payments", *(str(value) for value in _values(filters)), place])
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def _values(filters: Filters) -> tuple[str | None, ...]:
    return (
        filters.status,
        filters.currency,
        filters.created_from,
        filters.created_to,
        filters.batch_id,
    )
