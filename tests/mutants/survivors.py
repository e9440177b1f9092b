"""Mutants that may survive, each with a reason."""

import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.mutants.mutants import Name

EXPLANATIONS: Final = Path(__file__).with_name("survivors.toml")


def read_explanations(file: Path = EXPLANATIONS) -> dict[Name, str]:
    """Return the reason for each mutant that may survive."""
    found: dict[Name, str] = {}
    for entry in tomllib.loads(file.read_text()).get("survivor", []):
        for after in entry["after"]:
            name = Name(
                entry["module"],
                entry["function"],
                entry["before"],
                after,
                entry.get("occurrence", 1),
            )
            found[name] = entry["reason"]
    return found


def complaints(
    survived: Mapping[Name, bool], explained: Mapping[Name, str], looked_at: Collection[str]
) -> Iterator[str]:
    """Yield survivors without an explanation, and explanations that are wrong or about nothing.

    ``survived`` says of each mutant whether it did; ``looked_at`` are the modules it is about.
    """
    for name, lives in survived.items():
        if lives and name not in explained:
            yield f"survived: {name}"
        elif not lives and name in explained:
            yield f"explained, but killed: {name}"
    for name in explained:
        if name.module in looked_at and name not in survived:
            yield f"explained, but no mutant: {name}"
