"""Commands of approvers: what waits for a second person, approve, reject."""

import argparse

from operations import api as apis
from operations import look, money, requests, screen
from operations.options import DONE, NO, Commands, add_command, add_group, add_yes

DECISIONS = {
    "approve": "let a payment go: it is charged",
    "reject": "stop a payment: it fails, and nothing is ever charged",
}


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "review", "decide about payments that wait for a second person")
    list_ = add_command(group, "list", list_reviews, "list what waits, newest first")
    list_.add_argument("--cursor", help="go on where an earlier page ended (its next_cursor)")
    for decision, meaning in DECISIONS.items():
        decide_ = add_command(group, decision, decide, meaning)
        decide_.add_argument("payment_id", help="such as pay_123456")
        decide_.add_argument("--note", required=True, help="why, for the record")
        decide_.set_defaults(decision=decision)
        money.add_wait(decide_)
        add_yes(decide_)


def list_reviews(options: argparse.Namespace) -> int:
    """Show one page of the payments that wait."""
    query = {"limit": "100", "status": "IN_REVIEW"}
    if options.cursor:
        query["cursor"] = options.cursor
    answer = apis.find(options.env).request("GET", "/payments", query=query)
    if not answer.ok:
        screen.complain(answer.problem)
        return NO
    look.show_page(answer.json(), as_json=options.json)
    return DONE


def decide(options: argparse.Namespace) -> int:
    """Approve or reject, and wait for what becomes of the payment."""
    api = apis.find(options.env)
    request = requests.review(options.payment_id, options.decision, options.note, api=api.url)
    return money.carry_out(options, api, request, options.payment_id)
