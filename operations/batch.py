"""Commands about batch files: upload one, follow it, fetch its reports."""

import argparse
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from operations import api as apis
from operations import clients, reports, screen
from operations.api import PaymentsApi
from operations.batches import BatchFiles
from operations.options import DONE, NO, Commands, add_command, add_group, add_yes
from payments.batches.progress import BatchStatus
from payments.core.payment import RowOutcome

_COUNTS = ("rows", "accepted", "rejected", *(outcome.value for outcome in RowOutcome))


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "batch", "pay by the file: upload, follow, reports")
    upload_ = add_command(
        group,
        "upload",
        upload,
        "show what a CSV file would do, then pay it",
        description="Show what a CSV file would do, ask, then pay it and follow it to its end.",
    )
    upload_.add_argument("file", type=Path, help="such as samples/payments.csv")
    upload_.add_argument(
        "--refunds", action="store_true", help="the rows ask for refunds, not for payments"
    )
    upload_.add_argument("--dry-run", action="store_true", help="only report, pay nothing")
    _add_patience(upload_)
    add_yes(upload_)
    follow_ = add_command(group, "follow", follow, "follow a batch to its end")
    follow_.add_argument("batch_id")
    _add_patience(follow_)
    report_ = add_command(group, "report", report, "fetch the reports of a batch")
    report_.add_argument("batch_id")
    report_.add_argument(
        "--to", type=Path, metavar="FOLDER", help="where to (default: a folder named as the batch)"
    )


def _add_patience(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--patience",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="give up after so long without progress (default: %(default)g)",
    )


def files_of(api: PaymentsApi, suffix: str) -> BatchFiles:
    """Return the batch files of an environment, as its API tells of them."""

    def look(batch_id: str) -> Mapping[str, Any] | None:
        answer = api.request("GET", f"/batches/{batch_id}")
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not answer.ok:
            raise Refused(answer.problem)
        return answer.json()

    return BatchFiles(clients.s3(), suffix, look)


class Refused(Exception):
    """The API does not tell of a batch, and why."""


def upload(options: argparse.Namespace) -> int:
    """Show what a file would do, ask, then pay it; with ``--yes`` pay it directly."""
    files = files_of(apis.find(options.env), options.env)
    if options.dry_run or not options.yes:
        would = _followed(
            options, files, files.upload(options.file, dry_run=True, refunds=options.refunds)
        )
        summary = would.summary
        if options.dry_run or summary["status"] != BatchStatus.COMPLETED or not summary["accepted"]:
            return _told(options, would)
        if not options.json:
            show(would)
        sums = reports.sums(summary["accepted_amounts"])
        question = (
            f"{'Refund' if options.refunds else 'Pay'} {reports.would_do(summary)} of {summary['rows']} rows of {options.file.name} in {options.env}"
            f" (accepted: {sums})?"
        )
        if not screen.confirmed(question, yes=False):
            screen.complain(f"Nothing was {'refunded' if options.refunds else 'paid'}.")
            return NO
    batch_id = files.upload(options.file, refunds=options.refunds)
    screen.err().print(screen.text(f"{options.file.name} is {batch_id}"))
    return _told(options, _followed(options, files, batch_id))


def follow(options: argparse.Namespace) -> int:
    """Follow a batch to its end and tell of its rows."""
    files = files_of(apis.find(options.env), options.env)
    return _told(options, _followed(options, files, options.batch_id))


def _followed(options: argparse.Namespace, files: BatchFiles, batch_id: str) -> reports.Report:
    with screen.progress(f"{batch_id}: waiting for it to be seen") as show:
        return files.follow(batch_id, note=show, patience=options.patience)


def _told(options: argparse.Namespace, report: reports.Report) -> int:
    if options.json:
        screen.document(dict(report.summary))
    else:
        show(report)
    ended_well = report.summary["status"] == BatchStatus.COMPLETED
    return DONE if ended_well and not report.summary["rejected"] else NO


def show(report: reports.Report) -> None:
    """Print what became of a batch: counts, sums, and the first rows that were not paid."""
    summary, console = report.summary, screen.out()
    what = " (dry run: nothing is paid)" if summary.get("dry_run") else ""
    console.print(screen.text(f"{summary['batch_id']}: {summary['status']}{what}"))
    if "reason" in summary:
        console.print(screen.text(reports.shown(summary["reason"]["message"]), "red"))
    counts = [name for name in _COUNTS if summary.get(name) or name in _COUNTS[:3]]
    row = [str(summary[name]) for name in counts]
    sums = reports.sums(summary["accepted_amounts"])
    console.print(screen.table((*counts, "accepted amounts"), [(*row, sums)], right=counts))
    for line in reports.lines(report):
        console.print(screen.text(line))


def report(options: argparse.Namespace) -> int:
    """Fetch every report of a batch into a folder."""
    files = files_of(apis.find(options.env), options.env)
    summary = files.look(options.batch_id)
    if summary is None:
        screen.complain(f"No batch {options.batch_id!r} in {options.env!r}.")
        return NO
    told = summary["reports"]
    uris = [uri for uri in (told["summary"], *told["rejected"], *told["not_paid"]) if uri]
    folder = options.to or Path(summary["batch_id"])
    written = []
    for uri in uris:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / Path(uri).name
        with target.open("wb") as file:
            file.writelines(files.report(uri))
        written.append(str(target))
    if options.json:
        screen.document(written)
    else:
        for each in written:
            screen.say(each)
        if not written:
            screen.say(f"{options.batch_id} has no report yet: it is {summary['status']}.")
    return DONE
