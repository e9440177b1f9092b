"""Lists as Stripe pages them, the newest object first: https://docs.stripe.com/api/pagination."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from local.stripe_double.account import Object
from local.stripe_double.errors import invalid, missing

_FILTERS: Final = ("customer", "payment_intent", "type")
_COMPARISONS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "gt": lambda created, bound: created > bound,
    "gte": lambda created, bound: created >= bound,
    "lt": lambda created, bound: created < bound,
    "lte": lambda created, bound: created <= bound,
}


def page(path: str, objects: Iterable[Object], form: Mapping[str, Any]) -> Object:
    """Return a page of the objects that a form asks for."""
    limit = form.get("limit", 10)
    if not 1 <= limit <= 100:  # noqa: PLR2004 - as documented
        raise invalid("Invalid integer: limit must be between 1 and 100.", param="limit")
    found = [
        each
        for each in reversed(list(objects))
        if all(each.get(name) == form[name] for name in _FILTERS if name in form)
        and all(
            _COMPARISONS[name](each["created"], bound)
            for name, bound in form.get("created", {}).items()
        )
    ]
    ids = [each["id"] for each in found]
    for cursor in ("starting_after", "ending_before"):
        if cursor in form and form[cursor] not in ids:
            raise missing("object", form[cursor], param=cursor)
    if "starting_after" in form:
        found = found[ids.index(form["starting_after"]) + 1 :]
    if "ending_before" in form:
        found = found[: ids.index(form["ending_before"])][-limit:]
    return {
        "object": "list",
        "url": path,
        "has_more": len(found) > limit,
        "data": found[:limit],
    }
