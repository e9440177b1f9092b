"""``payments books``: what the accounts stand at, whether that is right, and a journal to take away.

A balance is what was debited to an account less what was credited. ``processor`` is what the
processor holds for you, ``client`` what you owe to who asked for the payments, ``refunds_pending``
what is promised to customers and not paid back yet.
"""

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from operations import clients, screen
from operations.export import HEADING, Entry, commodity, entries
from operations.failures import tell
from operations.ledger import Ledger, TooBusy
from operations.options import DONE, FAILED, NO, Commands, add_command, add_group, moment
from operations.proofs import UNREADABLE, Accounts, Fault
from operations.proving import Proof, Prover

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "books", "balances of accounts, and the proof that they are right")
    balances = add_command(group, "balances", _balances, "what each account stands at")
    _add_moment(balances, "--at", "at", "as it was just before (default: now)")
    add_command(
        group,
        "prove",
        _prove,
        "rebuild every payment and operation from the audit trail, and compare all sums",
    )
    export = add_command(
        group,
        "export",
        _export,
        "write every posting as a journal for hledger",
        description="Write every posting as a journal for hledger; with --json, as a line of JSON.",
    )
    _add_moment(export, "--from", "first", "the first moment (default: the beginning)")
    _add_moment(export, "--to", "end", "the first moment after it (default: now)")


def _add_moment(command: argparse.ArgumentParser, name: str, dest: str, meaning: str) -> None:
    command.add_argument(
        name, type=moment, metavar="TIME", dest=dest, help=f"{meaning}, such as 2026-03-12T19:00Z"
    )


# --- balances


def _balances(options: argparse.Namespace) -> int:
    at = _text(options.at or datetime.now(UTC))
    accounts, opening, unreadable = Accounts(), 0, 0
    try:
        for entry in _entries(options.env, _text(_BEGINNING), at):
            if isinstance(entry, Fault):
                unreadable += 1
            else:
                accounts.post(entry.unit, entry.posting)
                opening += entry.is_opening
    except (*clients.AWS_FAILURES, TooBusy) as error:
        return _stopped(options.env, error)
    if options.json:
        screen.document(_balances_document(accounts, options.env, at, opening))
        return NO if unreadable else DONE
    screen.say(f"{options.env} just before {at}")
    rows = [
        (
            balance.unit.currency,
            balance.account,
            balance.unit.text(balance.debits),
            balance.unit.text(balance.credits),
            balance.unit.text(balance.minor),
        )
        for balance in accounts
    ]
    amounts = ("debits", "credits", "balance")
    screen.out().print(screen.table(("currency", "account", *amounts), rows, right=amounts))
    _tell_opening(opening)
    return NO if unreadable else DONE


def _balances_document(
    accounts: Accounts, environment: str, at: str, opening: int
) -> dict[str, object]:
    return {
        "environment": environment,
        "at": at,
        "balances": [
            {
                "currency": balance.unit.currency,
                "account": balance.account,
                "debits": balance.unit.text(balance.debits),
                "credits": balance.unit.text(balance.credits),
                "balance": balance.unit.text(balance.minor),
                "balance_minor": balance.minor,
            }
            for balance in accounts
        ],
        "from_before_postings": opening,
    }


def _tell_opening(postings: int) -> None:
    if postings:
        charges = _count(postings, "charge", "charges")
        screen.say(f"Counted as well: {charges} from before records had postings.")


# --- prove


def _prove(options: argparse.Namespace) -> int:
    proof = Proof()
    try:
        with screen.progress("reading") as show:
            prover = Prover(Ledger(clients.dynamodb(), options.env), datetime.now(UTC))
            for proof in prover.prove():
                books = proof.books
                show(f"{proof.doing}: {books.payments:,} payments, {books.records:,} records read")
    except (*clients.AWS_FAILURES, TooBusy) as error:
        return _stopped(options.env, error)
    if options.json:
        screen.document(_proof_document(proof, options.env))
    else:
        _show(proof)
    return NO if proof.failures else DONE


