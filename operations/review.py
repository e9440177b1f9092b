"""Commands of approvers: what waits for a second person, approve, reject."""

import argparse
from collections.abc import Mapping
from typing import Any

from operations import api as apis
from operations import money, requests, screen
from operations.options import DONE, NO, Commands, add_command, add_group, add_yes

DECISIONS = {
    "approve": "let a payment or a refund go: it is charged, or given back",
    "reject": "stop a payment or a refund: it fails, and nothing is charged or given back",
}


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "review", "decide about what waits for a second person")
    add_command(group, "list", list_reviews, "list what waits, oldest first")
    for decision, meaning in DECISIONS.items():
        decide_ = add_command(group, decision, decide, meaning)
        decide_.add_argument("payment_id", help="such as pay_123456")
        decide_.add_argument("--refund", metavar="ID", help="this refund of the payment")
        decide_.add_argument("--note", required=True, help="why, for the record")
        decide_.set_defaults(decision=decision)
        money.add_wait(decide_)
        add_yes(decide_)


def list_reviews(options: argparse.Namespace) -> int:
    """Show the payments and refunds that wait."""
    answer = apis.find(options.env).request("GET", "/reviews")
    waiting = answer.json()
    if options.json:
        screen.document(waiting)
    if not answer.ok:
        screen.complain(answer.problem)
        return NO
    if not options.json:
        _show(waiting)
    return DONE


def _show(waiting: Mapping[str, Any]) -> None:
    if not waiting["data"]:
        screen.say("Nothing waits for a decision.")
        return
    rows = [
        (
            each["waits_since"],
            each["kind"],
            each["payment_id"],
            each.get("refund_id", ""),
            each["amount"],
            each["currency"],
            each.get("submitted_by", ""),
        )
        for each in waiting["data"]
    ]
    columns = ("waits since (UTC)", "what", "payment", "refund", "amount", "", "submitted by")
    screen.out().print(screen.table(columns, rows, right=("amount",)))
    if waiting["has_more"]:
        screen.err().print(screen.text("More wait; these wait longest.", "dim"))


def decide(options: argparse.Namespace) -> int:
    """Approve or reject, and wait for what becomes of the payment or the refund."""
    api = apis.find(options.env)
    request = requests.review(
        options.payment_id,
        options.decision,
        options.note,
        api=api.url,
        refund_id=options.refund,
    )
    return money.carry_out(options, api, request, options.payment_id)
