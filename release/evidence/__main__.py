"""Collect the evidence of one commit into a folder: ``python -m release.evidence build/evidence``.

Each part is a command of this repository. ``manifest.json`` says what each of them shows, how it
ended, and the SHA-256 of each file that it wrote; a part that was left out is named there, too.
``SHA256SUMS`` lists all files for ``sha256sum --check``.
"""

import argparse
import datetime as dt
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lib.config import VERSION
from lib.provider_lock import LOCK

REPOSITORY: Final = Path(__file__).resolve().parents[2]
MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"

PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the evidence.

    In ``command``, ``{python}`` is this Python, ``{folder}`` the part's own folder, and ``{seeds}``
    the number of runs of the simulator. ``keeps`` are files in ``build`` that the command writes.
    """

    name: str
    shows: str
    command: tuple[str, ...]
    keeps: tuple[str, ...] = ()
    takes_minutes: bool = False


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return "{python}", "-m", module, *arguments


PARTS: Final = (
    Part(
        name="supply-chain",
        shows="what the functions carry (CycloneDX, with hashes), and that its licences are allowed",
        command=_python("release.supply_chain", "{folder}"),
    ),
    Part(
        name="weaknesses",
        shows="that nothing that is pinned has a known weakness that nobody accepted",
        command=_python("release.audit", "{folder}/weaknesses.json"),
    ),
    Part(
        name="release",
        shows="the Terraform and the zips of every stage, which carry the same code",
        command=_python("release.bundle", "{folder}/bundle"),
    ),
    Part(
        name="plan",
        shows="each resource of production with all its settings, and what the gate says of it",
        command=_python("release.evidence.plan", "{folder}"),
    ),
    Part(
        name="scan",
        shows="that checkov and asl-validator find nothing but what is waived with a reason",
        command=_python("tests.scan"),
    ),
    Part(
        name="tests",
        shows="every test without an emulator: rules, contract, snapshots, use of the key, and "
        "that the simulator catches planted defects",
        command=_python(
            *("pytest", "-q", "--numprocesses", "2", "--ignore", "tests/e2e"),
            *("--junitxml", "{folder}/tests.xml", "tests"),
        ),
        takes_minutes=True,
    ),
    Part(
        name="end-to-end",
        shows="that the deployed Terraform pays, refunds, alarms and refuses, with IAM enforced",
        command=_python("pytest", "-q", "--junitxml", "{folder}/end-to-end.xml", "tests/e2e"),
        takes_minutes=True,
    ),
    Part(
        name="simulator",
        shows="that no payment is lost or charged twice under injected faults, for these seeds",
        command=_python("tests.simulation", "--seeds", "{seeds}"),
        keeps=("simulation.json",),
        takes_minutes=True,
    ),
    Part(
        name="processor-model",
        shows="that payments through Stripe's double end as their money did, whatever goes wrong",
        command=_python("tests.simulation.stripe_model", "--payments", "20000"),
        takes_minutes=True,
    ),
    Part(
        name="files",
        shows="that batch files are read as Python's csv module reads them",
        command=_python("tests.oracle.batch_files", "--files", "5000"),
        takes_minutes=True,
    ),
    Part(
        name="iam-mutants",
        shows="that each permission of each role is needed, or why it is there",
        command=_python("tests.iam_mutants"),
        takes_minutes=True,
    ),
)


def versions() -> dict[str, Any]:
    """Return the versions of what everything was made with; None for a program that is missing."""
    provider = re.search(r'version\s*=\s*"([^"]+)"', LOCK.read_text())
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "node": _said("node", "--version"),
        "terraform": (_said("terraform", "version") or "").partition("\n")[0] or None,
        "aws_provider": provider and provider[1],
    }


def _said(*command: str) -> str | None:
    """Return what a program prints, or None if it is missing or fails."""
    try:
        ran = subprocess.run(
            command, capture_output=True, check=True, cwd=REPOSITORY, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return ran.strip()


def collect(
    folder: Path, parts: Iterable[Part], *, without: frozenset[str] = frozenset(), seeds: int
) -> bool:
    """Run the parts, write the folder, which is emptied first, and return whether all passed.

    Args:
        folder: where the evidence goes.
        parts: what to run.
        without: names of parts to leave out.
        seeds: runs of the simulator.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for lock in ("Pipfile.lock", "package-lock.json", LOCK.name):
        shutil.copy(REPOSITORY / lock, folder / lock.lstrip("."))
    told = []
    for part in parts:
        if part.name in without:
            told.append({"name": part.name, "shows": part.shows, "outcome": LEFT_OUT})
            print(f"{part.name}: left out", flush=True)
            continue
        print(f"{part.name} ...", flush=True)
        told.append(_run(part, folder / part.name, seeds))
        print(f"  {told[-1]['outcome']} after {told[-1]['seconds']} s", flush=True)
    manifest = {
        "version": VERSION,
        "commit": _said("git", "rev-parse", "HEAD"),
        "has_uncommitted_changes": bool(_said("git", "status", "--porcelain")),
        "made_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "made_with": versions(),
        "parts": [{**each, "files": _hashes(folder / str(each["name"]), folder)} for each in told],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    listed = _hashes(folder, folder)
    (folder / SUMS).write_text("".join(f"{sum_}  {name}\n" for name, sum_ in listed.items()))
    return all(each["outcome"] != FAILED for each in told)


def _run(part: Part, folder: Path, seeds: int) -> dict[str, Any]:
    folder.mkdir()
    values = {"python": sys.executable, "folder": str(folder.resolve()), "seeds": str(seeds)}
    started = time.monotonic()
    with (folder / "output.txt").open("w") as output:
        code = subprocess.run(
            [word.format(**values) for word in part.command],
            check=False,
            cwd=REPOSITORY,
            # Wide enough for tables; end-to-end tests must not skip themselves.
            env={**os.environ, "COLUMNS": "200", "E2E_REQUIRED": "1", "PYTHONPATH": "lambda"},
            stderr=subprocess.STDOUT,
            stdout=output,
        ).returncode
    for name in part.keeps:
        shutil.copy(REPOSITORY / "build" / name, folder / name)
    return {
        "name": part.name,
        "shows": part.shows,
        "command": " ".join(part.command).format(python="python", folder=".", seeds=seeds),
        "outcome": FAILED if code else PASSED,
        "exit_code": code,
        "seconds": round(time.monotonic() - started),
    }


def _hashes(below: Path, folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a place, by its path within the folder."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(below.rglob("*"))
        if file.is_file()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect and return 1 if a part failed."""
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(
        prog="python -m release.evidence",
        description="Collect what shows that this commit keeps its promises.",
        epilog="Parts that take minutes: "
        + ", ".join(part.name for part in PARTS if part.takes_minutes),
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--without", nargs="*", default=[], choices=names, metavar="PART", help=", ".join(names)
    )
    parser.add_argument("--seeds", type=int, default=1000, help="runs of the simulator")
    options = parser.parse_args(arguments)
    if collect(options.folder, PARTS, without=frozenset(options.without), seeds=options.seeds):
        print(f"{options.folder}: every part that ran has passed")
        return 0
    print(f"{options.folder}: a part failed, see its output.txt", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
