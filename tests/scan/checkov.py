"""checkov over a folder of Terraform, in the environment of its own that ``make scan`` installs."""

import json
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from local.workspace import REPOSITORY

PROGRAM: Final = REPOSITORY / ".tools/checkov/bin/checkov"
WAIVERS: Final = Path(__file__).with_name("waivers.toml")
FRAMEWORKS: Final = ("terraform_json", "terraform")
"""The Terraform as it is, and as HCL. Both must have been read."""

IAM_CHECKS: Final = frozenset(f"CKV_AWS_{number}" for number in (286, 287, 288, 289, 290, 355))
"""They pass over whatever they cannot read, and say nothing."""


class NothingScannedError(Exception):
    """The scan says nothing: a form was not read, or not to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check that failed for one resource."""

    check: str
    title: str
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A check that may fail for every resource whose address holds ``resource``, and why."""

    check: str
    resource: str
    reason: str

    @classmethod
    def of(cls, check: str, entry: Mapping[str, str]) -> Self:
        """Read an entry of the file of waivers."""
        return cls(check=check, resource=entry.get("resource", ""), reason=entry["reason"])

    def covers(self, finding: Finding) -> bool:
        """Whether this waiver is about the finding."""
        return self.check == finding.check and self.resource in finding.resource


def read_waivers(file: Path = WAIVERS) -> list[Waiver]:
    """Return every waiver; each has a reason."""
    entries = tomllib.loads(file.read_text())
    return [Waiver.of(check, entry) for check, entry in entries.items()]


def scan(folder: Path, *, policies: int) -> tuple[list[Finding], int]:
    """Scan a folder that holds both forms of one environment with so many policies of roles.

    Returns:
        What failed, and how many checks passed.

    Raises:
        NothingScannedError: a form was not read.
    """
    ran = subprocess.run(
        [
            *(str(PROGRAM), "--directory", str(folder), "--skip-download", "--output", "json"),
            *("--soft-fail", "--framework", *FRAMEWORKS),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise NothingScannedError(f"checkov failed:\n{ran.stderr[-2000:]}")
    return read_reports(json.loads(ran.stdout), policies=policies)


def read_reports(answer: Any, *, policies: int) -> tuple[list[Finding], int]:
    """Read checkov's JSON: one report for each form that it found something to check in.

    Raises:
        NothingScannedError: a form is missing, has a parsing error, nothing in it passed, or a
            policy of a role was not looked into.
    """
    reports = answer if isinstance(answer, list) else [answer]
    by_form = {report.get("check_type"): report for report in reports}
    findings: list[Finding] = []
    passed = 0
    for form in FRAMEWORKS:
        summary = by_form.get(form, {}).get("summary", {})
        if summary.get("parsing_errors") or not summary.get("passed"):
            raise NothingScannedError(f"checkov did not read the {form} form: {summary}")
        passed += summary["passed"]
        findings += [
            Finding(
                check=failed["check_id"], title=failed["check_name"], resource=failed["resource"]
            )
            for failed in by_form[form]["results"]["failed_checks"]
        ]
    hcl = by_form["terraform"]["results"]
    read = Counter(
        check["check_id"]
        for check in (*hcl["passed_checks"], *hcl["failed_checks"])
        if check["check_id"] in IAM_CHECKS
    )
    if read != dict.fromkeys(IAM_CHECKS, policies):
        raise NothingScannedError(f"checkov did not look into {policies} policies: {dict(read)}")
    return findings, passed


def unwaived(findings: Iterable[Finding], waivers: Iterable[Waiver]) -> list[Finding]:
    """Return the findings that no waiver covers."""
    known = list(waivers)
    return [finding for finding in findings if not any(w.covers(finding) for w in known)]


def unused(findings: Iterable[Finding], waivers: Iterable[Waiver]) -> list[Waiver]:
    """Return the waivers that cover no finding any more."""
    found = list(findings)
    return [waiver for waiver in waivers if not any(map(waiver.covers, found))]
