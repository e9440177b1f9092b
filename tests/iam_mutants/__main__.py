"""Take permissions away one at a time: ``python -m tests.iam_mutants``."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from rich.progress import Progress
from rich.table import Table

from local import emulator
from local.console import console
from local.deployment import Deployment
from local.workspace import REPOSITORY, Workspace
from tests.iam_mutants.mutants import Document, Mutant, mutants_of
from tests.iam_mutants.permissions import ROLES, allowed_by, pairs
from tests.iam_mutants.scenarios import Scenarios
from tests.iam_mutants.survivors import complaints, read_explanations

WORKSPACE: Final = Workspace(state=REPOSITORY / ".local/iam-mutants", suffix="test-mutants")


class Policies:
    """The policies of the deployed roles."""

    def __init__(self, deployment: Deployment) -> None:
        self._iam: Any = deployment.clients.iam
        self._suffix = deployment.workspace.suffix

    def of(self, role: str) -> Document:
        """Return the policy of a role as it is deployed."""
        name = f"{role}-{self._suffix}"
        document: Document = self._iam.get_role_policy(RoleName=name, PolicyName=name)[
            "PolicyDocument"
        ]
        return document

    def put(self, role: str, document: Document) -> None:
        """Put a policy on a role; the emulator asks for it anew at every call."""
        name = f"{role}-{self._suffix}"
        self._iam.put_role_policy(
            RoleName=name, PolicyName=name, PolicyDocument=json.dumps(document)
        )


def synthesised(deployment: Deployment) -> dict[str, set[tuple[str, str]]]:
    """Return statement and action of everything that the synthesised stack allows, by role."""
    stack = deployment.stack_directory
    assert stack is not None
    document = json.loads((stack / "cdk.tf.json").read_text())
    return allowed_by(document["resource"], suffix=deployment.workspace.suffix)


def fault_of(scenarios: tuple[Callable[[], None], ...]) -> str | None:
    """Return the first scenario that fails and how, None if all come to their end."""
    for scenario in scenarios:
        try:
            scenario()
        except Exception as error:  # noqa: BLE001 - whatever way it fails, the mutant is found out
            return f"{scenario.__name__}: {str(error)[:200] or type(error).__name__}"
    return None


def hunt(deployment: Deployment, roles: list[str]) -> Iterator[tuple[Mutant, str | None]]:
    """Yield each mutant of these roles with what found it out, None if nothing did.

    Raises:
        RuntimeError: what is deployed is not what was synthesised, or a scenario fails although
            nothing is missing.
    """
    scenarios, policies = Scenarios(deployment), Policies(deployment)
    expected = synthesised(deployment)
    originals = {role: policies.of(role) for role in roles}
    for role, document in originals.items():
        if pairs(document) != expected[role]:
            raise RuntimeError(f"{role} has another policy than was synthesised")
        if fault := fault_of(scenarios.of_role(role)):
            raise RuntimeError(f"with every permission, {role} fails at {fault}")
    mutants = [mutant for role in roles for mutant in mutants_of(role, originals[role])]
    with Progress(console=console, disable=not console.is_terminal) as progress:
        for mutant in progress.track(mutants, description="Mutants"):
            policies.put(mutant.role, mutant.document)
            try:
                yield mutant, fault_of(scenarios.of_role(mutant.role))
            finally:
                policies.put(mutant.role, originals[mutant.role])


def main() -> int:
    """Deploy, hunt, report; 1 if a survivor has no explanation or an explanation is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.iam_mutants", description=__doc__)
    parser.add_argument(
        "--role", action="append", choices=ROLES, help="only this role (may be repeated)"
    )
    roles = parser.parse_args().role or list(ROLES)
    started = time.monotonic()
    with emulator.exclusive(WORKSPACE):
        emulator.stop(WORKSPACE)
        deployment = Deployment(
            WORKSPACE,
            emulator.start(
                WORKSPACE, port=emulator.free_port(), settings={"SFN_WAIT_SCALE": "0.01"}
            ),
        )
        try:
            deployment.deploy()
            return report(_hunted(deployment, roles), roles, started=started)
        finally:
            emulator.stop(WORKSPACE)


def _hunted(deployment: Deployment, roles: list[str]) -> list[tuple[Mutant, str | None]]:
    found = []
    for number, (mutant, fault) in enumerate(hunt(deployment, roles), 1):
        found.append((mutant, fault))
        if not console.is_terminal:
            console.print(f"{number:3} {'killed  ' if fault else 'survived'} {mutant}")
    return found


def report(found: list[tuple[Mutant, str | None]], roles: list[str], *, started: float) -> int:
    """Print a row for each mutant and what is wrong; return the exit code."""
    table = Table("role", "statement", "without", "fate", "found out by, or why it survives")
    explanations = [e for e in read_explanations() if set(e.roles) & set(roles)]
    for mutant, fault in found:
        reasons = [e.reason for e in explanations if e.covers(mutant)]
        why = fault or "; ".join(reasons) or "no explanation"
        fate = "killed" if fault else "survived"
        table.add_row(mutant.role, mutant.sid, mutant.removed, fate, why)
    console.print(table)
    killed = [mutant for mutant, fault in found if fault]
    survived = [mutant for mutant, fault in found if not fault]
    console.print(
        f"{len(found)} mutants: {len(killed)} killed, {len(survived)} survived, "
        f"in {time.monotonic() - started:.0f} s with the deployment"
    )
    wrong = complaints(survived, killed, explanations)
    for complaint in wrong:
        console.print(complaint, style="red", markup=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
