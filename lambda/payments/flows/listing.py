"""Lists of payments, page by page."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from payments.core.clock import utc_now, utc_text
from payments.core.faults import ServiceUnavailable
from payments.core.lists import Bookmark, Entry, Filters, Page, Position, ReadsSpent
from payments.core.payment import Payment
from payments.flows.ports import BatchTimes, Lists

MOST_LOOKS: Final = 4
"""How often a page reads payments that may match, to find those that do."""

MOST_AT_ONCE: Final = 100
"""As many payments as one read brings:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

SETTLES_WITHIN: Final = timedelta(seconds=60)
"""After this long a payment is in the index of its time, or was never accepted.

A payment is written within one invocation (30 seconds) of the time that it carries, the index
follows within a second or so, and the clocks of functions differ by little.
"""

_CLOCKS_DIFFER_BY: Final = timedelta(seconds=2)
"""How much older than its batch, or newer than the batch's end, a row may seem at most."""


class PaymentListing:
    """Lists payments, the newest first."""

    def __init__(
        self, lists: Lists, batches: BatchTimes, clock: Callable[[], str] = utc_now
    ) -> None:
        self._lists = lists
        self._batches = batches
        self._clock = clock

    def page(self, filters: Filters, limit: int, bookmark: Bookmark | None = None) -> Page:
        """Return the next payments of a list.

        A page is short at the list's end, and where it would take too many reads to find more;
        only its bookmark says which.

        Args:
            filters: which payments the list has.
            limit: how many payments the page has at most, from 1 to 100.
            bookmark: where the page before ended; ``None`` for the first page.

        Raises:
            ServiceUnavailable: try again.
        """
        if bookmark is None:
            after, complete_until = None, self._complete_until(filters)
        else:
            # What arrived since the first page is behind us, so what that one said still holds.
            after, complete_until = bookmark.after, bookmark.complete_until
        payments, ended_at = self._look(self._narrowed(filters), limit, after)
        more = None if ended_at is None else Bookmark(ended_at, complete_until)
        return Page(payments, more, complete_until)

    def _complete_until(self, filters: Filters) -> str:
        settled = utc_text(datetime.fromisoformat(self._clock()) - SETTLES_WITHIN)
        return settled if filters.created_to is None else min(settled, filters.created_to)

    def _narrowed(self, filters: Filters) -> Filters:
        """Look for the rows of a batch only at the time when they were accepted."""
        if filters.batch_id is None:
            return filters
        began, ended = self._batches.times(filters.batch_id)
        if began is not None:
            began = utc_text(datetime.fromisoformat(began) - _CLOCKS_DIFFER_BY)
            began = max(began, filters.created_from or began)
        if ended is not None:
            ended = utc_text(datetime.fromisoformat(ended) + _CLOCKS_DIFFER_BY)
            ended = min(ended, filters.created_to or ended)
        return replace(
            filters,
            created_from=began or filters.created_from,
            created_to=ended or filters.created_to,
        )

    def _look(
        self, filters: Filters, limit: int, after: Position | None
    ) -> tuple[list[Payment], Position | None]:
        """Return payments, and the position behind which there may be more, if there may."""
        entries = _Entries(self._lists.entries(filters, after))
        found, seen = list[Payment](), after
        for look in range(MOST_LOOKS):
            wanted, chunk = (MOST_AT_ONCE if look else limit), list[str]()
            while entries.ahead is not None and len(chunk) < wanted:
                seen = entries.ahead.position
                if filters.may_have(entries.ahead):
                    chunk.append(seen.payment_id)
                entries.move()
            for payment in self._lists.payments(chunk):
                if not filters.have(payment):
                    continue
                if len(found) == limit:
                    last = found[-1]
                    return found, Position(last.created_at, last.payment_id)
                found.append(payment)
            if entries.ahead is None or len(found) == limit:
                break
        if entries.ahead is None and not entries.are_cut:
            return found, None
        if seen == after:
            raise ServiceUnavailable("the index has too many payments of one time")
        return found, seen


class _Entries:
    """Entries of an index, and the one that comes next; ``None`` behind the last."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self.are_cut = False
        """Whether the last is only the last that could be read."""
        self.move()

    def move(self) -> None:
        self.ahead: Entry | None = None
        try:
            self.ahead = next(self._entries, None)
        except ReadsSpent:
            self.are_cut = True
