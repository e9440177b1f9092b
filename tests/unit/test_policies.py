"""Who uploads, who is on call and who deploys: what their policies allow, and what they need."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from tests.policies import EXAMPLE, FOLDER, NAMES, actions, rendered

ROOT = Path(__file__).parents[2]
DEPLOY = ("deploy-edge", "deploy-functions", "deploy-processor", "deploy-storage")
LONGEST_SUFFIX = "a" * 20
MOST_CHARACTERS = 6144
"""Of a managed policy, without white space:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

ON_ANY_RESOURCE = {
    "cloudwatch:DescribeAlarms",  # to list them is to ask for all
    "cloudwatch:GetMetricData",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:ListMetrics",
    "dynamodb:ListBackups",
    "kms:CreateKey",
    "kms:ListAliases",
    "kms:TagResource",  # the new key has no ARN yet; the condition asks for its tags
    "lambda:CreateEventSourceMapping",
    "lambda:DeleteEventSourceMapping",
    "lambda:GetAccountSettings",
    "lambda:ListEventSourceMappings",
    "lambda:UpdateEventSourceMapping",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:GetQueryResults",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "servicequotas:ListServiceQuotas",
    "states:ListStateMachines",
    "states:ValidateStateMachineDefinition",
    "xray:BatchGetTraces",
    "xray:GetTraceSummaries",
}
"""AWS has no resource to name for these, or a condition says which:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"""

SERVICES = {
    "apigateway": "apigateway",
    "cloudwatch": "cloudwatch",
    "dynamodb": "dynamodb",
    "lambda": "lambda",
    "s3": "s3",
    "s3api": "s3",
    "secretsmanager": "secretsmanager",
    "service-quotas": "servicequotas",
    "sqs": "sqs",
    "stepfunctions": "states",
    "sts": "sts",
}
"""What a client or the command line calls a service, and what IAM calls it."""

CALLS = {
    "apigateway:GetAccount": {"apigateway:GET"},
    "apigateway:GetRestApis": {"apigateway:GET"},
    "dynamodb:Wait": {"dynamodb:DescribeTable"},
    "lambda:Invoke": {"lambda:InvokeFunction"},
    "s3:CopyObject": {
        "s3:GetObject",
        "s3:GetObjectTagging",
        "s3:PutObject",
        "s3:PutObjectTagging",
    },
    "s3:Cp": {"s3:AbortMultipartUpload", "s3:PutObject"},
    "s3:GetBucketEncryption": {"s3:GetEncryptionConfiguration"},
    "s3:GetPublicAccessBlock": {"s3:GetBucketPublicAccessBlock"},
    "s3:HeadBucket": {"s3:ListBucket"},
    "s3:HeadObject": {"s3:GetObject"},
    "sqs:ChangeMessageVisibilityBatch": {"sqs:ChangeMessageVisibility"},
    "sqs:DeleteMessageBatch": {"sqs:DeleteMessage"},
    "sqs:SendMessageBatch": {"sqs:SendMessage"},
    "sts:GetCallerIdentity": set(),
}
"""Calls whose permissions have other names; whoever asks who they are needs none."""

WITHOUT_AN_OPERATION = {
    *(f"apigateway:{verb}" for verb in ("DELETE", "GET", "PATCH", "POST", "PUT")),
    "apigateway:SetWebACL",
    "apigateway:UpdateRestApiPolicy",
    "execute-api:Invoke",
    "iam:PassRole",
    "lambda:InvokeFunction",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:UpdateLogDelivery",
    "s3:DeleteObjectVersion",
    "s3:GetAccelerateConfiguration",
    "s3:GetBucketCORS",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
}
"""Permissions that are called otherwise than what they permit:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"""

READERS = {
    "docs/batches.md": ("uploads",),
    "docs/runbook.md": ("on-call",),
    "docs/operate.md": DEPLOY,
    "docs/before-a-deployment.md": DEPLOY,
    "docs/restore.md": ("restore", *DEPLOY),
    "README.md": ("uploads", "on-call", *DEPLOY),
}
"""Whose commands a page has."""


RUNNERS = {
    "api.py": ("approver", "support", "uploads"),
    "batches.py": ("uploads",),
    "ledger.py": ("books", "smoke"),
    "timeline.py": ("on-call", "support"),
    "trace.py": ("on-call", "support"),
}
"""Who runs what a module of ``operations`` does; all others are for on call."""


@cache
def operations(service: str) -> dict[str, str]:
    """Return every operation of a service by the name that Python gives it."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


def needed(service: str, operation: str) -> set[str]:
    call = f"{SERVICES[service]}:{operation}"
    return CALLS.get(call, {call})


def calls(path: Path) -> Iterator[tuple[str, str]]:
    """Yield service and operation of each call to AWS in a module, paginators included."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name != "get_paginator":
                yield from operation_of(name)
            case ast.Constant(value=str(name)):
                yield from operation_of(name)


