"""What one measurement is, and how it is taken."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A figure, the figure beside it from the same run, and what their ratio should be."""

    what: str
    unit: str
    value: float
    beside: str
    beside_value: float
    at_least: float | None = None
    at_most: float | None = None
    notes: str = ""

    @property
    def ratio(self) -> float:
        """How many times the figure beside it this one is."""
        return self.value / self.beside_value

    @property
    def is_met(self) -> bool:
        """Whether the ratio is what it should be."""
        return (self.at_least is None or self.ratio >= self.at_least) and (
            self.at_most is None or self.ratio <= self.at_most
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the measurement as it is written to the report."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "met": self.is_met}


def interleaved_seconds(
    one: Callable[[], object], other: Callable[[], object], *, runs: int
) -> tuple[float, float]:
    """Return the median times of two pieces of work, in seconds, each run beside the other's.

    Turn by turn, so that whatever else the machine does slows down both alike.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for work, times in zip((one, other), taken, strict=True):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
    return statistics.median(taken[0]), statistics.median(taken[1])


def run_python(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run this Python in a process of its own, with little of this one's environment.

    Raises:
        RuntimeError: it failed; the message is what it wrote to stderr.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        check=False,
        cwd=REPOSITORY,
        env={**kept, **environment},
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
