"""Commands that move money: pay, refund, capture, cancel, and resume what got no answer."""

import argparse
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from operations import api as apis
from operations import clients, look, requests, screen
from operations.api import Answer, NoAnswer, PaymentsApi
from operations.journal import Journal, Request
from operations.options import DONE, NO, UNKNOWN, Commands, add_command, add_yes
from payments.core.fields import OPTIONAL_FIELDS
from payments.core.payment import PaymentStatus

_MOVING: Final = frozenset({status.value for status in PaymentStatus if status.is_open})
_PAUSE_SECONDS: Final = 0.5


def add_to(commands: Commands) -> None:
    """Add the commands."""
    pay_ = add_command(commands, "pay", pay, "make a payment")
    pay_.add_argument("amount", help="such as 99.99")
    pay_.add_argument("currency", help="such as USD")
    _add_id(pay_, "payment")
    pay_.add_argument(
        "--capture", choices=("automatic", "manual"), help="manual: only authorise, capture later"
    )
    pay_.add_argument("--processor-customer", metavar="ID", help="who pays, at the processor")
    pay_.add_argument(
        "--processor-payment-method", metavar="ID", help="with what, at the processor"
    )
    add_wait(pay_)
    add_yes(pay_)

    refund_ = add_command(commands, "refund", refund, "give money of a payment back")
    refund_.add_argument("payment_id", help="such as pay_123456")
    refund_.add_argument("amount", nargs="?", help="how much (default: all that is left)")
    refund_.add_argument("--reason", help="why, for the record")
    _add_id(refund_, "refund")
    add_wait(refund_)
    add_yes(refund_)

    capture_ = add_command(commands, "capture", capture, "take money that a payment authorised")
    capture_.add_argument("payment_id", help="such as pay_123456")
    capture_.add_argument("amount", nargs="?", help="how much (default: all that is left)")
    capture_.add_argument(
        "--not-final", action="store_true", help="more will be captured: keep the rest authorised"
    )
    _add_id(capture_, "capture")
    add_wait(capture_)
    add_yes(capture_)

    cancel_ = add_command(commands, "cancel", cancel, "stop a payment that has captured nothing")
    cancel_.add_argument("payment_id", help="such as pay_123456")
    cancel_.add_argument("--reason", help="why, for the record")
    add_wait(cancel_)
    add_yes(cancel_)

    resume_ = add_command(commands, "resume", resume, "send again what got no answer")
    add_yes(resume_)


def _add_id(command: argparse.ArgumentParser, kind: str) -> None:
    command.add_argument(
        "--id", metavar="ID", help=f"the id of the {kind} (default: a new one that is told)"
    )


def add_wait(command: argparse.ArgumentParser) -> None:
    """Let a command ask how long to wait for the outcome."""
    command.add_argument(
        "--wait",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for the outcome (default: %(default)g; 0: do not)",
    )


