"""Known weaknesses: what both tools answer is read, and nothing passes because nobody answered."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from release.audit import __main__ as audit
from release.audit.__main__ import Decision, NoAnswerError, UnreadableDecisionsError, Weakness

TODAY = dt.date(2026, 11, 25)

NPM: dict[str, Any] = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "tmp": {
            "name": "tmp",
            "severity": "low",
            "isDirect": False,
            "via": [
                {
                    "source": 1109537,
                    "name": "tmp",
                    "dependency": "tmp",
                    "title": "tmp allows arbitrary write via symbolic link",
                    "url": "https://github.com/advisories/GHSA-52f5-9888-hmc6",
                    "severity": "low",
                    "range": "<=0.2.3",
                }
            ],
            "effects": ["external-editor"],
        },
        "external-editor": {
            "name": "external-editor",
            "severity": "low",
            "isDirect": False,
            "via": ["tmp"],
            "effects": [],
        },
    },
}

PIP: dict[str, Any] = {
    "dependencies": [
        {
            "name": "urllib3",
            "version": "1.26.0",
            "vulns": [
                {
                    "id": "CVE-2026-1",
                    "fix_versions": ["2.0"],
                    "aliases": ["GHSA-aaaa-bbbb-cccc"],
                    "description": "Forwards a header.\nMore about it.",
                }
            ],
        },
        {"name": "pytest", "version": "9.0.0", "vulns": []},
    ],
    "fixes": [],
}


def test_what_pip_audit_finds_is_read() -> None:
    (found,) = audit.read_pip_audit(PIP)
    assert found == Weakness(
        id="CVE-2026-1",
        aliases=("GHSA-aaaa-bbbb-cccc",),
        package="urllib3",
        version="1.26.0",
        title="Forwards a header.",
        ships=True,
    )
    assert "which the functions carry" in found.sentence


def test_an_advisory_counts_once_however_many_packages_it_reaches() -> None:
    (found,) = audit.read_npm_audit(NPM)
    assert found.id == "GHSA-52f5-9888-hmc6"
    assert found.package == "tmp"
    assert not found.ships


def test_a_registry_that_does_not_answer_is_not_taken_for_a_clean_one() -> None:
    with pytest.raises(NoAnswerError, match="405 Method Not Allowed"):
        list(audit.read_npm_audit({"message": "405 Method Not Allowed", "error": {}}))
    with pytest.raises(NoAnswerError, match="skipped ours"):
        list(audit.read_pip_audit({"dependencies": [{"name": "ours", "skip_reason": "no idea"}]}))


def test_everything_that_is_pinned_is_asked_about_with_its_hashes() -> None:
    lock = json.loads((audit.REPOSITORY / "Pipfile.lock").read_text())
    listed = audit.requirements(lock).splitlines()
    names = {line.partition("==")[0] for line in listed}
    assert names == {*lock["default"], *lock["develop"]}
    assert all("--hash=sha256:" in line for line in listed)


@pytest.mark.parametrize("id_", ["CVE-2026-1", "GHSA-aaaa-bbbb-cccc"])
def test_a_weakness_is_accepted_by_any_of_its_ids_until_its_day(id_: str) -> None:
    found = list(audit.read_pip_audit(PIP))
    decided = {id_: Decision(reason="why", until=TODAY)}
    before = TODAY - dt.timedelta(days=1)
    assert audit.left(found, decided, today=before) == []
    assert audit.left(found, decided, today=TODAY) == found
    assert audit.left(found, {}, today=before) == found


def test_the_decisions_of_this_repository_can_be_read() -> None:
    assert all(decision.reason for decision in audit.decisions().values())


@pytest.mark.parametrize(
    "entry",
    [
        'id = "GHSA-1"\nreason = "why"',
        'id = "GHSA-1"\nreason = " "\nuntil = 2027-03-01',
        'id = "GHSA-1"\nreason = "why"\nuntil = "soon"',
    ],
)
def test_a_decision_has_a_reason_and_a_day(entry: str, tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    file.write_text(f"[[accepted]]\n{entry}\n")
    with pytest.raises(UnreadableDecisionsError, match=r"an entry needs|until is a day"):
        audit.decisions(file)


@pytest.mark.parametrize(
    ("silent", "weak", "code"),
    [(False, False, 0), (False, True, 1), (True, True, 1), (True, False, 2)],
)
def test_the_exit_code_tells_weaknesses_from_silence(
    *,
    silent: bool,
    weak: bool,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def of_node() -> list[Weakness]:
        if silent:
            raise NoAnswerError("npm audit gave no answer: not here")
        return []

    found = list(audit.read_pip_audit(PIP)) if weak else []
    monkeypatch.setattr(audit, "of_python", lambda: found)
    monkeypatch.setattr(audit, "of_node", of_node)
    file = tmp_path / "build/audit.json"
    assert audit.main([str(file)]) == code
    printed = capsys.readouterr()
    assert ("needs the internet" in printed.err) is silent
    assert ("CVE-2026-1" in printed.out) is weak
    assert len(json.loads(file.read_text())["found"]) == len(found)


def test_a_tool_that_says_nothing_readable_gave_no_answer() -> None:
    with pytest.raises(NoAnswerError, match="sh gave no answer: no network"):
        audit._answer(["sh", "-c", "echo trace >&2; echo no network >&2; exit 1"])
