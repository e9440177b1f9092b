"""The simulator's command: runs seeds, replays one, shows what was injected and what was found."""

import argparse
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.simulation.coverage import POSSIBLE, Coverage, coverage_table, gaps
from tests.simulation.defects import DEFECTS
from tests.simulation.faults import Fault
from tests.simulation.minimise import NOTHING, Cut
from tests.simulation.runs import REPLAY, outcomes, smallest
from tests.simulation.world import Outcome, simulate


@dataclass(slots=True)
class Figures:
    """What many runs came to."""

    seeds: int = 0
    payments: int = 0
    operations: int = 0
    virtual_seconds: float = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    coverage: Coverage = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one run."""
        self.seeds += 1
        self.payments += outcome.payments
        self.operations += outcome.operations
        self.virtual_seconds += outcome.virtual_seconds
        self.faults += outcome.faults
        self.coverage += outcome.coverage
        if outcome.violations:
            self.failed.append(outcome)

    @property
    def gaps(self) -> list[str]:
        """What never occurred, and what nobody listed; only so many runs must meet everything."""
        return gaps(self.coverage) if self.seeds >= _SEEDS_TO_MEET_EVERYTHING else []

    def keep(self, seconds: float) -> None:
        """Write the figures into ``build/``."""
        document = {
            "seeds": self.seeds,
            "payments": self.payments,
            "operations": self.operations,
            "operations_per_second": round(self.operations / seconds),
            "seconds": round(seconds),
            "virtual_days": round(self.virtual_seconds / 86400, 1),
            "failed_seeds": [outcome.seed for outcome in self.failed],
            "faults": {str(kind): self.faults[kind] for kind in Fault},
            "coverage": {
                operation: {str(strike): self.coverage[operation, strike] for strike in strikes}
                for operation, strikes in POSSIBLE.items()
            },
        }
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


KEPT: Final = Path(__file__).parents[2] / "build" / "simulation.json"
_SEEDS_TO_MEET_EVERYTHING: Final = 1000
_MOST_MINIMISED: Final = 3
_SEEDS_A_ROUND: Final = 200


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0 if no invariant was broken."""
    options = _options(arguments)
    console = Console()
    if options.seed is None:
        rounds = _for_ever(console, options.seeds) if options.forever else [options.seeds]
        return _run_many(console, rounds, options.jobs, options.defect)
    with DEFECTS[options.defect]() if options.defect else nullcontext():
        cut = smallest(options.seed) if options.minimise else NOTHING
        return _replay(console, options.seed, cut, show_trace=options.trace)


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
    parser.add_argument(
        "--forever",
        action="store_true",
        help="run on with the seeds behind N, or behind A, until Ctrl-C",
    )
    parser.add_argument(
        "--minimise",
        action="store_true",
        help="with --seed: leave out all payments and faults that the failure can do without",
    )
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


def _for_ever(console: Console, seeds: range) -> Iterator[range]:
    # Other seeds each night, unless somebody asks for certain ones.
    first = seeds.start if seeds.start > 1 else int(time.time())
    console.print(f"from seed {first} on, until Ctrl-C", highlight=False)
    for start in count(first, _SEEDS_A_ROUND):
        yield range(start, start + _SEEDS_A_ROUND)


def _replay(console: Console, seed: int, cut: Cut, *, show_trace: bool) -> int:
    outcome = simulate(seed, cut=cut)
    if show_trace:
        for line in outcome.trace:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"seed {seed}: trace {outcome.digest}", highlight=False)
    if cut != NOTHING:
        _show_size(console, outcome)
    _show_violations(console, outcome)
    return 1 if outcome.violations else 0


def _run_many(console: Console, rounds: Iterable[range], jobs: int, defect: str | None) -> int:
    figures = Figures()
    started = time.perf_counter()
    # Ctrl-C ends a run that has no end of its own, and what it found counts.
    with suppress(KeyboardInterrupt), _progress(console) as progress:
        for seeds in rounds:
            task = progress.add_task(f"{seeds[0]}-{seeds[-1]}", total=len(seeds))
            for outcome in outcomes(seeds, jobs=jobs, defect=defect):
                figures.add(outcome)
                progress.advance(task)
                if outcome.violations:
                    _show_violations(progress.console, outcome)
                    if len(figures.failed) <= _MOST_MINIMISED:
                        _minimise(progress.console, outcome.seed, defect)
            progress.remove_task(task)
            figures.keep(time.perf_counter() - started)
    _show_figures(console, figures, time.perf_counter() - started)
    return 1 if figures.failed or figures.gaps else 0


def _minimise(console: Console, seed: int, defect: str | None) -> None:
    with DEFECTS[defect]() if defect else nullcontext():
        outcome = simulate(seed, cut=smallest(seed))
    _show_size(console, outcome)
    for violation in outcome.violations:
        console.print(f"  {violation}", style="red", markup=False)


def _show_size(console: Console, outcome: Outcome) -> None:
    faults = ", ".join(f"{kind} ({times})" for kind, times in outcome.faults.items())
    console.print(
        f"it still fails with {outcome.payments} payments and {outcome.faults.total()} faults:"
        f" {faults or 'none'}",
        highlight=False,
        markup=False,
    )


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
    console.print(coverage_table(figures.coverage))
    console.print(
        f"{figures.seeds:,} seeds, {figures.payments:,} payments, {figures.operations:,} operations"
        f" ({figures.operations / seconds:,.0f} a second),"
        f" {figures.faults.total():,} faults, {figures.virtual_seconds / 86400:,.1f} virtual days"
        f" in {seconds:,.0f} s",
        highlight=False,
    )
    for gap in figures.gaps:
        console.print(gap, style="red", markup=False)
    if figures.failed:
        names = ", ".join(str(outcome.seed) for outcome in figures.failed)
        console.print(f"{len(figures.failed)} seeds broke an invariant: {names}", style="red")
    else:
        console.print("No invariant was broken.", style="green")


if __name__ == "__main__":
    sys.exit(main())
