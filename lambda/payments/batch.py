"""A batch: one version of a CSV file, each valid row of it queued as its own payment.

Every step may be repeated at any time, by a retry or by a twin: rows that were queued before are
replays, reports and range results are written again as they were.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self

from payments.batch_report import RejectedRows, not_paid_csv
from payments.batch_store import BatchProgress, BatchStatus, BatchStore, RangeResult
from payments.csv_rows import ByteRange, RejectedRow, ValidRow, plan_file, read_rows
from payments.errors import UnreadableFile
from payments.events import PaymentQueue
from payments.models import utc_now
from payments.objects import ObjectStore, ObjectVersion

RANGE_BYTES: Final = 8 * 1024 * 1024
"""About how much of a file one invocation works on."""

DRY_RUN_PREFIX: Final = "dry-run/"
"""Files under this prefix are reported on as any other, and nothing of them is queued."""

LONGEST_WAIT_SECONDS: Final = 600
"""Between two looks at a batch: an execution's history has room for two weeks of such looks."""

CALLS_IN_FLIGHT: Final = 32
"""How many calls to the queue wait for their answer at the same time.

As many as keep one core at work while SQS takes 10 ms for each; more only wait for the core.
"""

# The plan of a file passes through the state of its workflow, which holds 256 KiB.
_MOST_RANGES: Final = 2000
_FIRST_WAIT_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """One version of one file. Its id follows from bucket, key and version."""

    source: ObjectVersion

    @property
    def batch_id(self) -> str:
        """``batch_`` and 32 hexadecimal digits of the SHA-256 over bucket, key and version."""
        name = f"{self.source.bucket}\n{self.source.key}\n{self.source.version_id}"
        return f"batch_{hashlib.sha256(name.encode()).hexdigest()[:32]}"

    @property
    def is_dry_run(self) -> bool:
        """Whether the file is only to be reported on."""
        return self.source.key.startswith(DRY_RUN_PREFIX)

    def to_dict(self) -> dict[str, str]:
        """Return the batch as its workflow passes it on."""
        return {
            "batch_id": self.batch_id,
            "bucket": self.source.bucket,
            "key": self.source.key,
            "version_id": self.source.version_id,
        }

    @classmethod
    def from_dict(cls, document: dict[str, str]) -> Self:
        """Read what :meth:`to_dict` returned."""
        return cls(ObjectVersion(document["bucket"], document["key"], document["version_id"]))


@dataclass(slots=True)
class RowTally:
    """What is counted while the rows of a range go by; sums are in minor units."""

    accepted: int = 0
    accepted_minor: dict[str, int] = field(default_factory=dict)


