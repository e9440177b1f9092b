"""Environments live side by side: own names, own state."""

from itertools import permutations

import pytest

from lib.config import RESERVED_WORDS
from operations.checks.buckets import BUCKETS
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")

NAME_ATTRIBUTES = (
    "alarm_name",
    "bucket",
    "dashboard_name",
    "function_name",
    "layer_name",
    "name",
    "stage_name",
)
# API Gateway allows letters and digits only in the name of a model, which lives inside one API.
# An alias lives inside one function.
NAMED_WITHIN_ANOTHER = ("aws_api_gateway_model", "aws_lambda_alias")

PRODUCT_NAMES = {
    "aws_s3_bucket": ("bucket", {"payment-batch-files"}),
    "aws_dynamodb_table": ("name", {"payments", "processing-status", "audit-logs"}),
    "aws_lambda_function": (
        "function_name",
        {"payment-processor", "batch-processor", "api-handler", "event-publisher"},
    ),
    "aws_api_gateway_rest_api": ("name", {"payment-api"}),
    "aws_sfn_state_machine": ("name", {"payment-workflow", "payment-batch-workflow"}),
    "aws_sns_topic": ("name", {"payment-notifications"}),
    "aws_sqs_queue": ("name", {"payment-events", "payment-events-dlq", "payment-rows"}),
    "aws_cloudwatch_dashboard": ("dashboard_name", {"payments"}),
}


def names(stack: Stack) -> set[str]:
    """Return every name the stack gives, but not those it refers to."""
    return {
        f"{resource.type} {value}"
        for resource in stack.resources
        if resource.type not in NAMED_WITHIN_ANOTHER
        for attribute in NAME_ATTRIBUTES
        if isinstance(value := resource.attributes.get(attribute), str)
        if not value.startswith("${")
    }


@pytest.mark.parametrize("type_", PRODUCT_NAMES)
def test_resources_have_the_names_of_the_contract(stack: Stack, type_: str) -> None:
    attribute, expected = PRODUCT_NAMES[type_]
    found = {resource[attribute] for resource in stack.all(type_)}
    assert {stack.name(base) for base in expected} <= found


def test_every_name_ends_with_the_suffix(stack: Stack) -> None:
    assert {name for name in names(stack) if not name.endswith(stack.suffix)} == set()


def test_two_environments_share_no_name(dev: Stack, prod: Stack) -> None:
    assert names(dev)
    assert names(dev) & names(prod) == set()


def test_no_suffix_makes_a_name_that_another_environment_has(prod: Stack) -> None:
    """``{base}-{tail}-{suffix}`` is a name of two environments if both bases are of one kind."""
    bases: dict[str, set[str]] = {}
    for name in names(prod):
        type_, _, text = name.partition(" ")
        bases.setdefault(type_, set()).add(text.removesuffix(prod.suffix))
    tails = {
        longer.removeprefix(base).removesuffix("-")
        for of_one_kind in bases.values()
        for base, longer in permutations(of_one_kind, 2)
        if longer.startswith(base)
    }
    assert tails
    assert {tail.partition("-")[0] for tail in tails} <= set(RESERVED_WORDS)


def test_the_stage_is_named_after_the_environment(stack: Stack) -> None:
    assert stack.one("aws_api_gateway_stage")["stage_name"] == stack.suffix


def test_everything_is_tagged(stack: Stack) -> None:
    (provider,) = stack.document["provider"]["aws"]
    assert provider["default_tags"] == [
        {
            "tags": {
                "Environment": stack.suffix,
                "Project": "payment-processing",
                "ManagedBy": "cdktf",
            }
        }
    ]


def test_resources_are_made_in_the_configured_region(stack: Stack) -> None:
    (provider,) = stack.document["provider"]["aws"]
    assert provider["region"] == "eu-central-1"


def test_each_environment_has_its_own_encrypted_and_locked_state(stack: Stack) -> None:
    assert stack.document["terraform"]["backend"] == {
        "s3": {
            "bucket": "acme-terraform-state",
            "region": "us-east-1",
            "key": f"payment-processing/{stack.suffix}/terraform.tfstate",
            "encrypt": True,
            "use_lockfile": True,
        }
    }


def test_scanners_can_read_the_stack(stack: Stack) -> None:
    """With ``required_version``, checkov parses nothing and reports that all is well."""
    assert "required_version" not in stack.document["terraform"]


def test_the_outputs_name_what_people_and_tools_need(stack: Stack) -> None:
    assert set(stack.document["output"]) == {
        "version",
        "api_url",
        "api_id",
        "batch_bucket",
        "batch_results_bucket",
        "payments_table",
        "processing_status_table",
        "audit_logs_table",
        "payment_operations_table",
        "payment_events_queue_url",
        "payment_events_dlq_url",
        "payment_rows_queue_url",
        "payment_notifications_topic_arn",
        "payment_workflow_arn",
        "batch_workflow_arn",
    }


def test_the_doctor_asks_for_the_name_of_every_bucket(stack: Stack) -> None:
    names = {bucket["bucket"] for bucket in stack.all("aws_s3_bucket")}
    assert names == {stack.name(base) for base in BUCKETS}
