"""The same figures at 1, 10 and 100 times the work, as a table and a plot (`make bench-publish`)."""

import os
import platform
import sys
import time
from datetime import UTC, datetime
from typing import Any

from benchmarks import enqueue, memory, page, rows
from benchmarks.measurement import REPOSITORY

FACTORS = (1, 10, 100)
ROWS = 10_000
MESSAGES = 500
MEBIBYTES = 10

PLOT = REPOSITORY / "docs/growth.svg"


def measure() -> dict[str, list[float]]:
    """Return, by figure, its value at each factor."""
    return {
        f"CSV rows/s ({ROWS:,} rows)": [rows.rows_per_second(ROWS * factor) for factor in FACTORS],
        f"messages queued/s ({MESSAGES:,} messages)": [
            enqueue.messages_per_second(MESSAGES * factor) for factor in FACTORS
        ],
        f"peak memory in MiB (a file of {MEBIBYTES} MiB)": [
            memory.peak_mebibytes(MEBIBYTES * factor) for factor in FACTORS
        ],
    }


def plot(figures: dict[str, list[float]]) -> None:
    """Draw each figure relative to its value with the least work."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second, and only this needs it

    mpl.use("svg")
    # The same figures, the same bytes.
    mpl.rcParams["svg.hashsalt"] = "growth"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - likewise

    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for name, values in figures.items():
        axes.plot(FACTORS, [value / values[0] for value in values], marker="o", label=name)
    axes.set_xscale("log")
    axes.set_xticks(FACTORS, [f"{factor} times" for factor in FACTORS])
    axes.set_ylim(0, 2)
    axes.set_xlabel("work")
    axes.set_ylabel("relative to once")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small", loc="lower left")
    figure.savefig(PLOT, metadata={"Date": None})
    plt.close(figure)


def main() -> int:
    """Measure, draw, and publish the table."""
    started = time.monotonic()
    figures = measure()
    table: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}",
        "headings": ["what", *(f"{factor} times" for factor in FACTORS)],
        "rows": [
            [name, *(f"{value:,.0f}" for value in values)] for name, values in figures.items()
        ],
    }
    plot(figures)
    page.publish({"growth": table})
    print(f"Published in {page.PAGE} and {PLOT} after {time.monotonic() - started:.0f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
