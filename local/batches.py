"""Batch files: from this machine into the batch bucket, and the report back."""

import csv
import time
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local import reports
from local.api import PaymentsApi
from local.deployment import Deployment
from local.errors import RigError
from payments.batches.batch import Batch, ObjectVersion
from payments.batches.progress import BatchStatus
from payments.core.payment import RowOutcome


def upload(deployment: Deployment, file: Path, *, prefix: str = "") -> str:
    """Put a file into the batch bucket and return the id of the batch that it becomes.

    Raises:
        RigError: it is no `.csv` file, or cannot be read.
    """
    if file.suffix.lower() != ".csv":
        raise RigError(f"Only names that end in .csv start a batch, and {file.name} does not.")
    bucket, key = deployment.outputs()["batch_bucket"], f"{prefix}{file.name}"
    try:
        with file.open("rb") as content:
            stored = deployment.clients.s3.put_object(Bucket=bucket, Key=key, Body=content)
    except OSError as error:
        raise RigError(f"Cannot read {file}: {error.strerror}") from error
    return Batch(ObjectVersion(bucket, key, stored["VersionId"])).batch_id


def follow(
    deployment: Deployment,
    batch_id: str,
    *,
    note: Callable[[str], None] = lambda _: None,
    patience: float = 60.0,
) -> reports.Report:
    """Follow a batch to its end.

    Args:
        deployment: where it was uploaded.
        batch_id: from `upload`.
        note: called with its progress in words.
        patience: seconds without any progress after which it is given up.

    Raises:
        RigError: nothing moved for `patience` seconds.
    """
    api = PaymentsApi(deployment.api_url_by_path, authority=deployment.emulator.authority)
    seen, deadline = "", time.monotonic() + patience
    while time.monotonic() < deadline:
        answer = api.request("GET", f"/batches/{batch_id}")
        if answer.status == HTTPStatus.OK:
            summary = answer.json()
            if BatchStatus(summary["status"]).has_ended:
                return reports.read(summary, partial(_rows, deployment))
            progress = _progress(summary)
            if progress != seen:
                seen, deadline = progress, time.monotonic() + patience
                note(progress)
        time.sleep(0.5)
    raise RigError(
        f"{batch_id} did not move for {patience:.0f} s; the last that was seen: {seen or 'nothing'}"
    )


def _progress(summary: dict[str, Any]) -> str:
    done = sum(summary[outcome.value] for outcome in RowOutcome)
    return (
        f"{summary['rows']} rows read, {summary['rejected']} rejected, "
        f"{done} of {summary['accepted']} payments final"
    )


def _rows(deployment: Deployment, uri: str) -> Iterator[reports.Row]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return reports.rows(deployment.clients.s3.get_object(Bucket=bucket, Key=key)["Body"])


def payment_ids(file: Path) -> list[str]:
    """Return the payment ids of a well-formed batch file, in its order."""
    with file.open(encoding="utf-8-sig", newline="") as rows:
        return [row["payment_id"] for row in csv.DictReader(rows)]
