"""The gate of the pipeline, on plans that Terraform makes of the deployed stack."""

import pytest

from release.gate.__main__ import APPLY, REFUSED, SECOND_PERSON, exit_code
from release.gate.plan import read
from release.gate.rules import judge
from tests.e2e.environment import Environment
from tests.releases import plans


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ("unchanged", APPLY, None),
        ("renamed-table", REFUSED, "would be replaced, because of name"),
        ("widened-role", SECOND_PERSON, "would newly allow dynamodb:DeleteItem"),
        ("removed-alarm", REFUSED, "would be lost: nobody would be told"),
    ],
)
def test_the_gate_judges_a_plan_of_this_stack(
    environment: Environment, change: str, code: int, sentence: str | None
) -> None:
    findings = judge(read(plans.settled(plans.plan(environment.deployment, change))))
    assert exit_code(findings) == code
    if sentence:
        assert sentence in findings[0].sentence
