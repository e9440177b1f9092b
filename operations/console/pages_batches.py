"""Pages about batch files: upload with a dry run first, progress, reports."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from operations import reports
from operations.batches import NotABatch
from operations.console.page import changes, desk, field, go, show, trouble
from operations.console.uploads import Upload
from payments.batches.batch import BATCH_ID, DRY_RUN_PREFIX
from payments.batches.progress import BatchStatus
from payments.batches.reports import REPORT_COLUMNS
from payments.core.clock import utc_text
from payments.core.payment import RowOutcome


def listed(request: Request) -> Response:
    """Show the form of an upload, and what was uploaded from here."""
    if batch_id := request.query_params.get("id", "").strip():
        if not BATCH_ID.fullmatch(batch_id):
            return trouble(request, "The id of a batch is batch_ and 32 of 0-9 and a-f.", 400)
        return go(f"/batches/{batch_id}")
    return show(request, "batches.html", uploads=desk(request).uploads.all(), problem="")


@changes
def upload(request: Request, form: FormData) -> Response:
    """Put a file into the batch bucket as a dry run, and show what it would do."""
    at, file = desk(request), form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        return show(
            request, "batches.html", status=400, uploads=at.uploads.all(), problem="Choose a file."
        )
    name = PurePosixPath(file.filename.replace("\\", "/")).name
    # A folder of its own, so that nobody else's file of this name is paid in its place.
    key = f"{DRY_RUN_PREFIX}{secrets.token_hex(8)}/{name}"
    try:
        batch_id = at.files.put(key, file.file)
    except NotABatch as error:
        return show(
            request, "batches.html", status=400, uploads=at.uploads.all(), problem=str(error)
        )
    now = utc_text(datetime.now(UTC))
    at.uploads.add(Upload(batch_id=batch_id, name=name, at=now, dry_run=True, key=key))
    return go(f"/batches/{batch_id}")


@changes
def pay(request: Request, form: FormData) -> Response:
    """Pay the very file whose dry run was looked at."""
    at = desk(request)
    tried = at.uploads.get(field(form, "batch_id"))
    if tried is None or not tried.dry_run:
        return trouble(request, "This dry run was not uploaded from here: upload the file.", 400)
    batch_id = at.files.pay(tried.key, tried.name)
    now = utc_text(datetime.now(UTC))
    at.uploads.add(Upload(batch_id=batch_id, name=tried.name, at=now, dry_run=False, key=""))
    return go(f"/batches/{batch_id}")


def one(request: Request) -> Response:
    """Show how far a batch is, and what became of its rows."""
    at, batch_id = desk(request), request.path_params["batch_id"]
    uploaded, summary = at.uploads.get(batch_id), at.files.look(batch_id)
    if summary is None:
        return show(
            request,
            "batch_unseen.html",
            status=200 if uploaded else 404,
            batch_id=batch_id,
            uploaded=uploaded,
            moving=bool(uploaded),
        )
    ended = BatchStatus(summary["status"]).has_ended
    read = at.files.read(summary) if ended else None
    accepted = summary["accepted"]
    done = sum(summary.get(outcome.value, 0) for outcome in RowOutcome)
    return show(
        request,
        "batch.html",
        batch=summary,
        outcomes={each.value: summary.get(each.value, 0) for each in RowOutcome},
        progress=min(100, done * 100 // accepted) if accepted else 0,
        done=done,
        ended=ended,
        moving=not ended,
        uploaded=uploaded,
        rejected=list(_rejected(read)) if read else [],
        unpaid=list(_unpaid(read)) if read else [],
        downloads=list(_downloads(summary)) if ended else [],
        payable=reports.would_do(summary),
    )


def _rejected(read: reports.Report) -> Iterator[dict[str, Any]]:
    columns = set(REPORT_COLUMNS)
    for row in read.rejected:
        yield {
            "line": row[reports.LINE],
            "faults": reports.faults(row),
            "cells": {name: cell for name, cell in row.items() if name not in columns},
        }


def _unpaid(read: reports.Report) -> Iterator[dict[str, str]]:
    for row in read.not_paid:
        yield {
            "line": row[reports.NOT_PAID_LINE],
            "payment_id": row["payment_id"] or row[reports.NOT_PAID_ID],
            "why": reports.why_not_paid(row),
        }


def _downloads(summary: Any) -> Iterator[str]:
    told = summary["reports"]
    for uri in (*told["rejected"], *told["not_paid"], told["summary"]):
        if uri:
            yield PurePosixPath(uri).name


def report(request: Request) -> Response:
    """Hand a report out as a file; only one that the batch itself names."""
    at, batch_id = desk(request), request.path_params["batch_id"]
    summary = at.files.look(batch_id)
    told = summary["reports"] if summary else {"rejected": [], "not_paid": [], "summary": None}
    uris = {
        PurePosixPath(uri).name: uri
        for uri in (*told["rejected"], *told["not_paid"], told["summary"])
        if uri
    }
    name = request.path_params["name"]
    if name not in uris:
        return trouble(request, "This batch has no such report.", 404)
    return StreamingResponse(
        at.files.report(uris[name]),
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{batch_id}-{name}"'},
    )
