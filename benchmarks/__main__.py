"""``make bench``: measure, print a table and write ``build/bench.json``."""

import argparse
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import enqueue, memory, rows

BENCHMARKS = {
    "rows": rows.measure,
    "enqueue": enqueue.measure,
    "memory": memory.measure,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks that are named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHMARKS)} (all)"
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    console = Console(highlight=False)
    measurements = []
    for name in options.names or BENCHMARKS:
        with console.status(f"measuring {name}"):
            measurements.extend(BENCHMARKS[name]())
    table = Table("what", "measured", "beside", "ratio", box=None, pad_edge=False)
    for measurement in measurements:
        table.add_row(*measurement.row())
    console.print(table)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "measurements": [measurement.to_dict() for measurement in measurements],
    }
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    console.print(f"Written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
