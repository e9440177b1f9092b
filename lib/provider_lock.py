"""The AWS provider's checksums, pinned in the repository for every deployment.

Terraform takes a provider only if its package has a checksum that its dependency lock file lists:
https://developer.hashicorp.com/terraform/language/files/dependency-lock
It looks for that file in the folder of the synthesised stack, which is made anew by each synthesis.
"""

import platform
import re
import shutil
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).parents[1] / ".terraform.lock.hcl"
"""The committed lock file; ``make lock`` writes it."""

HEADER: Final = "# Platforms: "
"""Starts the line that names the platforms whose checksums are listed: the checksums do not."""

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def this_platform() -> str:
    """Return this machine's platform as Terraform writes it, such as ``linux_amd64``."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{_MACHINES.get(machine, machine)}"


def pinned_platforms(lock: Path = LOCK) -> tuple[str, ...]:
    """Return the platforms whose provider package a lock file pins; none without the file."""
    if not lock.is_file():
        return ()
    named = re.search(f"(?m)^{HEADER}(.+)$", lock.read_text())
    return tuple(named[1].split()) if named else ()


def pin_provider(stack_folder: Path, *, lock: Path = LOCK) -> bool:
    """Put the lock file into a synthesised stack's folder, and return whether it was done.

    It is left out on a platform that it does not list: Terraform would refuse the provider there.
    """
    if this_platform() not in pinned_platforms(lock):
        return False
    shutil.copyfile(lock, stack_folder / lock.name)
    return True
