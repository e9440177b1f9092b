"""Policies with one thing less."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

type Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A role's policy without one action, or one resource, of one statement."""

    role: str
    sid: str
    kind: Literal["Action", "Resource"]
    removed: str
    document: Document

    def __str__(self) -> str:
        """Return what is missing, for people."""
        return f"{self.role}: {self.sid} without {self.removed}"


def mutants_of(role: str, document: Document) -> Iterator[Mutant]:
    """Yield every policy that lacks one action, then every one that lacks one resource.

    A statement that would have none left goes as a whole. Where it has one action alone, its only
    resource is not removed as well: that would be the same policy. Statements about a key are left
    out: the emulator asks no key, so that tests/synth/test_kms.py takes those away.
    """
    for kind in ("Action", "Resource"):
        for at, statement in enumerate(document["Statement"]):
            values = statement[kind]
            if all(action.startswith("kms:") for action in statement["Action"]):
                continue
            if kind == "Resource" and len(values) == 1 == len(statement["Action"]):
                continue
            for value in values:
                yield Mutant(
                    role=role,
                    sid=statement["Sid"],
                    kind=kind,
                    removed=value,
                    document=_without(document, at, kind, value),
                )


def _without(document: Document, at: int, kind: str, value: str) -> Document:
    mutated: dict[str, Any] = copy.deepcopy(dict(document))
    left = [kept for kept in mutated["Statement"][at][kind] if kept != value]
    if left:
        mutated["Statement"][at][kind] = left
    else:
        del mutated["Statement"][at]
    return mutated
