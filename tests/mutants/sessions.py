"""Tests run in forks of this process: one fork for each mutant."""

import contextlib
import gc
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final, Protocol

import hypothesis
import pytest

from tests.mutants.mutants import FUNCTION_CODE, Mutant
from tests.mutants.patching import (
    Functions,
    changed_functions,
    functions_below,
    replace_source,
)
from tests.mutants.touching import ROOT, Touched, Watch

_UNIT: Final = ROOT / "tests" / "unit"
_OF_THE_FUNCTIONS: Final = (
    *("api", "aws", "batches", "core", "flows", "gateways", "telemetry", "workflows"),
    *(f"test_{each}.py" for each in ("api_handler", "batch_processor", "event_publisher")),
    *(f"test_{each}.py" for each in ("doctests", "hostile_input", "payment_processor")),
    "test_processors.py",
)
_SIMULATOR: Final = str(ROOT / "tests" / "simulation" / "test_simulation.py")
_SEEDS: Final = "test_no_payment_is_lost_or_charged_twice[1-20]"
"""Of the simulator's tests, one; the others look for planted defects or are about more seeds."""

_OPTIONS: Final = (
    *("-q", "-p", "no:cacheprovider", "--capture=no"),
    # What was imported before pytest started is not rewritten by it, and pytest says so.
    *("-W", "ignore:Module already imported"),
)
_CACHED: Final = type(cache(len))
_GIBIBYTES: Final = 3
_SECONDS: Final = 10
"""What a test may take in addition to ten times what it usually takes."""


class Killed(Protocol):
    """Told of each mutant as soon as its tests have run, and of the test that failed, if one did."""

    def __call__(self, mutant: Mutant, killer: str | None) -> None:
        """Remember it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A mutant and its tests, in the order in which they run, and what runs if none of them fails."""

    mutant: Mutant
    tests: Sequence[str]
    then: "Job | None" = None


type Start = Callable[[Job, Mapping[str, float]], None]
"""What a fork does: run the tests of a job. The seconds that each usually takes come with it."""


def choose_examples() -> None:
    """Have properties tried with the same examples each time."""
    # A mutant's tests run the same examples each time, so that a survivor survives again.
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, print_blob=False
    )
    hypothesis.settings.load_profile("mutants")


def imported_packages() -> list[str]:
    """Return the modules that were imported, apart from ours and what only a test run has."""
    installed = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")})
    return [
        name
        for name, module in sys.modules.items()
        if name != "__main__" and (getattr(module, "__file__", None) or "").startswith(installed)
    ]


def warm(packages: Iterable[str]) -> None:
    """Import what a session needed, which takes longer than most tests do."""
    for package in packages:
        with contextlib.suppress(Exception):
            import_module(package)


class Collected:
    """A pytest session with all tests, which a function works with instead of running them."""

    def __init__(self, work: Callable[["Collected"], None]) -> None:
        self._work = work
        self.items: dict[str, pytest.Item] = {}
        self.imported = Touched()
        self.functions: Functions = {}
        self._watch = Watch()

    def run(self) -> bool:
        """Collect the tests, and work; return whether it came to its end."""
        targets = [str(_UNIT / each) for each in _OF_THE_FUNCTIONS]
        return pytest.main([*_OPTIONS, *targets, _SIMULATOR], plugins=[self]) == 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Work, in place of running the tests."""
        self.imported = self._watch.touched()
        self._watch.end()
        self.items = {each.nodeid: each for each in session.items if _is_wanted(each)}
        gc.collect()
        self.functions = functions_below(FUNCTION_CODE)
        gc.freeze()
        self._work(self)
        return True

    def measure(self, tests: Iterable[str]) -> Iterator[tuple[str, Touched]]:
        """Run tests as they are; yield what each of them touches.

        Raises:
            SystemExit: one fails without any change, so that it would kill every mutant.
        """
        _be_silent()
        watch = Watch()
        for test in tests:
            _forget_caches()
            watch.again()
            _run(self.items[test])
            yield test, watch.touched()
        watch.end()

    def changed(self, mutant: Mutant) -> list[tuple[Any, Any]] | None:
        """Return which functions change, or None if importing has done what changes."""
        return changed_functions(
            mutant, self.functions, self.imported.lines.get(mutant.name.module, ())
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """End with the first failure."""
        if report.failed:
            _end(report.nodeid)

    def start(self, job: Job, usual: Mapping[str, float]) -> None:
        """In a fork: run a mutant's tests."""
        for function, code in self.changed(job.mutant) or ():
            function.__code__ = code
        for test in job.tests:
            _limit(usual[test])
            _run(self.items[test])


