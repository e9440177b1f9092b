"""What is known of each mutant, kept as it becomes known, so that a run goes on where it ended."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.mutants.mutants import Mutant, Name
from tests.mutants.touching import ROOT

FOLDER: Final = ROOT / "build" / "mutants"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant, by code and tests with this digest. Without a killer, it survived."""

    digest: str
    killer: str | None


class Results:
    """The results of one room, a line each."""

    def __init__(self, room: str) -> None:
        self._file = FOLDER / f"{room}.jsonl"
        self._known: dict[Name, Result] = {}
        self.read()

    def read(self) -> None:
        """Read what other processes found out."""
        if self._file.exists():
            for line in self._file.read_text().splitlines():
                entry = json.loads(line)
                self._known[Name(*entry["name"])] = Result(entry["digest"], entry["killer"])

    def get(self, mutant: Mutant) -> Result | None:
        """Return what was found out last, if anything was."""
        return self._known.get(mutant.name)

    def put(self, mutant: Mutant, result: Result) -> None:
        """Remember what was found out."""
        self._known[mutant.name] = result
        self._file.parent.mkdir(parents=True, exist_ok=True)
        entry = {"digest": result.digest, "killer": result.killer, "name": list(mutant.name)}
        with self._file.open("a") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def survived(self, mutants: Sequence[Mutant]) -> Mapping[Name, bool]:
        """Return whether each of these mutants survived."""
        return {
            each.name: known.killer is None
            for each in mutants
            if (known := self._known.get(each.name))
        }
