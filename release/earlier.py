"""Another version of this repository, next to the one that is checked out."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
INSTALLED: Final = (".venv", "node_modules")
LOCKS: Final = ("Pipfile.lock", "package-lock.json")


class UnknownVersionError(Exception):
    """This clone has no such version."""


@contextmanager
def checked_out(ref: str) -> Iterator[Path]:
    """Check a tag or commit out into a folder of its own, with what it needs installed.

    What is installed here serves both, unless that version pins other packages.

    Raises:
        UnknownVersionError: there is no such tag or commit in this clone.
        subprocess.CalledProcessError: its packages could not be installed.
    """
    scratch = Path(tempfile.mkdtemp(prefix="earlier-"))
    folder = scratch / "sources"
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    try:
        added = subprocess.run(
            [*git, "add", "--quiet", "--detach", str(folder), ref],
            capture_output=True,
            check=False,
            text=True,
        )
        if added.returncode:
            raise UnknownVersionError(
                f"{ref!r} is no version of this clone: {added.stderr.strip()}"
            )
        if all((folder / lock).read_bytes() == (REPOSITORY / lock).read_bytes() for lock in LOCKS):
            for name in INSTALLED:
                (folder / name).symlink_to(REPOSITORY / name)
        else:
            subprocess.run(["sh", "local/bootstrap.sh", "install"], check=True, cwd=folder)
        yield folder
    finally:
        # Links go first: what they lead to stays.
        for name in INSTALLED:
            if (folder / name).is_symlink():
                (folder / name).unlink()
        shutil.rmtree(scratch, ignore_errors=True)
        subprocess.run([*git, "prune"], capture_output=True, check=False)


def programs(folder: Path) -> dict[str, str]:
    """Return the ``PATH`` on which Python and ``cdktf`` are those of a version."""
    paths = (folder / ".venv/bin", folder / "node_modules/.bin")
    return {"PATH": os.pathsep.join([*map(str, paths), os.environ.get("PATH", os.defpath)])}
