"""Whoever deploys may do so with every resource that the stack names."""

import re
from fnmatch import fnmatchcase

import pytest

from tests.policies import rendered
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")

DEPLOY = ("deploy-edge", "deploy-functions", "deploy-processor", "deploy-storage")
NAMES = {
    "aws_cloudwatch_dashboard": ("dashboard_name", "cloudwatch"),
    "aws_cloudwatch_event_rule": ("name", "events"),
    "aws_cloudwatch_log_group": ("name", "logs"),
    "aws_cloudwatch_metric_alarm": ("alarm_name", "cloudwatch"),
    "aws_dynamodb_table": ("name", "dynamodb"),
    "aws_iam_role": ("name", "iam"),
    "aws_kms_alias": ("name", "kms"),
    "aws_lambda_function": ("function_name", "lambda"),
    "aws_lambda_layer_version": ("layer_name", "lambda"),
    "aws_s3_bucket": ("bucket", "s3"),
    "aws_scheduler_schedule": ("name", "scheduler"),
    "aws_sfn_state_machine": ("name", "states"),
    "aws_sns_topic": ("name", "sns"),
    "aws_sqs_queue": ("name", "sqs"),
}
"""What IAM names by the name that the stack gives it: where the stack has that, and the service."""
BY_ID = {
    "aws_api_gateway_rest_api": "apigateway:POST",
    "aws_kms_key": "kms:CreateKey",
    "aws_lambda_event_source_mapping": "lambda:CreateEventSourceMapping",
    "aws_wafv2_web_acl": "wafv2:CreateWebACL",
}
"""What AWS makes up the id of, and the permission to make it."""


def kindless(pattern: str) -> str:
    """Return a resource without its kind, such as ``table/`` or ``log-group:``."""
    return re.sub(
        r"^(?:alarm:|dashboard/|function:|layer:|log-group:|role/|rule/|schedule/default/|"
        r"stateMachine:|table/)",
        "",
        pattern,
    )


def may_deploy(suffix: str) -> list[dict[str, list[str]]]:
    return [
        statement for policy in DEPLOY for statement in rendered(policy, suffix=suffix)["Statement"]
    ]


@pytest.mark.parametrize("type_", NAMES)
def test_whoever_deploys_may_make_what_the_stack_names(prod: Stack, type_: str) -> None:
    attribute, service = NAMES[type_]
    allowed = [
        resource
        for each in may_deploy("prod")
        for resource in each["Resource"]
        if resource.startswith(f"arn:aws:{service}:")
    ]
    # What follows the account, or the kind of resource.
    patterns = {resource.split(":", maxsplit=5)[-1] for resource in allowed}
    for resource in prod.all(type_):
        name = resource[attribute]
        assert any(
            fnmatchcase(name, pattern) or fnmatchcase(name, kindless(pattern))
            for pattern in patterns
        ), name


@pytest.mark.parametrize("type_", BY_ID)
def test_whoever_deploys_may_make_what_has_no_name(prod: Stack, type_: str) -> None:
    assert prod.all(type_)
    assert any(BY_ID[type_] in statement["Action"] for statement in may_deploy("prod"))
