"""What the functions carry of other people's work: ``python -m release.supply_chain FOLDER``.

Writes a bill of materials (CycloneDX) with the hashes of the lock, and the licences; fails if a
licence is not on the list. Only what is in the functions' layer ships; tools stay with us.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lib.kit.assets import LAYER_DISTRIBUTIONS

LOCK: Final = Path(__file__).resolve().parents[1] / "Pipfile.lock"

ALLOWED: Final = frozenset(
    {
        *("Apache Software License", "Apache-2.0", "BSD License", "BSD-3-Clause"),
        *("MIT", "MIT License", "MIT No Attribution License (MIT-0)", "PSF-2.0"),
    }
)
"""Licences that ask for no more than a notice. Others take a decision before they ship."""


def requirements(lock: Mapping[str, Any]) -> str:
    """Return what ships as a list of requirements, with the version and hashes of the lock.

    Raises:
        KeyError: the lock does not pin a distribution that ships.
    """
    lines = []
    for name in LAYER_DISTRIBUTIONS:
        pinned = lock["default"][name]
        hashes = " ".join(f"--hash={digest}" for digest in sorted(pinned["hashes"]))
        lines.append(f"{name}{pinned['version']} {hashes}\n")
    return "".join(lines)


def bill_of_materials(lock: Mapping[str, Any]) -> str:
    """Return the bill of materials, a CycloneDX document, the same for the same lock."""
    return subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "-"],
        capture_output=True,
        check=True,
        input=requirements(lock),
        text=True,
    ).stdout


def licences() -> list[dict[str, str]]:
    """Return name, version and licence of each distribution that ships."""
    found = subprocess.run(
        [
            *(sys.executable, "-m", "piplicenses", "--format", "json"),
            *("--packages", *LAYER_DISTRIBUTIONS),
        ],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    listed: list[dict[str, str]] = json.loads(found)
    return listed


def refused(listed: Iterable[Mapping[str, str]]) -> list[str]:
    """Return a sentence for each distribution of which no licence, or not every one, is allowed."""
    return [
        f"{each['Name']} {each['Version']} is under {each['License']!r}, which is not on the list"
        for each in listed
        if not set(each["License"].split("; ")) <= ALLOWED
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both files and return 1 if a licence is refused or unknown."""
    parser = argparse.ArgumentParser(prog="python -m release.supply_chain", description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    listed = licences()
    (options.folder / "sbom.json").write_text(bill_of_materials(json.loads(LOCK.read_text())))
    (options.folder / "licences.json").write_text(json.dumps(listed, indent=2) + "\n")
    faults = refused(listed)
    if len(listed) != len(LAYER_DISTRIBUTIONS):
        faults.append(f"{len(listed)} licences were found of {len(LAYER_DISTRIBUTIONS)}")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{options.folder}: bill of materials and {len(listed)} licences")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
