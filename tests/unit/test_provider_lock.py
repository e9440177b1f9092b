"""The provider's checksums reach the stack's folder, on the platforms that they are pinned for."""

from pathlib import Path

import pytest

from lib.provider_lock import HEADER, LOCK, pin_provider, pinned_platforms, this_platform


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    lock = tmp_path / ".terraform.lock.hcl"
    lock.write_text(f"{HEADER}linux_riscv64 {this_platform()}\n\nprovider {{}}\n")
    return lock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "stack"
    folder.mkdir()
    return folder


def test_the_repository_pins_the_platform_that_most_deployments_run_on() -> None:
    assert "linux_amd64" in pinned_platforms()


def test_a_synthesised_stack_gets_the_lock_file_in_place_of_an_older_one(
    lock: Path, folder: Path
) -> None:
    (folder / LOCK.name).write_text("of an earlier synthesis")
    assert pin_provider(folder, lock=lock)
    assert (folder / LOCK.name).read_text() == lock.read_text()


def test_a_platform_that_is_not_pinned_is_told_instead_of_refused(lock: Path, folder: Path) -> None:
    lock.write_text(lock.read_text().replace(this_platform(), "plan9_386"))
    assert not pin_provider(folder, lock=lock)
    assert list(folder.iterdir()) == []


def test_without_a_lock_file_nothing_is_pinned(tmp_path: Path) -> None:
    assert pinned_platforms(tmp_path / "missing.hcl") == ()


@pytest.mark.parametrize(
    ("system", "machine", "named"),
    [
        ("Linux", "x86_64", "linux_amd64"),
        ("Linux", "aarch64", "linux_arm64"),
        ("Darwin", "arm64", "darwin_arm64"),
        ("Darwin", "x86_64", "darwin_amd64"),
    ],
)
def test_platforms_are_named_as_terraform_names_them(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, named: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert this_platform() == named
