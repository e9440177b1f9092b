"""A failing seed made small: the fewest payments and faults with which it still fails."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.simulation.faults import Fault

MOST_RUNS: Final = 250
"""How many runs the search may take: one or two minutes."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What a run leaves out of what its seed asks for.

    Attributes:
        parts: what is left out of the scenario, by place: requests, files, readers and nonsense.
        kinds: kinds of faults that do not happen.
        strikes: faults that do not happen, by their place in the order of all.
    """

    parts: frozenset[int] = frozenset()
    kinds: frozenset[Fault] = frozenset()
    strikes: frozenset[int] = frozenset()


NOTHING: Final = Cut()


@dataclass(frozen=True, slots=True)
class Tried:
    """What a run with a cut came to: whether it failed, and how much there was to leave out."""

    fails: bool
    parts: int
    strikes: int


def minimise(run: Callable[[Cut], Tried]) -> Cut:
    """Return a cut with which a run fails, and of which no half of anything can be cut more.

    Args:
        run: runs the seed with a cut; if it does not fail without one, nothing is cut.
    """
    whole = run(NOTHING)
    if not whole.fails:
        return NOTHING
    search = _Search(run, whole)
    search.leave_out("kinds", tuple(Fault))
    search.leave_out("parts", range(whole.parts))
    search.leave_out("strikes", range(search.last.strikes))
    search.leave_out("parts", range(whole.parts))
    return search.cut


class _Search:
    def __init__(self, run: Callable[[Cut], Tried], whole: Tried) -> None:
        self.cut = NOTHING
        self.last = whole
        self._run = run
        self._runs_left = MOST_RUNS

    def leave_out(self, what: str, everything: Collection[Any]) -> None:
        """Leave out as much of one thing as the failure can do without: large chunks first."""
        chunk = len(everything)
        while chunk and self._runs_left:
            here = [each for each in everything if each not in getattr(self.cut, what)]
            for start in range(0, len(here), chunk):
                more = getattr(self.cut, what) | set(here[start : start + chunk])
                self._try(replace(self.cut, **{what: more}))
            chunk //= 2

    def _try(self, cut: Cut) -> None:
        if not self._runs_left:
            return
        self._runs_left -= 1
        tried = self._run(cut)
        if tried.fails:
            self.cut, self.last = cut, tried
