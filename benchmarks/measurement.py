"""What one measurement is, and how it is taken."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A figure, the figure beside it from the same run, and how they compare."""

    what: str
    unit: str
    value: float
    beside: str
    beside_value: float
    notes: str = ""

    @property
    def ratio(self) -> float:
        """How many times the figure beside it this one is."""
        return self.value / self.beside_value

    def row(self) -> tuple[str, str, str, str]:
        """Return the cells of a printed table."""
        what = f"{self.what} ({self.notes})" if self.notes else self.what
        return (
            what,
            f"{self.value:,.0f} {self.unit}",
            f"{self.beside}: {self.beside_value:,.0f}",
            f"{self.ratio:.2f}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the measurement as it is written to the report."""
        return {**asdict(self), "ratio": round(self.ratio, 3)}


def median_seconds(work: Callable[[], object], *, runs: int = 5) -> float:
    """Return the median time of several runs of some work, in seconds."""
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