def _proof_document(proof: Proof, environment: str) -> dict[str, object]:
    books = proof.books
    return {
        "environment": environment,
        "holds": not proof.failures,
        "payments": books.payments,
        "operations": books.operations,
        "records": books.records,
        "batches": proof.batches,
        "batches_in_motion": proof.in_motion,
        "from_before_postings": books.opening,
        "totals": [
            {
                "currency": total.unit.currency,
                "total": total.name,
                "books": total.unit.text(total.books),
                "tables": total.unit.text(total.tables),
                "holds": total.holds,
            }
            for total in books.totals()
        ],
        "failures": proof.failures,
        "faults": [fault._asdict() for fault in proof.faults],
    }


def _show(proof: Proof) -> None:
    books = proof.books
    for fault in proof.faults:
        screen.say(fault, "red")
    if proof.failures > len(proof.faults):
        screen.say(f"... and {proof.failures - len(proof.faults)} more", "red")
    rows = [
        (
            total.unit.currency,
            total.name,
            total.unit.text(total.books),
            total.unit.text(total.tables),
            screen.text("holds", "green") if total.holds else screen.text("differs", "red"),
        )
        for total in books.totals()
    ]
    columns = ("currency", "what must hold", "books", "tables", "")
    screen.out().print(screen.table(columns, rows, right=("books", "tables")))
    _tell_opening(books.opening)
    if proof.in_motion:
        batches = _count(proof.in_motion, "batch", "batches")
        screen.say(f"Left for the next proof, because they changed meanwhile: {batches}.")
    faults = _count(proof.failures, "fault", "faults")
    verdict = faults if proof.failures else "the books are right"
    screen.say(
        f"{_count(books.payments, 'payment', 'payments')},"
        f" {_count(books.operations, 'operation', 'operations')}"
        f" and {_count(proof.batches, 'batch', 'batches')}"
        f" compared with {_count(books.records, 'record', 'records')}: {verdict}",
        "red" if proof.failures else "green",
    )


# --- export


def _export(options: argparse.Namespace) -> int:
    first, end = options.first or _BEGINNING, options.end or datetime.now(UTC)
    if first >= end:
        screen.complain(f"--from {_text(first)} must be before --to {_text(end)}")
        return FAILED
    unreadable, declared = 0, set()
    if not options.json:
        print(HEADING)
    try:
        for entry in _entries(options.env, _text(first), _text(end)):
            if isinstance(entry, Fault):
                unreadable += 1
            elif options.json:
                print(json.dumps(entry.to_dict()))
            else:
                if entry.unit not in declared:
                    declared.add(entry.unit)
                    print(f"{screen.visible(commodity(entry.unit))}\n")
                for line in entry.to_hledger().splitlines():
                    print(screen.visible(line))
                print()
    except (*clients.AWS_FAILURES, TooBusy) as error:
        return _stopped(options.env, error)
    return NO if unreadable else DONE


# --- what they share


def _entries(environment: str, first: str, end: str) -> Iterator[Entry | Fault]:
    """Yield every posting of a span of time; a record that cannot be read is told of."""
    ledger = Ledger(clients.dynamodb(), environment)
    with screen.progress("reading") as show:
        for number, record in enumerate(ledger.records_with_postings(first, end), 1):
            show(f"{number} records that moved money")
            try:
                yield from entries(record)
            except UNREADABLE as error:
                fault = Fault(
                    str(record.get("payment_id")),
                    f"record {record.get('sequence')} cannot be read: {error!r}",
                )
                screen.complain(fault)
                yield fault


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _stopped(environment: str, error: Exception) -> int:
    return tell(f"The books of {environment!r} cannot be read", error)


def _text(moment_: datetime) -> str:
    """Write a time as records hold it, so that it compares as text."""
    return moment_.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
