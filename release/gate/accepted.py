"""What was decided to be done although the gate refuses it: ``release/accepted.toml``."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from release.gate.rules import Finding, Verdict

FILE: Final = Path(__file__).parents[1] / "accepted.toml"


class UnreadableDecisionsError(Exception):
    """The file of decisions says something else than which resource, and why."""


def read(file: Path = FILE) -> dict[str, str]:
    """Return the reason of each decision, by the address of the resource.

    Raises:
        UnreadableDecisionsError: the file is not as its first lines say.
    """
    try:
        document = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UnreadableDecisionsError(f"{file} cannot be read: {error}") from error
    decisions: dict[str, str] = {}
    for entry in document.get("accepted", ()):
        if entry.keys() != {"address", "reason"} or not all(map(str.strip, entry.values())):
            raise UnreadableDecisionsError(
                f"{file}: an entry needs an address and a reason, and nothing else: {entry}"
            )
        decisions[entry["address"]] = entry["reason"]
    return decisions


def apply(findings: Iterable[Finding], decisions: dict[str, str]) -> Sequence[Finding]:
    """Leave to the second person what is refused and was decided to be done."""
    return [
        replace(
            finding,
            verdict=Verdict.SECOND_PERSON,
            sentence=f"{finding.sentence} Decided: {decisions[finding.address]}",
        )
        if finding.verdict is Verdict.REFUSED and finding.address in decisions
        else finding
        for finding in findings
    ]
