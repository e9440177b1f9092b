"""``make bench``: measure, print a table with a verdict a row, and write ``build/bench.json``."""

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import enqueue, memory, package, page, requests, rows, starts, synth
from benchmarks.measurement import REPOSITORY, Measurement

BENCHMARKS = {
    "synth": synth.measure,
    "starts": starts.measure,
    "rows": rows.measure,
    "enqueue": enqueue.measure,
    "memory": memory.measure,
    "requests": requests.measure,
    "package": package.measure,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks that are named, or all of them; publish them if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHMARKS)} (all)"
    )
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build/bench.json")
    parser.add_argument(
        "--publish", action="store_true", help="also make these the published figures"
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    console = Console(highlight=False)
    measurements: list[Measurement] = []
    for name in options.names or BENCHMARKS:
        with console.status(f"measuring {name}"):
            measurements.extend(BENCHMARKS[name]())
    measured = [measurement.to_dict() for measurement in measurements]
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}",
        "measurements": measured,
    }
    table = Table(*page.HEADINGS, box=None, pad_edge=False)
    for each in measured:
        table.add_row(*page.cells(each))
    console.print(table)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(f"{json.dumps(report, indent=2)}\n")
    console.print(f"Written to {options.output}")
    if options.publish:
        page.publish({"measurements": report})
        console.print(f"Published in {page.PUBLISHED} and {page.PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
