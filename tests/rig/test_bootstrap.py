"""What runs before any Python package is there: on a machine made of a few stubs."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from local.workspace import REPOSITORY

ORDINARY = ("cat", "cksum", "date", "dirname", "grep", "head", "ls", "sed", "sh", "tail")


class Machine:
    """A PATH with ordinary commands and stubs, and a home directory with nothing in it."""

    def __init__(self, root: Path) -> None:
        self.path = root / "bin"
        self.home = root / "home"
        self.project = root / "project"
        for directory in (self.path, self.home, self.project / "local"):
            directory.mkdir(parents=True)
        for name in ORDINARY:
            found = shutil.which(name)
            assert found
            (self.path / name).symlink_to(found)
        shutil.copy(REPOSITORY / "local/bootstrap.sh", self.project / "local")

    def has(self, name: str, script: str) -> None:
        """Install a command that is this shell script."""
        stub = self.path / name
        stub.write_text(f"#!/bin/sh\n{script}\n")
        stub.chmod(0o755)

    def bootstrap(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run the script there."""
        return subprocess.run(
            ["/bin/sh", "local/bootstrap.sh", command],
            capture_output=True,
            check=False,
            cwd=self.project,
            env={"PATH": str(self.path), "HOME": str(self.home)},
            text=True,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def _complete(machine: Machine) -> None:
    machine.has("python3.12", 'case "$2" in *realpath*) echo "$0";; esac; exit 0')
    machine.has("node", "echo v20.1.0")
    machine.has("npm", "echo 10.0.0")
    machine.has("terraform", "echo Terraform v1.10.0; echo on linux_amd64")
    machine.has("curl", "echo curl 8")


def test_a_machine_with_all_that_is_needed_passes(machine: Machine) -> None:
    _complete(machine)
    done = machine.bootstrap("check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_everything_missing_is_named_in_one_message_and_nothing_is_installed(
    machine: Machine,
) -> None:
    done = machine.bootstrap("install")
    assert done.returncode == 1
    for name in ("Python 3.12", "Node.js 20", "npm", "Terraform 1.10", "curl"):
        assert f"- {name}" in done.stderr
    assert done.stderr.count("this machine lacks") == 1
    assert sorted(each.name for each in machine.project.iterdir()) == ["local"]


def test_what_is_too_old_is_named_with_the_version_found(machine: Machine) -> None:
    _complete(machine)
    machine.has("node", "echo v18.19.1")
    machine.has("terraform", "echo Terraform v1.9.8")
    done = machine.bootstrap("check")
    assert done.returncode == 1
    assert "Node.js 20 or 22 (found 18.19.1)" in done.stderr
    assert "Terraform 1.10 or newer (found 1.9.8)" in done.stderr
    assert "Python" not in done.stderr


@pytest.mark.parametrize("version", ["20.20.2", "22.23.0"])
def test_node_20_and_22_will_do(machine: Machine, version: str) -> None:
    _complete(machine)
    machine.has("node", f"echo v{version}")
    assert machine.bootstrap("check").returncode == 0


@pytest.mark.parametrize("version", ["23.1.0", "24.21.0", "26.0.0"])
def test_a_node_that_the_cdktf_command_line_dies_on_is_refused_with_the_reason(
    machine: Machine, version: str
) -> None:
    _complete(machine)
    machine.has("node", f"echo v{version}")
    done = machine.bootstrap("check")
    assert done.returncode == 1
    assert f"Node.js 20 or 22 (found {version}: the CDKTF command line ends" in done.stderr
    assert "node-pty has no binary for a Node.js newer than 22" in done.stderr
    assert "nvm install 22" in done.stderr


def test_the_npm_package_asks_for_the_same_versions_of_node() -> None:
    package = json.loads((REPOSITORY / "package.json").read_text())
    locked = json.loads((REPOSITORY / "package-lock.json").read_text())["packages"][""]
    assert package["engines"] == locked["engines"] == {"node": "^20 || ^22"}


def test_a_shim_that_fails_counts_as_missing(machine: Machine) -> None:
    _complete(machine)
    machine.has("python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    done = machine.bootstrap("check")
    assert done.returncode == 1
    assert "Python 3.12 or newer (not found)" in done.stderr


def test_python_is_found_among_the_versions_of_pyenv(machine: Machine) -> None:
    _complete(machine)
    (machine.path / "python3.12").rename(machine.path / "kept")
    version = machine.home / ".pyenv/versions/3.12.7/bin"
    version.mkdir(parents=True)
    (machine.path / "kept").rename(version / "python3")
    assert machine.bootstrap("check").returncode == 0


def test_without_pipenv_pythons_venv_module_is_needed(machine: Machine) -> None:
    _complete(machine)
    machine.has("python3.12", 'case "$2" in *ensurepip*) exit 1;; esac; exit 0')
    assert "venv module" in machine.bootstrap("check").stderr
    machine.has("pipenv", "echo pipenv, version 2026")
    assert machine.bootstrap("check").returncode == 0