def operation_of(name: str) -> Iterator[tuple[str, str]]:
    for service in SERVICES.keys() - {"s3api"}:
        if name in operations(service):
            yield service, operations(service)[name]


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Yield service and command of each use of the AWS command line on a page."""
    services = "|".join(SERVICES)
    yield from re.findall(
        rf"\baws (?:--[a-z-]+ \S+ )*({services}) ([a-z][a-z0-9-]+)", (ROOT / page).read_text()
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_is_one_for_every_environment(name: str) -> None:
    text = json.dumps(rendered(name, suffix="pr-12"))
    assert not re.findall(r"\{[a-z_]+\}", text), "a placeholder that nobody knows"
    assert EXAMPLE["account"] not in (FOLDER / f"{name}.json").read_text()
    assert re.search(r"[-/]pr-12\b", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_fits_into_a_managed_one(name: str) -> None:
    document = json.dumps(rendered(name, suffix=LONGEST_SUFFIX), separators=(",", ":"))
    assert len(document) <= MOST_CHARACTERS


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_is_in_the_grammar_of_iam(name: str) -> None:
    document = rendered(name)
    assert set(document) == {"Version", "Statement"}
    assert document["Version"] == "2012-10-17"
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    for statement in document["Statement"]:
        assert statement.keys() - {"Condition"} == {"Sid", "Effect", "Action", "Resource"}
        assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
        assert statement["Effect"] == "Allow"
        for resource in statement["Resource"]:
            assert resource == "*" or re.fullmatch(
                r"arn:aws:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:\S+", resource
            )


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_names_each_action_and_limits_its_resources(name: str) -> None:
    for statement in rendered(name)["Statement"]:
        for action in statement["Action"]:
            assert re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", action)
        if "*" in statement["Resource"]:
            assert set(statement["Action"]) <= ON_ANY_RESOURCE
        for resource in set(statement["Resource"]) - {"*"}:
            # Something after the account is named, whatever follows it.
            assert not re.fullmatch(r"arn:aws:[a-z0-9-]+:[^:]*:[^:]*:\*", resource)


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_names_actions_that_there_are(name: str) -> None:
    models = {SERVICES[service]: service for service in SERVICES if service != "s3api"}
    for action in actions(name) - WITHOUT_AN_OPERATION:
        prefix, _, operation = action.partition(":")
        assert operation in operations(models.get(prefix, prefix)).values(), action


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_uses_the_key_only_through_services_or_by_its_tags(name: str) -> None:
    for statement in rendered(name)["Statement"]:
        if any(
            re.fullmatch(r"kms:(Decrypt|Encrypt|GenerateDataKey)", a) for a in statement["Action"]
        ):
            assert {"kms:ViaService", "aws:ResourceTag/Environment"} & set(
                statement["Condition"]["StringEquals"]
            )


def test_nobody_but_who_destroys_may_delete_what_has_data() -> None:
    deleting = {
        "dynamodb:DeleteTable",
        "kms:ScheduleKeyDeletion",
        "s3:DeleteBucket",
        "s3:DeleteObjectVersion",
    }
    assert deleting <= actions("destroy")
    # Who restores a table deletes the one that it replaces.
    assert deleting & actions("restore") == {"dynamodb:DeleteTable"}
    assert not deleting & actions(*(set(NAMES) - {"destroy", "restore"}))


def test_on_call_cannot_write_tables_or_change_who_may_do_what() -> None:
    allowed = actions("on-call")
    assert {action for action in allowed if action.startswith("dynamodb:")} == {
        "dynamodb:DescribeTable",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
    }
    assert not {action for action in allowed if action.startswith("iam:")}


@pytest.mark.parametrize("page", READERS)
def test_whoever_reads_a_page_may_run_its_commands(page: str) -> None:
    wanted = {
        action
        for service, command in commands(page)
        for action in needed(service, "".join(word.capitalize() for word in command.split("-")))
    }
    assert wanted - actions(*READERS[page]) == set()


def test_the_pages_have_commands() -> None:
    assert ("s3", "cp") in commands("docs/batches.md")
    assert ("sqs", "receive-message") in commands("docs/runbook.md")
    assert ("lambda", "update-alias") in commands("docs/operate.md")
    assert ("dynamodb", "restore-table-from-backup") in commands("docs/restore.md")


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "operations").rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_call_of_a_command_is_allowed_to_who_runs_it(path: Path) -> None:
    before_a_deployment = path.name == "doctor.py" or path.parent.name == "checks"
    readers = DEPLOY if before_a_deployment else RUNNERS.get(path.name, ("on-call",))
    wanted = {action for call in calls(path) for action in needed(*call)}
    for reader in [readers] if before_a_deployment else [(name,) for name in readers]:
        assert wanted - actions(*reader) == set(), reader


def test_the_calls_of_commands_are_found() -> None:
    assert ("dynamodb", "Scan") in calls(ROOT / "operations/audit.py")
    assert ("sqs", "ReceiveMessage") in calls(ROOT / "operations/redrive.py")
    assert ("s3", "GetBucketVersioning") in calls(ROOT / "operations/checks/state.py")
    assert ("apigateway", "GetRestApis") in calls(ROOT / "operations/api.py")
    assert ("s3", "CopyObject") in calls(ROOT / "operations/batches.py")
    assert ("cloudwatch", "DescribeAlarms") in calls(ROOT / "operations/console/health.py")
    assert ("s3", "PutObject") in calls(ROOT / "operations/batches.py")
    assert ("secretsmanager", "PutSecretValue") in calls(ROOT / "operations/processor.py")
    assert ("service-quotas", "ListServiceQuotas") in calls(ROOT / "operations/doctor.py")


def test_every_policy_is_explained() -> None:
    text = (FOLDER / "README.md").read_text()
    for name in NAMES:
        assert f"[`{name}.json`]({name}.json)" in text
    for placeholder in EXAMPLE:
        assert f"`{{{placeholder}}}`" in text
