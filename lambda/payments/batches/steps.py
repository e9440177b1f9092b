"""A batch: one version of a CSV file, each valid row of it queued as its own payment.

Every step may be repeated at any time, by a retry or by a twin: rows that were queued before are
replays, reports and range results are written again as they were.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from payments.batches.batch import FILE_GONE, Batch, BatchKind
from payments.batches.dry_run import rehearse, rehearse_refunds
from payments.batches.layout import PAYMENTS, REFUNDS, Layout
from payments.batches.ports import DryRuns, Files, Records, RowQueue
from payments.batches.progress import (
    BatchProgress,
    BatchStatus,
    RangeResult,
    not_paid_report,
    rejected_report,
)
from payments.batches.records import FilePlan, Place, RejectedRow, ValidRow, plan_file, read_rows
from payments.batches.reports import RejectedRows, not_paid_csv
from payments.batches.states import (
    Failed,
    Followed,
    Notification,
    PlaceState,
    Plan,
    RangeState,
    Reported,
)
from payments.core.clock import utc_now
from payments.core.content import Content, RefundContent, RowContent
from payments.core.faults import UnreadableFile
from payments.core.fields import ProcessorNeeds
from payments.core.messages import encode_message, encode_row, refund_row_message

LONGEST_WAIT_SECONDS: Final = 600
"""Between two looks at a batch: an execution's history has room for two weeks of such looks."""

QUEUE_IS_FULL_AT: Final = 1_000_000
"""Rows that wait; no range is read while there are more.

A row waits four days at most before SQS drops it. This many, and those of the ten ranges that may
be read at the same time (8 MiB of rows of twelve bytes each, seven million in all), take 3.7 days
at 25 payments a second, the slowest rate that a processor is known for.
"""

_WAIT_FOR_ROOM_SECONDS: Final = 300

# The plan of a file passes through the state of its workflow, which holds 256 KiB.
_MOST_RANGES: Final = 2000

_FIRST_WAIT_SECONDS: Final = 2

