"""A failing seed is shown with no more payments and faults than its failure needs."""

from tests.simulation.faults import Fault
from tests.simulation.minimise import MOST_RUNS, NOTHING, Cut, Tried, minimise


def test_only_what_the_failure_needs_is_left() -> None:
    def run(cut: Cut) -> Tried:
        needs = 3 not in cut.parts and Fault.KILLED not in cut.kinds and 17 not in cut.strikes
        return Tried(needs, parts=9, strikes=40)

    cut = minimise(run)
    assert set(range(9)) - cut.parts == {3}
    assert set(Fault) - cut.kinds == {Fault.KILLED}
    assert set(range(40)) - cut.strikes == {17}


def test_a_failure_that_needs_nothing_is_left_with_nothing() -> None:
    cut = minimise(lambda _: Tried(fails=True, parts=5, strikes=7))
    assert (len(cut.parts), cut.kinds, len(cut.strikes)) == (5, frozenset(Fault), 7)


def test_the_search_ends_however_much_there_is() -> None:
    runs: list[Cut] = []

    def run(cut: Cut) -> Tried:
        runs.append(cut)
        return Tried(cut == NOTHING, parts=1000, strikes=1000)

    assert minimise(run) == NOTHING
    assert len(runs) <= MOST_RUNS + 2
