"""Batch files of the local cloud, for the demonstration and for tests."""

import csv
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local.api import PaymentsApi
from local.deployment import Deployment
from operations.batches import BatchFiles
from operations.reports import Report


def upload(
    deployment: Deployment, file: Path, *, dry_run: bool = False, refunds: bool = False
) -> str:
    """Put a file into the batch bucket and return the id of the batch that it becomes."""
    return _files(deployment).upload(file, dry_run=dry_run, refunds=refunds)


def follow(
    deployment: Deployment,
    batch_id: str,
    *,
    note: Callable[[str], None] = lambda _: None,
    patience: float = 60.0,
) -> Report:
    """Follow a batch to its end (:meth:`operations.batches.BatchFiles.follow`)."""
    return _files(deployment).follow(batch_id, note=note, patience=patience)


def _files(deployment: Deployment) -> BatchFiles:
    api = PaymentsApi(deployment.api_url_by_path, authority=deployment.emulator.authority)

    def look(batch_id: str) -> Mapping[str, Any] | None:
        answer = api.request("GET", f"/batches/{batch_id}")
        return answer.json() if answer.status == HTTPStatus.OK else None

    return BatchFiles(deployment.clients.s3, deployment.workspace.suffix, look)


def payment_ids(file: Path) -> list[str]:
    """Return the payment ids of a well-formed batch file, in its order."""
    with file.open(encoding="utf-8-sig", newline="") as rows:
        return [row["payment_id"] for row in csv.DictReader(rows)]
