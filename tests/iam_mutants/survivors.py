"""Mutants that may survive, each with a reason."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.iam_mutants.mutants import Mutant

EXPLANATIONS: Final = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why some mutants of one statement survive in these roles.

    ``removed`` names the actions and resources it is about; the end of an ARN will do. Without it,
    it is about the whole statement.
    """

    roles: tuple[str, ...]
    sid: str
    removed: tuple[str, ...]
    reason: str

    def covers(self, mutant: Mutant) -> bool:
        """Whether it is about this mutant."""
        return (
            mutant.role in self.roles
            and mutant.sid == self.sid
            and (not self.removed or mutant.removed.endswith(self.removed))
        )


def read_explanations(file: Path = EXPLANATIONS) -> list[Explanation]:
    """Return every explanation."""
    entries = tomllib.loads(file.read_text())["survivor"]
    return [
        Explanation(
            roles=tuple(entry["roles"]),
            sid=entry["statement"],
            removed=tuple(entry.get("removed", ())),
            reason=entry["reason"],
        )
        for entry in entries
    ]


def complaints(
    survived: Iterable[Mutant], killed: Iterable[Mutant], explanations: Iterable[Explanation]
) -> list[str]:
    """Return survivors without an explanation, and explanations that are wrong or about nobody."""
    survivors, dead, known = list(survived), list(killed), list(explanations)
    found = [
        f"survives without an explanation: {mutant}"
        for mutant in survivors
        if not any(explanation.covers(mutant) for explanation in known)
    ]
    found += [
        f"is explained as a survivor, but was killed: {mutant}"
        for mutant in dead
        if any(explanation.covers(mutant) for explanation in known)
    ]
    found += [
        f"explains no mutant: {explanation.sid} of {', '.join(explanation.roles)}"
        for explanation in known
        if not any(map(explanation.covers, [*survivors, *dead]))
    ]
    return found