_NOTHING_REPORTED: Final[Reported] = {"shards": 0, "files": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Portions:
    """How much one invocation does at most, so that it ends within its fifteen minutes.

    Attributes:
        range_bytes: about how much of a file it works on.
        plan_bytes: about how much of a file it reads to plan it.
        reported_rows: about how many rows that were not paid it reports.
    """

    range_bytes: int = 8 * 1024 * 1024
    plan_bytes: int = 16 * 1024 * 1024 * 1024
    reported_rows: int = 4_000_000


_USUAL_PORTIONS: Final = Portions()


@dataclass(slots=True)
class RowTally:
    """What is counted while the rows of a range go by; sums are in minor units.

    Those of refunds are counted when they end: only their payments know the currencies.
    """

    accepted: int = 0
    accepted_minor: dict[str, int] = field(default_factory=dict)
    exponents: dict[str, int] = field(default_factory=dict)

    def add(self, content: RowContent) -> None:
        """Count a valid row."""
        self.accepted += 1
        if isinstance(content, RefundContent):
            return
        currency = content.currency
        self.accepted_minor[currency] = self.accepted_minor.get(currency, 0) + content.amount_minor
        self.exponents[currency] = content.exponent


class BatchProcessing:
    """The steps of a batch's workflow."""

    def __init__(
        self,
        files: Files,
        queue: RowQueue,
        records: Records,
        dry_runs: DryRuns,
        results_bucket: str,
        *,
        clock: Callable[[], str] = utc_now,
        portions: Portions = _USUAL_PORTIONS,
        needs: ProcessorNeeds | None = None,
    ) -> None:
        self._files = files
        self._queue = queue
        self._records = records
        self._dry_runs = dry_runs
        self._results_bucket = results_bucket
        self._clock = clock
        self._portions = portions
        self._needs = needs

    def plan(self, batch: Batch, size: int, before: Plan | None = None) -> Plan:
        """Read a file through once and cut it into ranges; a huge one takes several calls.

        Args:
            batch: what to plan.
            size: bytes of the file, as the upload's event says.
            before: what the call before returned, if there was one.

        Returns:
            ``columns``, ``ranges``, the ``notification`` that the batch has started, and whether
            the file is ``planned`` to its end; ``unread`` says from where on it is not. A file
            that cannot be read as such has no ranges, and its status says why.

        Raises:
            UnreadableFile: it is gone since an execution before this one has failed.
            ServiceUnavailable: try again.
        """
        started_at = self._record_start(batch)
        earlier = before["ranges"] if before else []
        try:
            plan = self._read_on(batch, size, before)
        except UnreadableFile as fault:
            if fault.code == FILE_GONE and self._has_failed(batch):
                # An earlier execution may have queued rows: it is not refused whole.
                raise
            plan, earlier = FilePlan((), ()), []
            self._records.record(
                batch.batch_id,
                BatchStatus.REFUSED,
                self._clock(),
                details={"reason_code": fault.code, "reason_message": str(fault)},
            )
        ranges: list[RangeState] = [
            {"number": number, "start": part.start, "end": part.end, "line": part.first_line}
            for number, part in enumerate(plan.ranges, len(earlier))
        ]
        return {
            "columns": list(plan.columns),
            "ranges": [*earlier, *ranges],
            "unread": _unread(plan),
            "planned": plan.unread is None,
            "notification": _notification(batch, "started", started_at),
        }

    def _read_on(self, batch: Batch, size: int, before: Plan | None) -> FilePlan:
        if not batch.source.key.lower().endswith(".csv"):
            raise UnreadableFile(
                "not_csv", "its name does not end in .csv; save it as CSV UTF-8 and upload that"
            )
        range_bytes = max(self._portions.range_bytes, -(-size // _MOST_RANGES))
        layout = _layout(batch)
        if before is None or before["unread"] is None:
            blocks = self._files.read(batch.source)
            return plan_file(
                blocks,
                range_bytes,
                layout,
                most_bytes=self._portions.plan_bytes,
                needed=self._needs.ids if self._needs and layout is PAYMENTS else (),
            )
        place = Place(**before["unread"])
        return plan_file(
            self._files.read(batch.source, place.start),
            range_bytes,
            layout,
            most_bytes=self._portions.plan_bytes,
            columns=tuple(before["columns"]),
            place=place,
        )

    def waits_for_room(self, batch: Batch) -> int:
        """Return for how many seconds a range must wait because the queue is full; 0 if it is not.

        Raises:
            ServiceUnavailable: the queue could not be looked at; try again.
        """
        if batch.is_dry_run or self._queue.waiting() < QUEUE_IS_FULL_AT:
            return 0
        return _WAIT_FOR_ROOM_SECONDS

    def process_range(self, batch: Batch, columns: list[str], part: RangeState) -> RangeResult:
        """Queue every valid row of a range, or look what would become of it; report the others.

        Args:
            batch: the batch.
            columns: the file's columns, from :meth:`plan`.
            part: the range, from :meth:`plan`.

        Returns:
            What became of its rows.

        Raises:
            ServiceUnavailable: not all is done; process the same range again.
        """

        def write(part_of_report: int, body: bytes) -> None:
            self._write(batch, rejected_report(part["number"], part_of_report), body, "text/csv")

        tally, rejected = RowTally(), RejectedRows(columns, _layout(batch), write)
        blocks = self._files.read(batch.source, part["start"], part["end"])

        def accepted[C: RowContent](
            layout: Layout[C], needs: ProcessorNeeds | None = None
        ) -> Iterator[ValidRow[C]]:
            rows = read_rows(blocks, tuple(columns), part["line"], layout, needs)
            return accepted_rows(rows, tally, rejected)

        where = {"batch_id": batch.batch_id, "at": self._clock()}
        match batch.kind, batch.is_dry_run:
            case BatchKind.REFUNDS, True:
                rehearse_refunds(
                    accepted(REFUNDS), self._dry_runs, range_number=part["number"], **where
                )
            case BatchKind.REFUNDS, False:
                self._queue.send_all(refund_messages(batch, accepted(REFUNDS)))
            case _, True:
                rehearse(
                    accepted(PAYMENTS, self._needs),
                    self._dry_runs,
                    range_number=part["number"],
                    **where,
                )
            case _:
                self._queue.send_all(queue_messages(batch, accepted(PAYMENTS, self._needs)))
        rejected.finish_part()
        result = RangeResult(
            number=part["number"],
            accepted=tally.accepted,
            rejected=rejected.count,
            accepted_minor=tally.accepted_minor,
            exponents=tally.exponents,
            reports=rejected.parts,
        )
        self._records.record_range(batch.batch_id, result, self._clock())
        return result

    def follow(
        self, batch: Batch, waited_seconds: int, reported: Reported = _NOTHING_REPORTED
    ) -> Followed:
        """Say whether every payment of a batch is final, and write its reports if so.

        Args:
            batch: the batch, all of whose ranges are processed.
            waited_seconds: how long the workflow waited before, 0 at first.
            reported: what the call before returned of it: rows that were not paid are reported in
                several calls if there are millions.

        Returns:
            ``settled``; until then ``wait_seconds`` before the next look, and what is ``reported``
            so far; at the end the ``notification`` that the batch has ended.

        Raises:
            ServiceUnavailable: try again.
        """
        progress = self._progress(batch)
        if progress.is_open and progress.is_settled:
            reported = self._report_not_paid(batch, progress.not_paid, reported)
            if reported["shards"] < self._records.row_shards:
                return {"settled": False, "wait_seconds": 0, "reported": reported}
            self._records.record(
                batch.batch_id,
                BatchStatus.COMPLETED,
                self._clock(),
                details={"not_paid_reports": reported["files"]},
            )
            progress = self._progress(batch)
        if progress.is_open:
            # A quarter more each time: the end is seen a quarter of the batch's time late at most.
            longer = waited_seconds + waited_seconds // 4 + 1
            wait = max(_FIRST_WAIT_SECONDS, min(LONGEST_WAIT_SECONDS, longer))
            return {"settled": False, "wait_seconds": wait, "reported": _NOTHING_REPORTED}
        # Written only of an end, which changes no more: a write that comes late says the same.
        summary = json.dumps(progress.describe(), indent=2).encode()
        self._write(batch, "summary.json", summary, "application/json")
        return {"settled": True, "notification": _ended(batch, progress)}

    def fail(self, batch: Batch) -> Failed:
        """Record that a batch could not be carried through; what is queued stays queued.

        Returns:
            The ``notification`` that says so, or how the batch had ended before.
        """
        # What failed may have been the plan, before anything was recorded.
        self._record_start(batch)
        self._records.record(
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

    def is_left_open(self, batch: Batch, *, by_failure: bool) -> bool:
        """Say whether an execution that died left a batch without an end.

        Args:
            batch: what the execution was about.
            by_failure: whether it failed, as it does once it has recorded, told and set aside that
                the batch failed; else it was stopped, or its time was up.
        """
        progress = self._records.progress(batch.batch_id)
        if progress is None:
            return True
        return progress.is_open and not (by_failure and progress.status is BatchStatus.FAILED)

    def _record_start(self, batch: Batch) -> str:
        return self._records.record(
            batch.batch_id,
            BatchStatus.PROCESSING,
            self._clock(),
            details={
                **_file(batch),
                "kind": batch.kind.value,
                "dry_run": batch.is_dry_run,
                "reports": f"s3://{self._results_bucket}/{batch.batch_id}",
            },
        )

    def _has_failed(self, batch: Batch) -> bool:
        timeline = self._progress(batch).timeline
        return any(entry["status"] == BatchStatus.FAILED.value for entry in timeline)

    def _progress(self, batch: Batch) -> BatchProgress:
        progress = self._records.progress(batch.batch_id)
        if progress is None:
            raise LookupError(f"{batch.batch_id} was never planned")
        return progress

    def _report_not_paid(self, batch: Batch, not_paid: int, reported: Reported) -> Reported:
        """Report as many shards of the rows as one call can, and say how many are reported."""
        at_once = max(
            1, self._records.row_shards * self._portions.reported_rows // max(1, not_paid)
        )
        shards = range(
            reported["shards"], min(self._records.row_shards, reported["shards"] + at_once)
        )
        files = reported["files"]
        rows = self._records.not_paid(batch.batch_id, shards)
        for report in not_paid_csv(rows, _layout(batch)):
            self._write(batch, not_paid_report(files), report, "text/csv")
            files += 1
        return {"shards": shards.stop, "files": files}

    def _write(self, batch: Batch, name: str, body: bytes, content_type: str) -> None:
        key = f"{batch.batch_id}/{name}"
        self._files.write(self._results_bucket, key, body, content_type)


def _unread(plan: FilePlan) -> PlaceState | None:
    if plan.unread is None:
        return None
    return {"start": plan.unread.start, "line": plan.unread.line}


def _layout(batch: Batch) -> Layout[Any]:
    return REFUNDS if batch.kind is BatchKind.REFUNDS else PAYMENTS


def accepted_rows[C: RowContent](
    rows: Iterable[ValidRow[C] | RejectedRow], tally: RowTally, rejected: RejectedRows
) -> Iterator[ValidRow[C]]:
    """Yield each valid row; count those, and put the others on report."""
    for row in rows:
        if isinstance(row, RejectedRow):
            rejected.add(row)
            continue
        tally.add(row.content)
        yield row


def queue_messages(batch: Batch, rows: Iterable[ValidRow[Content]]) -> Iterator[str]:
    """Yield the queue message of each row."""
    batch_id = batch.batch_id
    for row in rows:
        yield encode_row(batch_id, row.line, row.content, batch.submitted_by)


def refund_messages(batch: Batch, rows: Iterable[ValidRow[RefundContent]]) -> Iterator[str]:
    """Yield the message of each row of a file of refunds."""
    for row in rows:
        yield encode_message(
            refund_row_message(batch.batch_id, row.line, row.content, batch.submitted_by)
        )


def _ended(batch: Batch, progress: BatchProgress) -> Notification:
    return _notification(batch, progress.status.value.lower(), progress.updated_at, progress)


def _announced(progress: BatchProgress) -> dict[str, Any]:
    """Return a batch as its events show it: without the links to thousands of reports.

    A message of SNS, and the state of a workflow, hold 256 KiB; the summary has the links.
    """
    described = progress.describe()
    return {**described, "reports": {"summary": described["reports"]["summary"]}}


def _notification(
    batch: Batch, event: str, at: str, progress: BatchProgress | None = None
) -> Notification:
    return {
        "event_id": f"{batch.batch_id}:{event.upper()}",
        "event_type": f"batch.{event}",
        "occurred_at": at,
        "batch": _file(batch) if progress is None else _announced(progress),
    }


def _file(batch: Batch) -> dict[str, object]:
    """Return a batch as clients see it: who uploaded the file is not for all of them."""
    return {name: value for name, value in batch.to_dict().items() if name != "submitted_by"}
