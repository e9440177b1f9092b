"""Terraform itself, with the real provider, accepts what was synthesised."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.providers import write_settings
from tests.synth.terraform import Stack

pytestmark = [
    pytest.mark.xdist_group("synth"),
    pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not on the PATH"),
]


def terraform(folder: Path, settings: Path, *arguments: str) -> str:
    outcome = subprocess.run(
        ("terraform", *arguments, "-no-color"),
        cwd=folder,
        env={**os.environ, "TF_CLI_CONFIG_FILE": str(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def test_terraform_finds_the_stack_valid(stack: Stack, tmp_path: Path) -> None:
    settings = tmp_path / "terraform.rc"
    write_settings(settings)
    folder = tmp_path / "stack"
    shutil.copytree(stack.folder, folder)
    terraform(folder, settings, "init", "-backend=false", "-input=false")
    verdict = terraform(folder, settings, "validate")
    assert verdict.strip() == "Success! The configuration is valid."
