"""Pages about payments: the list, one payment, and what can be done with it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from operations import look, requests
from operations.api import NoAnswer
from operations.console import views
from operations.console.page import Refused, changes, desk, field, given, go, seen, show, told
from payments.core.fields import FIELDS, OPTIONAL_FIELDS
from payments.core.payment import PaymentStatus

STATUSES: Final = tuple(status.value for status in PaymentStatus)
_FILTERS: Final = ("status", "currency", "created_from", "created_to", "batch_id", "cursor")


def home(_: Request) -> Response:
    """Begin with the payments."""
    return go("/payments")


def listed(request: Request) -> Response:
    """Show a page of payments, or lead to the one whose id was searched for."""
    asked = given(request.query_params)
    if payment_id := asked.get("id"):
        return go(f"/payments/{quote(payment_id, safe='')}")
    filters: dict[str, str] = {name: asked[name] for name in _FILTERS if name in asked}
    answer = desk(request).api.request("GET", "/payments", query=_query(filters))
    page = answer.json() if answer.ok else {"data": [], "has_more": False}
    following = ""
    if page.get("next_cursor"):
        following = "?" + urlencode({**filters, "cursor": page["next_cursor"]})
    return show(
        request,
        "payments.html",
        status=answer.status,
        payments=page["data"],
        following=following,
        complete_until=page.get("complete_until", ""),
        filters=filters,
        statuses=STATUSES,
        problem="" if answer.ok else answer.problem,
    )


def _query(filters: Mapping[str, str]) -> dict[str, str]:
    """Return what the API is asked: days become moments, the last one included."""
    query = {"limit": "25", **filters}
    for name, days in (("created_from", 0), ("created_to", 1)):
        if name in query:
            try:
                day = datetime.strptime(query[name], "%Y-%m-%d").replace(tzinfo=UTC)
            except ValueError:
                continue
            query[name] = (day + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return query


def one(request: Request) -> Response:
    """Show a payment and its story."""
    at, payment_id = desk(request), request.path_params["payment_id"]
    answer = at.api.request("GET", requests.path_of(payment_id))
    if answer.status == HTTPStatus.NOT_FOUND:
        return show(request, "no_payment.html", status=answer.status, payment_id=payment_id)
    payment = told(answer)
    operations = payment.get("operations", [])
    story, why_not = seen(lambda: at.story(payment_id))
    records = story.audit if story else []
    return show(
        request,
        "payment.html",
        payment=payment,
        amounts=look.amounts_of(payment),
        operations=operations,
        moments=story.moments if story else [],
        records=records,
        chain=story,
        why_not=why_not,
        may=_possible(payment),
        **_looked_at_again({payment["status"], *(each["status"] for each in operations)}),
    )


def _looked_at_again(statuses: set[str]) -> dict[str, Any]:
    """Say whether a page changes by itself; what waits for a person is looked at less often."""
    if statuses & views.ACTIVE:
        return {"moving": True}
    return {"moving": "IN_REVIEW" in statuses, "pause": 5}


def _possible(payment: Mapping[str, Any]) -> dict[str, bool]:
    """Say what can be done with a payment; the API decides in the end."""
    status, amounts = payment["status"], look.amounts_of(payment)
    return {
        "refund": status == PaymentStatus.COMPLETED and (not amounts or "refundable" in amounts),
        "capture": status == PaymentStatus.AUTHORIZED,
        "cancel": status in _CANCELABLE,
        "review": status == PaymentStatus.IN_REVIEW,
    }


_CANCELABLE: Final = frozenset(
    status.value for status in PaymentStatus if PaymentStatus.CANCELED in status.successors
)


def new(request: Request) -> Response:
    """Show the form of a new payment."""
    return show(
        request, "pay.html", fields={"payment_id": requests.new_id("pay")}, problem="", faults={}
    )


@changes
def pay(request: Request, form: FormData) -> Response:
    """Make a payment and show it."""
    fields = {name: value for name in (*FIELDS, *OPTIONAL_FIELDS) if (value := field(form, name))}
    at = desk(request)
    asked = {"payment_id": "", "amount": "", "currency": "", **fields}
    answer = requests.send(at.api, at.journal, requests.payment(asked, api=at.api.url))
    if answer.ok:
        return go(f"/payments/{quote(fields['payment_id'], safe='')}")
    problem = answer.json()
    faults = {
        str(each.get("field")): str(each.get("message"))
        for each in problem.get("errors", [])
        if isinstance(each, dict)
    }
    return show(
        request,
        "pay.html",
        status=answer.status,
        fields=fields,
        problem=str(problem.get("detail", answer.problem)),
        faults=faults,
    )


def ask(request: Request) -> Response:
    """Ask before money of a payment moves: what is left, and what it will do."""
    at, payment_id = desk(request), request.path_params["payment_id"]
    verb = _verb(request)
    payment = told(at.api.request("GET", requests.path_of(payment_id)))
    return _asked(request, payment, verb, {"operation_id": requests.new_id(_SHORT[verb])})


_SHORT: Final = {"refund": "re", "capture": "cap", "cancel": "cancel", "review": "review"}


def _verb(request: Request) -> str:
    verb: str = request.path_params["verb"]
    if verb not in _SHORT:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return verb


def _asked(
    request: Request,
    payment: Mapping[str, Any],
    verb: str,
    fields: Mapping[str, str],
    problem: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    amounts = look.amounts_of(payment)
    left = amounts.get("refundable" if verb == "refund" else "capturable", payment["amount"])
    return show(
        request,
        "ask.html",
        status=status,
        payment=payment,
        verb=verb,
        left=left,
        fields=fields,
        problem=problem,
    )


@changes
def act(request: Request, form: FormData) -> Response:
    """Do what was asked for, then show the payment."""
    at, payment_id = desk(request), request.path_params["payment_id"]
    verb = _verb(request)
    fields = {name: field(form, name) for name in ("operation_id", "amount", "reason", "note")}
    amount, reason = fields["amount"] or None, fields["reason"] or None
    match verb:
        case "refund":
            request_ = requests.refund(
                payment_id, fields["operation_id"], amount, reason, api=at.api.url
            )
        case "capture":
            final = field(form, "keep") != "yes"
            request_ = requests.capture(
                payment_id, fields["operation_id"], amount, final=final, api=at.api.url
            )
        case "cancel":
            request_ = requests.cancel(payment_id, reason, api=at.api.url)
        case _:
            decision = field(form, "decision")
            request_ = requests.review(payment_id, decision, fields["note"], api=at.api.url)
    answer = requests.send(at.api, at.journal, request_)
    if answer.ok:
        return go(f"/payments/{quote(payment_id, safe='')}")
    payment = told(at.api.request("GET", requests.path_of(payment_id)))
    return _asked(request, payment, verb, fields, answer.problem, answer.status)


def ask_about_refund(request: Request) -> Response:
    """Ask for a decision about a refund: what it will do."""
    payment = told(desk(request).api.request("GET", _payment_path(request)))
    return _asked_about_refund(request, payment)


def _payment_path(request: Request) -> str:
    return requests.path_of(request.path_params["payment_id"])


def _asked_about_refund(
    request: Request,
    payment: Mapping[str, Any],
    note: str = "",
    problem: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    refund_id = request.path_params["refund_id"]
    path = f"{requests.path_of(payment['payment_id'])}/refunds/{quote(refund_id, safe='')}"
    refund = told(desk(request).api.request("GET", path))
    return show(
        request,
        "review_refund.html",
        status=status,
        payment=payment,
        refund=refund,
        note=note,
        problem=problem,
    )


@changes
def decide_about_refund(request: Request, form: FormData) -> Response:
    """Approve or reject a refund, then show its payment."""
    at, payment_id = desk(request), request.path_params["payment_id"]
    decision, note = field(form, "decision"), field(form, "note")
    refund_id = request.path_params["refund_id"]
    decided = requests.review(payment_id, decision, note, api=at.api.url, refund_id=refund_id)
    answer = requests.send(at.api, at.journal, decided)
    if answer.ok:
        return go(f"/payments/{quote(payment_id, safe='')}")
    payment = told(at.api.request("GET", _payment_path(request)))
    return _asked_about_refund(request, payment, note, answer.problem, answer.status)


def reviews(request: Request) -> Response:
    """Show the payments and refunds that wait for a second person."""
    at = desk(request)
    answer = at.api.request("GET", "/reviews")
    waiting = answer.json() if answer.ok else {"data": [], "has_more": False}
    return show(
        request,
        "reviews.html",
        status=answer.status,
        waiting=waiting["data"],
        has_more=waiting["has_more"],
        own=at.person.rpartition("/")[2].lower(),
        problem="" if answer.ok else answer.problem,
    )


def unanswered(request: Request) -> Response:
    """Show what was sent and has no answer."""
    at = desk(request)
    return show(request, "unanswered.html", waiting=list(at.journal.waiting()), outcome="")


@changes
def resend(request: Request, form: FormData) -> Response:
    """Send the very same again."""
    at, name = desk(request), field(form, "name")
    found = next((each for each in at.journal.waiting() if each.name == name), None)
    if found is None or found.api != at.api.url:
        return go("/unanswered")
    try:
        answer = requests.send(at.api, at.journal, found)
    except NoAnswer as error:
        outcome = f"Still no answer to: {found.what} ({error})"
    else:
        if not answer.ok:
            raise Refused(answer)
        done = "had arrived before" if answer.replayed else "was accepted"
        outcome = f"This {done}: {found.what}"
    waiting = list(at.journal.waiting())
    return show(request, "unanswered.html", waiting=waiting, outcome=outcome)
