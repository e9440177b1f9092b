"""Synthesise every stage of a release once: ``python -m release.bundle build/release``.

Whatever is deployed later comes from these files. ``SHA256SUMS`` in the folder lists them all, and
``sha256sum --check SHA256SUMS`` compares them.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lib.config import VERSION, StackConfig
from main import synthesise
from release.stages import STAGES, variables

SUMS: Final = "SHA256SUMS"
REPOSITORY: Final = Path(__file__).resolve().parents[1]


class DifferentCodeError(Exception):
    """Two stages would not run the same code."""


def make(folder: Path) -> str:
    """Synthesise every stage into a folder, which is emptied first; return the list's SHA-256.

    Raises:
        lib.config.ConfigurationError: a stage's variables are not right.
        DifferentCodeError: the zips of two stages differ.
    """
    configs = {stage: StackConfig.from_env(variables(stage)) for stage in STAGES}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for stage, config in configs.items():
        synthesise(config, folder=str(folder / stage))
    check_same_code(folder)
    about = {"version": VERSION, "commit": _commit(), "stages": list(STAGES)}
    (folder / "release.json").write_text(json.dumps(about, indent=2) + "\n")
    listed = "".join(
        f"{_digest(file)}  {file.relative_to(folder).as_posix()}\n" for file in _files(folder)
    )
    (folder / SUMS).write_text(listed)
    return hashlib.sha256(listed.encode()).hexdigest()


def check_same_code(folder: Path) -> None:
    """Make sure that every stage carries the same zips, byte for byte.

    Raises:
        DifferentCodeError: they differ.
    """
    zips = {
        stage: {(file.name, _digest(file)) for file in _files(folder / stage) if _is_zip(file)}
        for stage in STAGES
    }
    first, *others = zips.values()
    if not first or any(found != first for found in others):
        raise DifferentCodeError(f"The stages carry different zips, or none: {zips}")


def _is_zip(file: Path) -> bool:
    return file.suffix == ".zip"


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _commit() -> str | None:
    """Return the commit that is checked out, if this is a clone."""
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, check=False, cwd=REPOSITORY, text=True
    )
    return found.stdout.strip() or None


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the bundle and print its digest."""
    parser = argparse.ArgumentParser(prog="python -m release.bundle", description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    print(f"{make(options.folder)}  {options.folder / SUMS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
