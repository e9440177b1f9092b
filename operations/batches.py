"""Batch files: from this machine into the batch bucket, followed to their end, and the reports back."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from operations import reports
from payments.batches.batch import DRY_RUN_PREFIX, REFUNDS_PREFIX, Batch, BatchKind, ObjectVersion
from payments.batches.progress import BatchStatus
from payments.core.payment import RowOutcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

type Look = Callable[[str], Mapping[str, Any] | None]
"""What ``GET /batches/{batch_id}`` answers; ``None`` as long as the file is not seen."""

_PAUSE_SECONDS: Final = 0.5


class NotABatch(Exception):
    """A file that cannot be uploaded as a batch, and why."""


class Standstill(Exception):
    """A batch did not move for as long as somebody was patient."""


class BatchFiles:
    """The batch files of one environment.

    Args:
        s3: a client that may put files and read reports.
        suffix: the environment.
        look: how far a batch is.
    """

    def __init__(self, s3: "S3Client", suffix: str, look: Look) -> None:
        self._s3 = s3
        self._bucket = f"payment-batch-files-{suffix}"
        self._results = f"payment-batch-results-{suffix}"
        self.look = look

    def upload(self, file: Path, *, dry_run: bool = False, refunds: bool = False) -> str:
        """Put a file into the batch bucket and return the id of the batch that it becomes.

        Args:
            file: of payments, or of refunds.
            dry_run: only report what the file would do.
            refunds: what it asks for are refunds.

        Raises:
            NotABatch: it is no `.csv` file, or cannot be read.
        """
        try:
            with file.open("rb") as content:
                folders = (DRY_RUN_PREFIX if dry_run else "", REFUNDS_PREFIX if refunds else "")
                return self.put(f"{''.join(folders)}{file.name}", content)
        except OSError as error:
            raise NotABatch(f"Cannot read {file}: {error.strerror}") from error

    def put(self, key: str, content: IO[bytes]) -> str:
        """Put what a file holds into the batch bucket and return the id of its batch.

        Raises:
            NotABatch: the key does not end in `.csv`.
        """
        if not key.lower().endswith(".csv"):
            name = key.rpartition("/")[2]
            raise NotABatch(f"Only names that end in .csv start a batch, and {name} does not.")
        stored = self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)
        return Batch(ObjectVersion(self._bucket, key, stored["VersionId"])).batch_id

    def pay(self, dry_run_key: str, key: str) -> str:
        """Pay the file of a dry run: copy it to where files are paid, and return its batch's id."""
        stored = self._s3.copy_object(
            Bucket=self._bucket,
            Key=key,
            CopySource={"Bucket": self._bucket, "Key": dry_run_key},
            MetadataDirective="REPLACE",
        )
        return Batch(ObjectVersion(self._bucket, key, stored["VersionId"])).batch_id

    def follow(
        self,
        batch_id: str,
        *,
        note: Callable[[str], None] = lambda _: None,
        patience: float = 60.0,
    ) -> reports.Report:
        """Follow a batch to its end and read its reports.

        Args:
            batch_id: from `upload`.
            note: called with its progress in words.
            patience: seconds without any progress after which it is given up.

        Raises:
            Standstill: nothing moved for `patience` seconds.
        """
        seen, deadline = "", time.monotonic() + patience
        while time.monotonic() < deadline:
            summary = self.look(batch_id)
            if summary is not None:
                if BatchStatus(summary["status"]).has_ended:
                    return self.read(summary)
                told = progress(summary)
                if told != seen:
                    seen, deadline = told, time.monotonic() + patience
                    note(told)
            time.sleep(_PAUSE_SECONDS)
        raise Standstill(
            f"{batch_id} did not move for {patience:.0f} s; the last that was seen: {seen or 'nothing'}"
        )

    def read(self, summary: Mapping[str, Any]) -> reports.Report:
        """Read the first rows of a batch's reports."""
        return reports.read(summary, self._rows)

    def _rows(self, uri: str) -> Iterator[reports.Row]:
        return reports.rows(self._s3.get_object(**self._object(uri))["Body"])

    def report(self, uri: str) -> Iterator[bytes]:
        """Yield a report at an S3 URI, some of it at a time."""
        yield from self._s3.get_object(**self._object(uri))["Body"].iter_chunks()

    def _object(self, uri: str) -> Any:
        """Return where a report is; nothing but this environment's reports is read."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if bucket != self._results:
            raise NotABatch(f"{uri} is no report of this environment")
        return {"Bucket": bucket, "Key": key}


def progress(summary: Mapping[str, Any]) -> str:
    """Say how far a batch is."""
    done = sum(summary.get(outcome.value, 0) for outcome in RowOutcome)
    what = "refunds" if summary.get("kind") == BatchKind.REFUNDS else "payments"
    return (
        f"{summary['rows']} rows read, {summary['rejected']} rejected, "
        f"{done} of {summary['accepted']} {what} final"
    )
