"""The page about the books: what each account stands at, and whether that is right."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from operations.console.page import changes, desk, go, show

_SHOWN_FAULTS = 50


def books(request: Request) -> Response:
    """Show the last proof, or how far it is."""
    keeping = desk(request).books
    last = keeping.last
    # While it is made, its sums grow.
    done = last.proof if last and last.ended and not last.error else None
    return show(
        request,
        "books.html",
        last=last,
        moving=keeping.is_at_work,
        balances=list(done.books.accounts) if done else [],
        totals=list(done.books.totals()) if done else [],
        faults=done.faults[:_SHOWN_FAULTS] if done else [],
    )


@changes
def prove(request: Request, _: FormData) -> Response:
    """Begin a proof."""
    desk(request).books.begin()
    return go("/books")
