"""Run every scanner over both kinds of environment: ``python -m tests.scan``."""

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lib.config import StackConfig
from main import synthesise
from tests.scan import checkov, hcl, state_machines
from tests.scan.checkov import Finding

SUFFIXES: Final = ("dev", "prod")
"""One disposable and one protected environment."""

MACHINES: Final = 2
"""How many state machines an environment has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the scanners say of one environment."""

    suffix: str
    passed: int = 0
    findings: list[Finding] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def scan(suffix: str, folder: Path) -> Outcome:
    """Scan one environment that was synthesised to ``folder``."""
    (synthesised,) = folder.glob("stacks/*/cdk.tf.json")
    document = json.loads(synthesised.read_text())
    forms = folder / "forms"
    forms.mkdir()
    (forms / "cdk.tf.json").write_text(json.dumps(document, indent=2))
    (forms / "main.tf").write_text(hcl.render(document))
    definitions = state_machines.write_definitions(document, folder)
    faults = [
        f"{suffix}: {definition.name}: {fault}"
        for definition in definitions
        if (fault := state_machines.faults_of(definition))
    ]
    if len(definitions) != MACHINES:
        faults.append(f"{suffix}: {len(definitions)} state machines were scanned, not {MACHINES}")
    try:
        findings, passed = checkov.scan(
            forms, policies=len(document["resource"]["aws_iam_role_policy"])
        )
    except checkov.NothingScannedError as error:
        return Outcome(suffix=suffix, faults=[*faults, f"{suffix}: {error}"])
    return Outcome(suffix=suffix, passed=passed, findings=findings, faults=faults)


def main() -> int:
    """Print what was scanned and what was found; 1 if anything is left to mend or to waive."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {suffix: Path(scratch) / suffix for suffix in SUFFIXES}
        for suffix, folder in folders.items():
            config = StackConfig(
                suffix=suffix,
                region="eu-central-1",
                state_bucket="acme-terraform-state",
                state_bucket_region="us-east-1",
            )
            synthesise(config, folder=str(folder))
        with ThreadPoolExecutor() as pool:
            outcomes = list(pool.map(scan, folders.keys(), folders.values()))
    return report(outcomes)


def report(outcomes: list[Outcome]) -> int:
    """Print the outcomes and return the exit code."""
    waivers = checkov.read_waivers()
    complaints = [fault for outcome in outcomes for fault in outcome.faults]
    everything = [finding for outcome in outcomes for finding in outcome.findings]
    for outcome in outcomes:
        left = checkov.unwaived(outcome.findings, waivers)
        complaints += [
            f"{outcome.suffix}: {finding.check} {finding.resource}: {finding.title}"
            for finding in left
        ]
        print(
            f"{outcome.suffix}: {outcome.passed} checks passed, "
            f"{len(outcome.findings) - len(left)} findings waived, {len(left)} left"
        )
    complaints += [
        f"waivers.toml: {waiver.check} ({waiver.resource or 'any resource'}) waives nothing"
        for waiver in checkov.unused(everything, waivers)
    ]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
