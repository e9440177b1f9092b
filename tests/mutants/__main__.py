"""``make mutants``: change the function code, one small change at a time, and run its tests."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.mutants import sessions
from tests.mutants.mutants import FUNCTION_CODE, ROOMS, Mutant, Name, modules, mutants
from tests.mutants.results import FOLDER, Result, Results
from tests.mutants.sessions import Collected, Job
from tests.mutants.survivors import complaints, read_explanations
from tests.mutants.touching import ROOT, Record, Touched, digest, file_of, that_notice

_TARGET: Final = 95
_TOUCHED: Final = FOLDER / "touched"
_IMPORTED: Final = FOLDER / "imported.json"


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what is known before it, and by which code and tests it finds out more."""

    digest: str
    jobs: int
    results: Mapping[str, Results]
    console: Console

    def waiting(self, room: str, mutants: Sequence[Mutant], *, again: bool) -> list[Mutant]:
        """Return what is to be found out; without ``again``, not what was killed before."""
        known = ((mutant, self.results[room].get(mutant)) for mutant in mutants)
        return [
            mutant
            for mutant, result in known
            if not result or (result.digest != self.digest and (again or not result.killer))
        ]

    def work(
        self, room: str, jobs: Sequence[Job], start: sessions.Start, usual: Mapping[str, float]
    ) -> None:
        """Find out about mutants, and say which survive."""
        results = self.results[room]

        def tell(mutant: Mutant, killer: str | None) -> None:
            results.put(mutant, Result(self.digest, killer))
            if killer is None:
                self.console.print(f"{mutant.name.module}:{mutant.line} survives", markup=False)

        sessions.run(jobs, start, usual=usual, at_most=self.jobs, killed=tell)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0 if enough mutants are killed and all others explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--room", action="append", choices=sorted(ROOMS), help="only this room")
    parser.add_argument("--module", help="only modules of this name, such as money")
    parser.add_argument(
        "--survivors", action="store_true", help="only what survived last time, or is new"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    sessions.choose_examples()
    started = time.perf_counter()
    found = {
        room: [
            mutant
            for path in modules(room)
            if options.module in {None, path.stem}
            for mutant in mutants(path)
        ]
        for room in options.room or ROOMS
    }
    run = Run(_digest(), options.jobs, {room: Results(room) for room in found}, Console())
    waiting = {
        room: run.waiting(room, each, again=not options.survivors) for room, each in found.items()
    }
    run.console.print(f"{sum(map(len, waiting.values())):,} mutants to find out about")
    if any(waiting.values()):
        _work(run, waiting)
    return _tell(run, found, whole=options.module is None, seconds=time.perf_counter() - started)


def _digest() -> str:
    """Return a digest of everything that decides about a mutant."""
    tests = [ROOT / "tests" / folder for folder in ("unit", "simulation")]
    return digest(path for folder in (FUNCTION_CODE, *tests) for path in folder.rglob("*.py"))


def _work(run: Run, waiting: Mapping[str, Sequence[Mutant]]) -> None:
    """Find out about mutants.

    First those that change functions, in forks of a session that has collected all tests. What
    changes more is imported anew, in forks of this process, which has imported nothing of ours.
    """

    def in_session(session: Collected) -> None:
        missing = Record(_TOUCHED).missing(session.items)
        run.console.print(
            f"{len(session.items):,} tests, {len(missing):,} of them not yet measured"
        )
        files: dict[str, list[str]] = {file_of(test): [] for test in missing}
        for test in session.items:
            if file_of(test) in files:
                files[file_of(test)].append(test)
        if files:
            parts = [dict(list(files.items())[part :: run.jobs]) for part in range(run.jobs)]
            sessions.in_forks(*(partial(_measure, session, part) for part in parts))
        tests = Record(_TOUCHED).read(session.items)
        usual = {test: touched.seconds for test, touched in tests.items()}
        for room, changes in waiting.items():
            quick = (mutant for mutant in changes if session.changed(mutant))
            jobs = [Job(each, _ordered(each, tests, run.results[room])) for each in quick]
            run.work(room, jobs, session.start, usual)
        _IMPORTED.write_text(json.dumps(sessions.imported_packages()))

    sessions.in_forks(lambda: Collected(in_session).run())
    sessions.warm(json.loads(_IMPORTED.read_text()))
    tests = Record(_TOUCHED).all()
    usual = {test: touched.seconds for test, touched in tests.items()}
    for room, changes in waiting.items():
        run.results[room].read()
        rest = run.waiting(room, changes, again=True)
        jobs = [_by_file(each, _ordered(each, tests, run.results[room])) for each in rest]
        run.work(room, jobs, sessions.start_anew, usual)


def _measure(session: Collected, files: Mapping[str, Sequence[str]]) -> bool:
    record = Record(_TOUCHED)
    for file, tests in files.items():
        record.put(file, dict(session.measure(tests)))
    return True


def _ordered(mutant: Mutant, tests: Mapping[str, Touched], results: Results) -> list[str]:
    """Return the tests of a mutant: the one that killed it last time, then the fastest."""
    found = that_notice(mutant, tests)
    known = results.get(mutant)
    return sorted(found, key=lambda test: not (known and test == known.killer))


def _by_file(mutant: Mutant, tests: Sequence[str]) -> Job:
    """Return a job that imports one file of tests first: the likeliest to notice the mutant."""
    if not tests:
        return Job(mutant, tests)
    counts = Counter(map(file_of, tests))
    namesakes = [each for each in counts if f"test_{mutant.path.stem}" in each]
    likeliest = max(namesakes or counts, key=lambda each: counts[each])
    first = [test for test in tests if file_of(test) == likeliest]
    others = [test for test in tests if file_of(test) != likeliest]
    return Job(mutant, first, Job(mutant, others) if others else None)


def _tell(run: Run, found: Mapping[str, Sequence[Mutant]], *, whole: bool, seconds: float) -> int:
    """Show what became of the mutants; return the exit code."""
    explained = read_explanations()
    table = Table("room", "mutants", "killed", "explained", "survived", "killed %", box=None)
    survived: dict[Name, bool] = {}
    total: Counter[str] = Counter()
    for room, each in found.items():
        known = run.results[room].survived(each)
        survived |= known
        counts = Counter(_outcome(lives, name in explained) for name, lives in known.items())
        total += counts
        table.add_row(room, *_figures(counts))
    if len(found) > 1:
        table.add_row("all", *_figures(total))
    looked_at = {str(each.relative_to(FUNCTION_CODE)) for room in found for each in modules(room)}
    faults = list(complaints(survived, explained, looked_at if whole else ()))
    for fault in faults:
        run.console.print(fault, markup=False, highlight=False, soft_wrap=True)
    run.console.print(table)
    run.console.print(f"{seconds:,.0f} seconds")
    enough = 100 * total["killed"] >= _TARGET * total.total()
    return 0 if enough and not faults else 1


def _outcome(lives: bool, is_explained: bool) -> str:  # noqa: FBT001 - two facts, one word
    if not lives:
        return "killed"
    return "explained" if is_explained else "survived"


def _figures(counts: Counter[str]) -> Iterator[str]:
    for count in (counts.total(), counts["killed"], counts["explained"], counts["survived"]):
        yield f"{count:,}"
    yield f"{100 * counts['killed'] / max(counts.total(), 1):.1f}"


if __name__ == "__main__":
    sys.exit(main())
