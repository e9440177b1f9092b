"""What a deployment needs on the machine it is started from."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from lib.provider_lock import pinned_platforms, this_platform
from operations.checks.findings import Finding, Level, ok

type Run = Callable[..., str | None]
"""Runs a program and returns what it printed; None if it could not be run."""

FUNCTIONS_PYTHON: Final = (3, 12)
NODE_VERSIONS: Final = ("20", "22")
NEWEST_NODE: Final = 22
OLDEST_TERRAFORM: Final = (1, 10)


def printed_by(*command: str) -> str | None:
    """Return what a program printed to its standard output; None if it could not be run."""
    # A setting that names no file makes Terraform complain.
    environment = {
        name: value for name, value in os.environ.items() if name != "TF_CLI_CONFIG_FILE"
    }
    try:
        return subprocess.run(  # noqa: S603 - our own words
            command,
            capture_output=True,
            check=False,
            env=environment | {"CHECKPOINT_DISABLE": "1"},
            errors="replace",
            text=True,
            timeout=30,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None


def machine(
    environ: Mapping[str, str], *, run: Run = printed_by, platform: str | None = None
) -> Iterator[Finding]:
    """Yield a finding for each thing that this machine must have."""
    yield python(sys.version_info[:2])
    yield node(run("node", "--version"))
    yield terraform(run("terraform", "version", "-json"))
    yield provider_lock(platform or this_platform(), pinned_platforms())
    yield shell_region(environ)


def python(version: tuple[int, int]) -> Finding:
    """Look at the version of Python that synthesises: it should be that of the functions."""
    about, found = "Python", ".".join(map(str, version))
    if version == FUNCTIONS_PYTHON:
        return ok(about, found)
    return Finding(
        about=about,
        level=Level.WARNING if version > FUNCTIONS_PYTHON else Level.FAULT,
        found=found,
        why="The functions run on Python 3.12; what another version packages is tested nowhere.",
        fix="pyenv install 3.12 && pipenv --python 3.12 sync --dev",
    )


def node(printed: str | None) -> Finding:
    """Look at what ``node --version`` printed."""
    about, version = "Node.js", (printed or "").strip().removeprefix("v")
    major = version.partition(".")[0]
    if major in NODE_VERSIONS:
        return ok(about, version)
    too_new = major.isdecimal() and int(major) > NEWEST_NODE
    return Finding(
        about=about,
        level=Level.FAULT,
        found=version or "not found",
        why="The CDKTF command line ends with ERR_DLOPEN_FAILED on it: its node-pty has no binary"
        " for a Node.js newer than 22."
        if too_new
        else "The CDKTF command line needs Node.js 20 or 22.",
        fix="nvm install 22 && nvm use 22",
    )


def terraform(printed: str | None) -> Finding:
    """Look at what ``terraform version -json`` printed."""
    about = "Terraform"
    fix = "tfenv install latest && tfenv use latest"
    why = "The state is locked with a lock file in its bucket, which Terraform knows from 1.10 on."
    if not printed:
        return Finding(about=about, level=Level.FAULT, found="not found", why=why, fix=fix)
    try:
        version = json.loads(printed)["terraform_version"]
        number = tuple(int(part) for part in version.split(".")[:2])
    except (AttributeError, LookupError, TypeError, ValueError):
        return Finding(
            about=about,
            level=Level.UNSEEN,
            found=f"could not look: terraform version -json printed {printed[:80]!r}",
            why=why,
            fix="terraform version",
        )
    if number >= OLDEST_TERRAFORM:
        return ok(about, version)
    return Finding(about=about, level=Level.FAULT, found=version, why=why, fix=fix)


def provider_lock(platform: str, pinned: tuple[str, ...]) -> Finding:
    """Look whether the AWS provider's checksum is pinned for this platform."""
    about = "Provider's checksum"
    if platform in pinned:
        return ok(about, f"pinned for {platform}")
    return Finding(
        about=about,
        level=Level.WARNING,
        found=f"not pinned for {platform}, only for {', '.join(pinned) or 'no platform'}",
        why="Terraform would run any package of this version that it is given, with your rights.",
        fix="pipenv run python -m local.providers && git add .terraform.lock.hcl",
    )


def shell_region(environ: Mapping[str, str]) -> Finding:
    """Look whether boto3 and the AWS CLI, asked in this shell, look where it deploys to."""
    about, here = "Region of the shell", environ.get("AWS_REGION", "")
    other = environ.get("AWS_DEFAULT_REGION", here)
    if other == here:
        return ok(about, here or "none is named")
    return Finding(
        about=about,
        level=Level.WARNING,
        found=f"AWS_REGION is {here!r}, AWS_DEFAULT_REGION {other!r}",
        why="trace, redrive and audit would ask another region than the one deployed to.",
        fix='export AWS_DEFAULT_REGION="$AWS_REGION"',
    )