def pay(options: argparse.Namespace) -> int:
    """Make a payment and wait for its outcome."""
    api = apis.find(options.env)
    fields = {
        "payment_id": options.id or requests.new_id("pay"),
        "amount": options.amount,
        "currency": options.currency,
        **{name: getattr(options, name) for name in OPTIONAL_FIELDS},
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return carry_out(options, api, requests.payment(given, api=api.url), given["payment_id"])


def refund(options: argparse.Namespace) -> int:
    """Give money back and wait for the outcome."""
    api = apis.find(options.env)
    refund_id = options.id or requests.new_id("re")
    request = requests.refund(
        options.payment_id, refund_id, options.amount, options.reason, api=api.url
    )
    return carry_out(options, api, request, options.payment_id)


def capture(options: argparse.Namespace) -> int:
    """Capture and wait for the outcome."""
    api = apis.find(options.env)
    capture_id = options.id or requests.new_id("cap")
    request = requests.capture(
        options.payment_id, capture_id, options.amount, final=not options.not_final, api=api.url
    )
    return carry_out(options, api, request, options.payment_id)


def cancel(options: argparse.Namespace) -> int:
    """Cancel a payment and wait until it is."""
    api = apis.find(options.env)
    request = requests.cancel(options.payment_id, options.reason, api=api.url)
    return carry_out(options, api, request, options.payment_id)


def resume(options: argparse.Namespace) -> int:
    """Send again what got no answer; return the worst exit code of all."""
    api, journal = apis.find(options.env), Journal(options.env)
    mine: list[Request] = []
    foreign: list[Request] = []
    for request in journal.waiting():
        (mine if request.api == api.url else foreign).append(request)
    for request in foreign:
        screen.complain(
            f"not sent: {request.what}: it was for {request.api}, which is not {options.env} now;"
            f" delete {journal.file(request)} to forget it"
        )
    for request in mine:
        screen.err().print(screen.text(f"no answer yet: {request.what}"))
    if mine and not screen.confirmed(f"Send {len(mine)} again in {options.env}?", yes=options.yes):
        return NO
    outcomes = [_resumed(api, journal, request) for request in mine]
    if options.json:
        unsent = [{"what": each.what, "error": f"it was for {each.api}"} for each in foreign]
        screen.document([*(told for told, _ in outcomes), *unsent])
    elif not mine and not foreign:
        screen.say("Nothing waits for an answer.")
    return max([code for _, code in outcomes], default=NO if foreign else DONE)


def _resumed(api: PaymentsApi, journal: Journal, request: Request) -> tuple[dict[str, Any], int]:
    try:
        answer = requests.send(api, journal, request)
    except NoAnswer as error:
        screen.complain(f"still no answer: {request.what}: {error}")
        return {"what": request.what, "error": str(error)}, UNKNOWN
    if answer.ok:
        done = "it had arrived before" if answer.replayed else "accepted"
        screen.err().print(screen.text(f"{done}: {request.what}", "green"))
    else:
        screen.complain(f"refused: {request.what}: {answer.problem}")
    told = {"what": request.what, "status": answer.status, "answer": answer.json()}
    return told, DONE if answer.ok else NO


def carry_out(
    options: argparse.Namespace, api: PaymentsApi, request: Request, payment_id: str
) -> int:
    """Ask, remember, send, and wait for what becomes of it."""
    who = clients.sts().get_caller_identity()["Arn"]
    question = f"{request.what[0].upper()}{request.what[1:]} in {options.env}, by {who}?"
    if not screen.confirmed(question, yes=options.yes):
        screen.complain("Nothing was sent.")
        return NO
    try:
        answer = requests.send(api, Journal(options.env), request)
    except NoAnswer as error:
        if options.json:
            screen.document({"what": request.what, "error": str(error)})
        screen.complain(
            f"No answer to: {request.what} ({error}). It may have arrived. Send the very same again"
            f" with: payments --env {options.env} resume"
        )
        return UNKNOWN
    if not answer.ok:
        if options.json:
            screen.document(answer.json())
        screen.complain(f"Refused: {request.what}: {answer.problem}")
        return NO
    return _told(options, api, request, answer, payment_id)


def _told(
    options: argparse.Namespace,
    api: PaymentsApi,
    request: Request,
    answer: Answer,
    payment_id: str,
) -> int:
    if answer.replayed:
        screen.err().print(screen.text("This was asked for before; nothing was done twice.", "dim"))
    told = _outcome(api, request, payment_id, answer.json(), options.wait)
    if options.json:
        screen.document(told)
    else:
        look.show_payment(told)
    if told.get("status") == PaymentStatus.IN_REVIEW.value:
        which = f" --refund {told['operation_id']}" if "operation_id" in told else ""
        screen.err().print(
            screen.text(
                "It waits for a second person: payments review approve"
                f" {payment_id}{which} --note …",
                "yellow",
            )
        )
    rejected = request.body.get("decision") == "reject"
    return NO if told.get("status") == "FAILED" and not rejected else DONE


def _outcome(
    api: PaymentsApi,
    request: Request,
    payment_id: str,
    told: Mapping[str, Any],
    patience: float,
) -> dict[str, Any]:
    """Wait until what was asked for is decided, or for so long; return how it stands then."""
    deadline = time.monotonic() + patience
    # A payment that waits for a person is not waited for here, unless the person just decided.
    moving = _MOVING | ({PaymentStatus.IN_REVIEW.value} if "decision" in request.body else set())
    standing = dict(told)
    with screen.progress(f"{payment_id}: {standing.get('status', '')}") as show:
        while standing.get("status") in moving and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
            try:
                answer = api.request("GET", requests.path_of(payment_id))
            except NoAnswer:
                break
            if answer.status != HTTPStatus.OK:
                break
            standing = _asked_for(answer.json(), told)
            show(f"{payment_id}: {standing.get('status', '')}")
    return standing


def _asked_for(payment: dict[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked for as a payment now tells of it: itself, or one of its operations."""
    if "operation_id" not in told:
        return payment
    which = (told["kind"], told["operation_id"])
    found = next(
        (each for each in payment["operations"] if (each["kind"], each["operation_id"]) == which),
        told,
    )
    return {**found, "payment_id": payment["payment_id"], "amounts": payment["amounts"]}
