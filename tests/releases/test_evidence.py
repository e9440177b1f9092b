"""The evidence: complete, hashed, and honest about what failed or was left out."""

import hashlib
import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from release.evidence.__main__ import (
    FAILED,
    LEFT_OUT,
    MANIFEST,
    PARTS,
    PASSED,
    SUMS,
    Part,
    collect,
    main,
)

ROOT = Path(__file__).parents[2]

WRITES = Part(
    name="writes",
    shows="something",
    command=("{python}", "-c", "open(r'{folder}/file.txt', 'w').write('{seeds}')"),
)
FAILS = Part(name="fails", shows="nothing", command=("{python}", "-c", "exit('it broke')"))


def manifest(folder: Path) -> Any:
    return json.loads((folder / MANIFEST).read_text())


def test_each_file_is_in_the_manifest_with_its_hash(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    assert collect(folder, [WRITES], seeds=7)
    (part,) = manifest(folder)["parts"]
    assert part["outcome"] == PASSED
    assert part["files"] == {
        "writes/file.txt": hashlib.sha256(b"7").hexdigest(),
        "writes/output.txt": hashlib.sha256(b"").hexdigest(),
    }
    check = ["sha256sum", "--check", "--strict", "--quiet", SUMS]
    assert subprocess.run(check, check=False, cwd=folder).returncode == 0
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert found - {SUMS} == set(re.findall(r"(?m)^\w{64}  (.+)$", (folder / SUMS).read_text()))
    (folder / "writes/file.txt").write_text("8")
    changed = subprocess.run(check, capture_output=True, check=False, cwd=folder)
    assert changed.returncode != 0


def test_a_part_that_fails_is_told_and_the_others_run(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    assert not collect(folder, [FAILS, WRITES], seeds=1)
    assert [part["outcome"] for part in manifest(folder)["parts"]] == [FAILED, PASSED]
    assert "it broke" in (folder / "fails/output.txt").read_text()


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    assert collect(folder, [FAILS, WRITES], without=frozenset({"fails"}), seeds=1)
    left_out, _ = manifest(folder)["parts"]
    assert left_out == {"name": "fails", "shows": "nothing", "outcome": LEFT_OUT, "files": {}}


def test_nothing_of_an_earlier_run_stays(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    collect(folder, [WRITES], seeds=1)
    collect(folder, [], seeds=1)
    assert not (folder / "writes").exists()


def test_the_versions_are_told(tmp_path: Path) -> None:
    collect(tmp_path / "evidence", [], seeds=1)
    made_with = manifest(tmp_path / "evidence")["made_with"]
    assert made_with["aws_provider"] == "5.100.0"
    assert all(made_with.values())


def test_a_part_that_nobody_knows_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--without", "mutants"])
    assert "iam-mutants" in capsys.readouterr().err


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_each_part_is_a_command_that_exists(part: Part) -> None:
    python, option, module, *_ = part.command
    assert (python, option) == ("{python}", "-m")
    assert importlib.util.find_spec(module)


def test_the_threat_model_says_what_each_part_shows() -> None:
    page = (ROOT / "docs/threat-model.md").read_text()
    table = page[page.index("## What shows it") : page.index("## What is left")]
    assert re.findall(r"(?m)^\| `([a-z-]+)/` \|", table) == [part.name for part in PARTS]
