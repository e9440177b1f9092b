"""Many runs at once, each process with worlds of its own."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from typing import Final

from tests.simulation.defects import DEFECTS
from tests.simulation.minimise import Cut, Tried, minimise
from tests.simulation.world import Outcome, simulate

REPLAY: Final = ".venv/bin/python -m tests.simulation --trace --seed {seed} --minimise"
"""What makes a failing seed small, runs it again and prints all that happened."""

_SEEDS_PER_TASK: Final = 5


def outcomes(seeds: range, *, jobs: int, defect: str | None = None) -> Iterator[Outcome]:
    """Yield what each seed came to, in order; traces stay behind, they are long."""
    if jobs <= 1:
        yield from (_run_one(defect, seed) for seed in seeds)
        return
    # Spawned, not forked: threads and locks of the SDK do not survive a fork.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(_run_one, defect), seeds, chunksize=_SEEDS_PER_TASK)


def _run_one(defect: str | None, seed: int) -> Outcome:
    with DEFECTS[defect]() if defect else nullcontext():
        return simulate(seed)._replace(trace=())


def smallest(seed: int) -> Cut:
    """Return how much of a failing seed can be left out, so that it still fails."""

    def run(cut: Cut) -> Tried:
        outcome = simulate(seed, cut=cut)
        return Tried(bool(outcome.violations), outcome.parts, outcome.strikes)

    return minimise(run)
