"""Going back: an earlier version is deployed from a checkout of its own, and nothing here changes."""

import subprocess
from pathlib import Path

import pytest

from release import earlier, rollback


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with a release, a commit behind it, and what is installed for both."""
    folder = tmp_path / "clone"
    folder.mkdir()
    monkeypatch.setattr(earlier, "REPOSITORY", folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    (folder / ".gitignore").write_text(".venv\nnode_modules\nlog\n")
    for lock in earlier.LOCKS:
        (folder / lock).write_text("{}")
    write_program(folder / ".venv/bin/python", "exit 1")
    write_program(
        folder / "node_modules/.bin/cdktf",
        f'echo "$@" "$(cat version)" "$(readlink .venv)" > {folder}/log',
    )
    git(folder, "init", "--quiet")
    commit(folder, "1")
    git(folder, "tag", "1.0.0")
    commit(folder, "2")
    return folder


def write_program(file: Path, line: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *who, *arguments], check=True, cwd=folder)


def commit(folder: Path, version: str) -> None:
    (folder / "version").write_text(version)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", version)


def test_an_earlier_version_is_deployed_with_what_is_installed_here(clone: Path) -> None:
    assert rollback.main(["1.0.0"]) == 0
    assert (clone / "log").read_text() == (
        f"deploy --app .venv/bin/python main.py 1 {clone}/.venv\n"
    )
    # The plan is shown and asked about, unless somebody says otherwise.
    assert rollback.main(["1.0.0", "--auto-approve"]) == 0
    assert "--auto-approve" in (clone / "log").read_text()


def test_nothing_here_changes(clone: Path) -> None:
    with earlier.checked_out("1.0.0") as folder:
        assert (folder / "version").read_text() == "1"
    assert not folder.exists()
    assert (clone / "version").read_text() == "2"
    assert (clone / "node_modules/.bin/cdktf").exists()
    listed = subprocess.run(
        ["git", "worktree", "list"], capture_output=True, check=True, cwd=clone, text=True
    )
    assert len(listed.stdout.splitlines()) == 1


def test_a_version_that_pins_other_packages_gets_its_own(clone: Path) -> None:
    (clone / "local").mkdir()
    (clone / "local/bootstrap.sh").write_text('mkdir .venv; echo "$1" > .venv/made\n')
    commit(clone, "3")
    (clone / "Pipfile.lock").write_text('{"other": 1}')
    with earlier.checked_out("HEAD") as folder:
        assert (folder / ".venv/made").read_text() == "install\n"


@pytest.mark.usefixtures("clone")
def test_a_version_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert rollback.main(["9.9.9"]) == 2
    assert "'9.9.9' is no version of this clone" in capsys.readouterr().err
