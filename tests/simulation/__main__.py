"""The simulator's command: runs seeds, replays one, shows what was injected and what was found."""

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.simulation.defects import DEFECTS
from tests.simulation.faults import Fault
from tests.simulation.runs import REPLAY, outcomes
from tests.simulation.world import Outcome, simulate


@dataclass(slots=True)
class Figures:
    """What many runs came to."""

    seeds: int = 0
    payments: int = 0
    operations: int = 0
    virtual_seconds: float = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one run."""
        self.seeds += 1
        self.payments += outcome.payments
        self.operations += outcome.operations
        self.virtual_seconds += outcome.virtual_seconds
        self.faults += outcome.faults
        if outcome.violations:
            self.failed.append(outcome)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0 if no invariant was broken."""
    options = _options(arguments)
    console = Console()
    if options.seed is None:
        return _run_many(console, options.seeds, options.jobs, options.defect)
    with DEFECTS[options.defect]() if options.defect else nullcontext():
        return _replay(console, options.seed, show_trace=options.trace)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description="Run the payment system under seeded faults and check that nothing is lost"
        " and nothing is charged twice.",
    )
    parser.add_argument(
        "--seeds",
        type=_seeds,
        default=range(1, 201),
        metavar="N|A-B",
        help="run the seeds 1 to N, or A to B (default: 200)",
    )
    parser.add_argument("--seed", type=int, metavar="K", help="run this one seed again")
    parser.add_argument("--trace", action="store_true", help="with --seed: print all that happened")
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count(),
        help="processes to run at once (default: one a core)",
    )
    parser.add_argument(
        "--defect", choices=sorted(DEFECTS), help="put a deliberate defect into the code first"
    )
    return parser.parse_args(arguments)


def _seeds(text: str) -> range:
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range such as 5-90")
    return range(int(match[1] or 1), int(match[2]) + 1)


def _replay(console: Console, seed: int, *, show_trace: bool) -> int:
    outcome = simulate(seed)
    if show_trace:
        for line in outcome.trace:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"seed {seed}: trace {outcome.digest}", highlight=False)
    _show_violations(console, outcome)
    return 1 if outcome.violations else 0


def _run_many(console: Console, seeds: range, jobs: int, defect: str | None) -> int:
    figures = Figures()
    started = time.perf_counter()
    with _progress(console) as progress:
        task = progress.add_task("seeds", total=len(seeds))
        for outcome in outcomes(seeds, jobs=jobs, defect=defect):
            figures.add(outcome)
            progress.advance(task)
            if outcome.violations:
                _show_violations(progress.console, outcome)
    _show_figures(console, figures, time.perf_counter() - started)
    return 1 if figures.failed else 0


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield progress


def _show_violations(console: Console, outcome: Outcome) -> None:
    for violation in outcome.violations:
        console.print(f"seed {outcome.seed}: {violation}", style="red", markup=False)
    if outcome.violations:
        console.print(f"replay: {REPLAY.format(seed=outcome.seed)}", markup=False)


def _show_figures(console: Console, figures: Figures, seconds: float) -> None:
    table = Table("fault", "injected", box=None)
    for kind in Fault:
        table.add_row(str(kind), f"{figures.faults[kind]:,}")
    table.columns[1].justify = "right"
    console.print(table)
    console.print(
        f"{figures.seeds:,} seeds, {figures.payments:,} payments, {figures.operations:,} operations"
        f" ({figures.operations / seconds:,.0f} a second),"
        f" {figures.faults.total():,} faults, {figures.virtual_seconds / 86400:,.1f} virtual days"
        f" in {seconds:,.0f} s",
        highlight=False,
    )
    if figures.failed:
        names = ", ".join(str(outcome.seed) for outcome in figures.failed)
        console.print(f"{len(figures.failed)} seeds broke an invariant: {names}", style="red")
    else:
        console.print("No invariant was broken.", style="green")


if __name__ == "__main__":
    sys.exit(main())