class BatchProcessing:
    """The steps of a batch's workflow."""

    def __init__(
        self,
        objects: ObjectStore,
        queue: PaymentQueue,
        store: BatchStore,
        results_bucket: str,
        *,
        clock: Callable[[], str] = utc_now,
        range_bytes: int = RANGE_BYTES,
    ) -> None:
        self._objects = objects
        self._queue = queue
        self._store = store
        self._results_bucket = results_bucket
        self._clock = clock
        self._range_bytes = range_bytes

    def plan(self, batch: Batch, size: int) -> dict[str, Any]:
        """Read a file through once and cut it into ranges.

        Args:
            batch: what to plan.
            size: bytes of the file, as the upload's event says.

        Returns:
            ``columns``, ``ranges`` and the ``notification`` that the batch has started. A file
            that cannot be read as such has no ranges, and its status says why.

        Raises:
            ServiceUnavailable: try again.
        """
        started_at = self._record_start(batch)
        range_bytes = max(self._range_bytes, -(-size // _MOST_RANGES))
        columns: tuple[str, ...] = ()
        ranges: tuple[ByteRange, ...] = ()
        try:
            plan = plan_file(self._objects.read(batch.source), range_bytes)
            columns, ranges = plan.columns, plan.ranges
        except UnreadableFile as fault:
            self._store.record(
                batch.batch_id,
                BatchStatus.REFUSED,
                self._clock(),
                details={"reason_code": fault.code, "reason_message": str(fault)},
            )
        return {
            "columns": list(columns),
            "ranges": [
                {"number": number, "start": part.start, "end": part.end, "line": part.first_line}
                for number, part in enumerate(ranges)
            ],
            "notification": _notification(batch, "started", started_at),
        }

    def process_range(self, batch: Batch, columns: list[str], part: dict[str, int]) -> RangeResult:
        """Queue every valid row of a range and write the report of the others.

        Args:
            batch: the batch.
            columns: the file's columns, from :meth:`plan`.
            part: the range, from :meth:`plan`.

        Returns:
            What became of its rows.

        Raises:
            ServiceUnavailable: not all is done; process the same range again.
        """
        tally, rejected = RowTally(), RejectedRows(columns)
        blocks = self._objects.read(batch.source, part["start"], part["end"])
        rows = read_rows(blocks, tuple(columns), part["line"])
        messages = queue_messages(batch.batch_id, rows, tally, rejected)
        if batch.is_dry_run:
            for _ in messages:
                pass
        else:
            self._queue.send_all(messages, calls_in_flight=CALLS_IN_FLIGHT)
        report = None
        if rejected.count:
            report = f"rejected-{part['number']:05}.csv"
            self._write(batch, report, rejected.to_csv(), "text/csv")
        result = RangeResult(
            number=part["number"],
            accepted=tally.accepted,
            rejected=rejected.count,
            accepted_minor=tally.accepted_minor,
            report=report,
        )
        self._store.record_range(batch.batch_id, result, self._clock())
        return result

    def follow(self, batch: Batch, waited_seconds: int) -> dict[str, Any]:
        """Say whether every payment of a batch is final, and write its summary if so.

        Args:
            batch: the batch, all of whose ranges are processed.
            waited_seconds: how long the workflow waited before, 0 at first.

        Returns:
            ``settled``; until then ``wait_seconds`` before the next look, and at the end the
            ``notification`` that the batch has ended.

        Raises:
            ServiceUnavailable: try again.
        """
        progress = self._progress(batch)
        if progress.is_open and progress.is_settled:
            self._store.record(
                batch.batch_id,
                BatchStatus.COMPLETED,
                self._clock(),
                details={"not_paid_reports": self._report_not_paid(batch)},
            )
            progress = self._progress(batch)
        if progress.is_open:
            # A quarter more each time: the end is seen a quarter of the batch's time late at most.
            longer = waited_seconds + waited_seconds // 4 + 1
            wait = max(_FIRST_WAIT_SECONDS, min(LONGEST_WAIT_SECONDS, longer))
            return {"settled": False, "wait_seconds": wait}
        # Written only of an end, which changes no more: a write that comes late says the same.
        summary = json.dumps(progress.describe(), indent=2).encode()
        self._write(batch, "summary.json", summary, "application/json")
        return {"settled": True, "notification": _ended(batch, progress)}

    def fail(self, batch: Batch) -> dict[str, Any]:
        """Record that a batch could not be carried through; what is queued stays queued.

        Returns:
            The ``notification`` that says so, or how the batch had ended before.
        """
        # What failed may have been the plan, before anything was recorded.
        self._record_start(batch)
        self._store.record(
            batch.batch_id,
            BatchStatus.FAILED,
            self._clock(),
            details={
                "reason_code": "processing_failed",
                "reason_message": "The file could not be processed to its end; upload it again:"
                " rows that were queued already are recognised.",
            },
        )
        return {"notification": _ended(batch, self._progress(batch))}

    def _record_start(self, batch: Batch) -> str:
        return self._store.record(
            batch.batch_id,
            BatchStatus.PROCESSING,
            self._clock(),
            details={
                **batch.to_dict(),
                "dry_run": batch.is_dry_run,
                "reports": f"s3://{self._results_bucket}/{batch.batch_id}",
            },
        )

    def _progress(self, batch: Batch) -> BatchProgress:
        progress = self._store.progress(batch.batch_id)
        if progress is None:
            raise LookupError(f"{batch.batch_id} was never planned")
        return progress

    def _report_not_paid(self, batch: Batch) -> int:
        written = 0
        for report in not_paid_csv(self._store.not_paid(batch.batch_id)):
            self._write(batch, f"not-paid-{written:05}.csv", report, "text/csv")
            written += 1
        return written

    def _write(self, batch: Batch, name: str, body: bytes, content_type: str) -> None:
        key = f"{batch.batch_id}/{name}"
        self._objects.write(self._results_bucket, key, body, content_type)


def queue_messages(
    batch_id: str,
    rows: Iterable[ValidRow | RejectedRow],
    tally: RowTally,
    rejected: RejectedRows,
) -> Iterator[str]:
    """Yield the queue message of each valid row; count those, and put the others on report."""
    sums = tally.accepted_minor
    for row in rows:
        if isinstance(row, RejectedRow):
            rejected.add(row)
            continue
        tally.accepted += 1
        sums[row.currency] = sums.get(row.currency, 0) + row.amount_minor
        yield encode_row(batch_id, row)


def encode_row(batch_id: str, row: ValidRow) -> str:
    """Return the queue message of a row, as ``encode_message`` would write it.

    Written out, because a valid row has nothing to escape and a large file has millions of them.
    """
    line, payment_id, amount_minor, currency = row
    origin = f"{batch_id}:{line}"
    return (
        f'{{"payment_id":"{payment_id}","amount_minor":{amount_minor},'
        f'"currency":"{currency}","source":"batch:{origin}","correlation_id":"{origin}"}}'
    )


def _ended(batch: Batch, progress: BatchProgress) -> dict[str, Any]:
    return _notification(batch, progress.status.value.lower(), progress.updated_at, progress)


def _notification(
    batch: Batch, event: str, at: str, progress: BatchProgress | None = None
) -> dict[str, Any]:
    return {
        "event_id": f"{batch.batch_id}:{event.upper()}",
        "event_type": f"batch.{event}",
        "occurred_at": at,
        "batch": batch.to_dict() if progress is None else progress.describe(),
    }