class Chosen:
    """A plugin that runs some of the tests, in an order, with limits."""

    def __init__(self, tests: Sequence[str], usual: Mapping[str, float]) -> None:
        self._order = {test: place for place, test in enumerate(tests)}
        self._usual = usual

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out all others."""
        items[:] = [each for each in items if each.nodeid in self._order]
        items.sort(key=lambda each: self._order[each.nodeid])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Limit each."""
        _limit(self._usual[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """End with the first failure."""
        if report.failed:
            _end(report.nodeid)


def start_anew(job: Job, usual: Mapping[str, float]) -> None:
    """In a fork that has imported nothing of ours: import the mutant, and run its tests."""
    if not job.tests:
        return
    replace_source(job.mutant)
    _limit(0)
    files = sorted({test.partition("::")[0] for test in job.tests})
    targets = [str(ROOT / each) for each in files]
    outcome = pytest.main([*_OPTIONS, *targets], plugins=[Chosen(job.tests, usual)])
    if outcome not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        _end(f"collecting {', '.join(files)}")


def run(
    jobs: Iterable[Job],
    start: Start,
    *,
    usual: Mapping[str, float],
    at_most: int,
    killed: Killed,
) -> None:
    """Run each job in a fork of its own, some of them side by side.

    One at a time while the machine has other work to do.
    """
    running: dict[int, tuple[Job, int]] = {}
    waiting = iter(jobs)
    job = next(waiting, None)
    while job or running:
        while job and len(running) < (1 if os.getloadavg()[0] > at_most + 1 else at_most):
            child, pipe = _fork(job, start, usual)
            running[child] = (job, pipe)
            job = next(waiting, None)
        child, status = os.wait()
        done, pipe = running.pop(child)
        with os.fdopen(pipe) as ended:
            killer = ended.read()
        code = os.waitstatus_to_exitcode(status)
        if code == 0 and done.then:
            child, pipe = _fork(done.then, start, usual)
            running[child] = (done.then, pipe)
            continue
        # Whatever a signal ended took too long, or too much memory.
        killed(done.mutant, None if code == 0 else killer or f"signal {-code}")


def in_forks(*works: Callable[[], bool]) -> None:
    """Do work in a fork each, side by side, and wait for all.

    Raises:
        SystemExit: one of them failed.
    """
    children = []
    for work in works:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if work() else 1
            finally:
                sys.stdout.flush()
                os._exit(status)
        children.append(child)
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        raise SystemExit(1)


_pipe: int | None = None


def _fork(job: Job, start: Start, usual: Mapping[str, float]) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    os.close(reading)
    global _pipe  # noqa: PLW0603 - a fork has one
    _pipe = writing
    try:
        _be_silent()
        resource.setrlimit(resource.RLIMIT_AS, (_GIBIBYTES << 30, _GIBIBYTES << 30))
        start(job, usual)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the mutant did it
        _end(repr(error))
    os._exit(0)


def _be_silent() -> None:
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)


def _end(killer: str) -> None:
    """End a fork: its mutant is killed."""
    if _pipe is not None:
        os.write(_pipe, killer.encode()[:500])
    os._exit(1)


def _limit(seconds: float) -> None:
    """Have the process killed if what comes now takes far longer than it usually does."""
    allowed = _SECONDS + 10 * seconds
    signal.setitimer(signal.ITIMER_PROF, allowed)
    signal.setitimer(signal.ITIMER_REAL, 20 * allowed)


def _run(item: pytest.Item) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def _is_wanted(item: pytest.Item) -> bool:
    return "test_simulation.py" not in item.nodeid or item.nodeid.endswith(_SEEDS)


def _forget_caches() -> None:
    """Have what a test before has cached run again."""
    for each in gc.get_objects():
        if isinstance(each, _CACHED) and each.__module__.startswith("payments"):
            each.cache_clear()
