"""The payment system keeps its promises under faults, and the simulator would see if it did not."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.defects import DEFECTS
from tests.simulation.faults import Fault
from tests.simulation.runs import REPLAY
from tests.simulation.world import simulate

_ROOT = Path(__file__).parents[2]
_SEEDS_PER_CHUNK = 20
_CHUNKS = [range(start, start + _SEEDS_PER_CHUNK) for start in range(1, 101, _SEEDS_PER_CHUNK)]
_SEEDS_TO_CATCH_A_DEFECT = 200


@pytest.mark.parametrize("seeds", _CHUNKS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_no_payment_is_lost_or_charged_twice(seeds: range) -> None:
    for seed in seeds:
        outcome = simulate(seed)
        found = "\n".join(outcome.violations)
        assert not outcome.violations, f"{found}\nreplay: {REPLAY.format(seed=seed)}"


_FIRST_SEEDS: Final = {
    "dead_execution_counts": 47,
    "own_outage_fails_payments": 32,
}
"""Seeds that catch what few seeds catch: tried first, to save time."""


@pytest.mark.parametrize("name", DEFECTS)
def test_a_deliberate_defect_is_caught(name: str) -> None:
    with DEFECTS[name]():
        for seed in (_FIRST_SEEDS.get(name, 1), *range(1, _SEEDS_TO_CATCH_A_DEFECT + 1)):
            violations = simulate(seed).violations
            if violations:
                print(f"{name} is caught by seed {seed}: {violations[0]}")  # noqa: T201
                return
    pytest.fail(f"{name} was not caught within {_SEEDS_TO_CATCH_A_DEFECT} seeds")


def test_a_defect_leaves_no_trace_once_it_is_taken_out_again() -> None:
    before = simulate(3).digest
    for defect in DEFECTS.values():
        with defect():
            pass
    assert simulate(3).digest == before


def test_the_same_seed_is_the_very_same_run() -> None:
    first, other, again = simulate(11), simulate(12), simulate(11)
    assert first.trace == again.trace
    assert first.faults == again.faults
    assert first.digest != other.digest


def test_the_same_seed_is_the_very_same_run_in_another_process() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "11"],
        cwd=_ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"seed 11: trace {simulate(11).digest}" in shown


def test_every_kind_of_fault_is_injected() -> None:
    struck: set[Fault] = set()
    for seed in range(1, _SEEDS_TO_CATCH_A_DEFECT):
        struck.update(simulate(seed).faults)
        if struck == set(Fault):
            return
    assert struck == set(Fault)
