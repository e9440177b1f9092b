"""Commands that look: one payment, and lists of payments."""

import argparse
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from rich.text import Text

from operations import api as apis
from operations import requests, screen
from operations.options import DONE, NO, Commands, add_command

FILTERS: Final = {
    "status": "only those with this status, such as FAILED",
    "currency": "only those in this currency, such as EUR",
    "created_from": "only those accepted then or later, such as 2026-03-12T19:00:00Z",
    "created_to": "only those accepted before, such as 2026-03-13T00:00:00Z",
    "batch_id": "only those of this batch",
    "cursor": "go on where an earlier page ended (its next_cursor)",
}
"""What a list may be asked for (openapi.yaml, ``GET /payments``), and what it means."""

_AMOUNTS: Final = (
    *("authorized", "captured", "captures_pending", "capturable"),
    *("refunded", "refunds_pending", "refundable"),
)


def add_to(commands: Commands) -> None:
    """Add the commands."""
    get_ = add_command(commands, "get", get, "show a payment, with its history and amounts")
    get_.add_argument("payment_id", help="such as pay_123456")
    list_ = add_command(commands, "list", list_payments, "list payments, newest first")
    list_.add_argument("--limit", type=int, default=20, help="at most so many (default: 20)")
    for name, meaning in FILTERS.items():
        list_.add_argument(f"--{name.replace('_', '-')}", metavar=name.upper(), help=meaning)


def get(options: argparse.Namespace) -> int:
    """Show one payment."""
    answer = apis.find(options.env).request("GET", requests.path_of(options.payment_id))
    if options.json:
        screen.document(answer.json())
    if answer.status == HTTPStatus.NOT_FOUND:
        screen.complain(
            f"No payment {options.payment_id!r} in {options.env!r}. A row of a batch becomes a"
            " payment only when its message is handled."
        )
        return NO
    if not answer.ok:
        screen.complain(answer.problem)
        return NO
    if not options.json:
        show_payment(answer.json())
    return DONE


def list_payments(options: argparse.Namespace) -> int:
    """Show one page of payments."""
    query = {"limit": str(options.limit)}
    query |= {name: value for name in FILTERS if (value := getattr(options, name))}
    answer = apis.find(options.env).request("GET", "/payments", query=query)
    if not answer.ok:
        if options.json:
            screen.document(answer.json())
        screen.complain(answer.problem)
        return NO
    show_page(answer.json(), as_json=options.json)
    return DONE


def show_page(page: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a page of payments, and how to go on."""
    if as_json:
        screen.document(page)
        return
    rows = [
        (each["created_at"], each["payment_id"], *_money(each), screen.status(each["status"]))
        for each in page["data"]
    ]
    columns = ("accepted (UTC)", "payment", "amount", "", "status")
    screen.out().print(screen.table(columns, rows, right=("amount",)))
    if page.get("has_more"):
        screen.err().print(screen.text(f"more: add --cursor {page['next_cursor']}", "dim"))


def show_payment(payment: Mapping[str, Any]) -> None:
    """Print a payment, or an operation of one, as the API tells of it."""
    console = screen.out()
    head = Text.assemble(
        screen.text(_name(payment), "bold"), "  ", screen.text(" ".join(_money(payment))), "  "
    )
    console.print(head + screen.status(payment.get("status", "")))
    if "failure_code" in payment:
        console.print(
            screen.text(f"{payment['failure_message']} ({payment['failure_code']})", "red")
        )
    if amounts := amounts_of(payment):
        told = ", ".join(f"{name.replace('_', ' ')} {each}" for name, each in amounts.items())
        console.print(screen.text(told))
    if history := payment.get("history"):
        rows = [(each["at"], screen.status(each["status"])) for each in history]
        console.print(screen.table(("since (UTC)", "status"), rows))


def amounts_of(payment: Mapping[str, Any]) -> dict[str, str]:
    """Return the amounts of a payment that the API tells, by name, without those that are zero."""
    told = payment.get("amounts", payment)
    amounts = {name: str(told[name]) for name in _AMOUNTS if name in told}
    return {name: each for name, each in amounts.items() if each.strip("0.")}


def _name(shown: Mapping[str, Any]) -> str:
    payment_id = str(shown.get("payment_id", ""))
    if "operation_id" in shown:
        return f"{payment_id}: {shown.get('kind')} {shown['operation_id']}"
    return payment_id


def _money(shown: Mapping[str, Any]) -> tuple[str, str]:
    return str(shown.get("amount", "")), str(shown.get("currency", ""))
