"""Takes out of lock files where packages were found, so that they install from any index."""

import json
import re
import sys
from pathlib import Path


def strip_pipfile_lock(text: str) -> str:
    """Return a Pipfile.lock without sources and without the index of each package."""
    lock = json.loads(text)
    lock["_meta"]["sources"] = []
    for group in ("default", "develop"):
        for package in lock.get(group, {}).values():
            package.pop("index", None)
    return json.dumps(lock, indent=4) + "\n"


def strip_package_lock(text: str) -> str:
    """Return a package-lock.json without the address of each package."""
    return re.sub(r'\n *"resolved": "[^"]*",', "", text)


STRIPPERS = {"Pipfile.lock": strip_pipfile_lock, "package-lock.json": strip_package_lock}


def main(files: list[str]) -> None:
    """Strip the lock files named."""
    for file in map(Path, files):
        file.write_text(STRIPPERS[file.name](file.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
