"""Who may do what: named actions on named resources."""

import json
import re

import pytest

from tests.iam_mutants.permissions import ROLES
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")

# AWS has no other form for these; each is explained beside its use.
ON_ANY_RESOURCE = {
    "WriteTraces": "X-Ray has no resources",
    "DeliverLogs": "log deliveries have no resources",
}

# What looks like changing infrastructure and is not, or cannot be avoided (log deliveries).
DATA_ACTIONS = {
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "logs:CreateLogDelivery",
    "logs:CreateLogStream",
    "logs:DeleteLogDelivery",
    "logs:PutLogEvents",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "s3:PutObject",
    "sqs:DeleteMessage",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}

ACTIONS = {
    "api-handler": {
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "sqs:SendMessage",
    },
    "batch-processor": {
        "dynamodb:BatchGetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:PutObject",
        "sqs:GetQueueAttributes",
        "sqs:SendMessage",
        "states:StartExecution",
    },
    "payment-processor": {
        "dynamodb:ConditionCheckItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
        "states:StartExecution",
    },
    "event-publisher": {
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
        "sns:Publish",
        "sqs:SendMessage",
    },
}
ACTIONS_OF_EVERY_FUNCTION = {
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def test_no_policy_allows_actions_by_wildcard(stack: Stack) -> None:
    for resource in stack.with_policy:
        for statement in resource.statements:
            if statement["Effect"] == "Allow":
                assert [action for action in statement["Action"] if "*" in action] == []


def test_no_role_may_act_on_any_resource_but_where_aws_has_no_other_form(stack: Stack) -> None:
    on_any = {
        statement["Sid"]
        for policy in stack.all("aws_iam_role_policy")
        for statement in policy.statements
        if "*" in statement["Resource"]
    }
    assert on_any == set(ON_ANY_RESOURCE)


def test_no_resource_lets_everybody_in(stack: Stack) -> None:
    for resource in stack.with_policy:
        for statement in resource.statements:
            if statement["Effect"] == "Allow":
                assert "*" not in statement.get("Principal", {}).values()


@pytest.mark.parametrize("short_name", ACTIONS)
def test_a_function_may_do_what_it_needs_and_no_more(stack: Stack, short_name: str) -> None:
    policy = stack.one("aws_iam_role_policy", name=stack.name(short_name))
    allowed = {action for statement in policy.statements for action in statement["Action"]}
    assert allowed == ACTIONS[short_name] | ACTIONS_OF_EVERY_FUNCTION


def test_no_role_can_create_delete_or_reconfigure_infrastructure(stack: Stack) -> None:
    changing = re.compile(r":(Add|Attach|Create|Delete|Modify|Put|Register|Remove|Set|Tag|Update)")
    for policy in stack.all("aws_iam_role_policy"):
        for statement in policy.statements:
            actions = {action for action in statement["Action"] if changing.search(action)}
            assert actions <= DATA_ACTIONS


def test_each_role_is_assumed_by_one_service(stack: Stack) -> None:
    assumed_by = {
        role["name"]: [statement["Principal"] for statement in role.statements]
        for role in stack.all("aws_iam_role")
    }
    assert assumed_by == {
        stack.name("api-handler"): [{"Service": "lambda.amazonaws.com"}],
        stack.name("batch-processor"): [{"Service": "lambda.amazonaws.com"}],
        stack.name("payment-processor"): [{"Service": "lambda.amazonaws.com"}],
        stack.name("event-publisher"): [{"Service": "lambda.amazonaws.com"}],
        stack.name("payment-workflow"): [{"Service": "states.amazonaws.com"}],
        stack.name("payment-batch-workflow"): [{"Service": "states.amazonaws.com"}],
        stack.name("payment-sweep"): [{"Service": "scheduler.amazonaws.com"}],
    }


def test_the_run_that_takes_permissions_away_knows_every_role(stack: Stack) -> None:
    assert {role["name"] for role in stack.all("aws_iam_role")} == set(map(stack.name, ROLES))


def test_roles_use_the_key_only_through_services(stack: Stack) -> None:
    for policy in stack.all("aws_iam_role_policy"):
        for statement in policy.statements:
            if any(action.startswith("kms:") for action in statement["Action"]):
                ((condition, allowed),) = (
                    pair for each in statement["Condition"].values() for pair in each.items()
                )
                if condition == "kms:EncryptionContext:aws:lambda:FunctionArn":
                    # Its own, and those of its versions.
                    assert allowed[1] == f"{allowed[0]}:*"
                    assert allowed[0].endswith(f":function:{policy['name']}")
                else:
                    assert condition == "kms:ViaService"


CRYPTOGRAPHIC = {
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
}
"""Calls that carry an encryption context, of what the stack allows:
https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encryption-context"""


def test_no_permission_hangs_on_a_context_that_its_calls_do_not_have(stack: Stack) -> None:
    hanging = [
        action
        for resource in stack.with_policy
        for statement in resource.statements
        if "kms:EncryptionContext" in json.dumps(statement.get("Condition", {}))
        for action in statement["Action"]
    ]
    assert hanging
    assert set(hanging) <= CRYPTOGRAPHIC


def test_the_key_is_for_the_log_groups_that_there_are(stack: Stack) -> None:
    key = stack.one("aws_kms_key")
    (logs,) = (each for each in key.statements if each["Sid"] == "LogGroups")
    ((condition, arns),) = logs["Condition"]["ArnEquals"].items()
    assert condition == "kms:EncryptionContext:aws:logs:arn"
    named = {arn.partition(":log-group:")[2] for arn in arns}
    assert named == {group["name"] for group in stack.all("aws_cloudwatch_log_group")}


def test_no_statement_says_the_same_as_another(stack: Stack) -> None:
    for resource in stack.with_policy:
        said = [
            (action, target, json.dumps(statement.get("Condition", {}), sort_keys=True))
            for statement in resource.statements
            if "Principal" not in statement
            for action in statement["Action"]
            for target in statement["Resource"]
        ]
        assert len(set(said)) == len(said), resource.address


def test_functions_write_to_their_own_log_group_only(stack: Stack) -> None:
    for short_name in ACTIONS:
        group = stack.one("aws_cloudwatch_log_group", name=f"/aws/lambda/{stack.name(short_name)}")
        policy = stack.one("aws_iam_role_policy", name=stack.name(short_name))
        (logs,) = (s for s in policy.statements if "logs:PutLogEvents" in s["Action"])
        assert logs["Resource"] == [f"${{{group.address}.arn}}:*"]
