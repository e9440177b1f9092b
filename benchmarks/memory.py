"""Peak memory of the batch processor, by size of the file, each in a process of its own."""

import multiprocessing
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.measurement import Measurement
from benchmarks.rows import BLOCK_BYTES, file_of
from payments.aws.objects import ObjectStore
from payments.batches.batch import Batch, ObjectVersion
from payments.batches.steps import BatchProcessing

MEGABYTE = 1024 * 1024
SIZES = (1, 100, 1024)
ALLOWANCE = 64


class _GeneratedObjects(ObjectStore):
    """One object of any size that is nowhere: the same valid rows again and again."""

    def __init__(self, size: int) -> None:
        self._rows = file_of(20_000)
        self._header_bytes = self._rows.index(b"\n") + 1
        self._body = self._rows[self._header_bytes :]
        self.size = size

    def read(
        self, _source: ObjectVersion, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        position, stop = start, self.size if end is None else end
        while position < stop:
            if position < self._header_bytes:
                block = self._rows[position : self._header_bytes]
            else:
                offset = (position - self._header_bytes) % len(self._body)
                block = self._body[offset : offset + BLOCK_BYTES]
            yield block[: stop - position]
            position += len(block)

    def write(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        pass


class _Sink:
    """A queue that takes everything, and a store that remembers nothing."""

    def send_all(self, messages: Iterable[str], **_: int) -> int:
        return sum(1 for _ in messages)

    def record(self, *_: object, **__: object) -> str:
        return ""

    def record_range(self, *_: object) -> None:
        pass


def _peak_bytes(size: int) -> int:
    objects, sink = _GeneratedObjects(size), _Sink()
    processing = BatchProcessing(objects, sink, sink, sink, "results")  # type: ignore[arg-type]  # stands in for both
    batch = Batch(ObjectVersion("files", "large.csv", "1"))
    plan = processing.plan(batch, size)
    for part in plan["ranges"]:
        processing.process_range(batch, plan["columns"], part)
    # Not getrusage: its peak counts the parent's memory, from before this process became its own.
    # https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    status = Path("/proc/self/status").read_text()
    [peak] = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak) * 1024


def peak_mebibytes(size: int) -> float:
    """Return the peak memory, in MiB, for a file of so many MiB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_bytes, (size * MEGABYTE,)) / MEGABYTE


def measure() -> list[Measurement]:
    """Measure each size beside the smallest."""
    peaks = {size: peak_mebibytes(size) for size in SIZES}
    return [
        Measurement(
            what=f"peak memory for a file of {size} MiB",
            unit="MiB",
            value=peaks[size],
            beside=f"a file of {SIZES[0]} MiB, and {ALLOWANCE} MiB",
            beside_value=peaks[SIZES[0]] + ALLOWANCE,
            at_most=1,
            notes=f"{peaks[size] - peaks[SIZES[0]]:+.1f} MiB",
        )
        for size in SIZES[1:]
    ]
