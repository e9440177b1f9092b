"""Terraform itself, with the real provider, accepts what was synthesised."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.provider_lock import LOCK, pinned_platforms, this_platform
from local.providers import write_settings
from tests.synth.terraform import Stack

pytestmark = [
    pytest.mark.xdist_group("synth"),
    pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not on the PATH"),
]


INITIALISE = ("init", "-backend=false", "-input=false")


@pytest.fixture
def folder(stack: Stack, tmp_path: Path) -> Path:
    """A copy of the synthesised stack, in which Terraform may write."""
    write_settings(tmp_path / "terraform.rc")
    return Path(shutil.copytree(stack.folder, tmp_path / "stack"))


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("terraform", *arguments, "-no-color"),
        cwd=folder,
        env={**os.environ, "TF_CLI_CONFIG_FILE": str(folder.parent / "terraform.rc")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_terraform_finds_the_stack_valid_with_the_provider_that_is_pinned(folder: Path) -> None:
    pinned = this_platform() in pinned_platforms()
    assert (folder / LOCK.name).is_file() == pinned
    prepared = terraform(folder, *INITIALISE, *(["-lockfile=readonly"] if pinned else []))
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    verdict = terraform(folder, "validate")
    assert verdict.stdout.strip() == "Success! The configuration is valid.", verdict.stderr


def test_terraform_refuses_a_provider_with_another_checksum(folder: Path) -> None:
    other = "h1:" + 43 * "A" + "="
    (folder / LOCK.name).write_text(re.sub(r"h1:[^\"]+", other, LOCK.read_text()))
    refused = terraform(folder, *INITIALISE)
    assert refused.returncode != 0
    assert "checksums" in refused.stderr
