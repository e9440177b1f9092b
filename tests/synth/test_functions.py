"""Each function: its own role and log group, the variables it reads, and what invokes it."""

import ast
import json
from pathlib import Path

import pytest

from lib.kit.assets import BYTECODE_TAG
from payments.runtime.settings import SETTINGS
from tests.synth.terraform import Resource, Stack

pytestmark = pytest.mark.xdist_group("synth")

LAMBDA = Path(__file__).parents[2] / "lambda"
FUNCTIONS = ("api-handler", "batch-processor", "payment-processor", "event-publisher")
QUEUES = ("payment-events", "payment-rows")


def mapping_of(stack: Stack, source: Resource, attribute: str = "arn") -> Resource:
    return stack.one(
        "aws_lambda_event_source_mapping",
        event_source_arn=f"${{{source.address}.{attribute}}}",
    )


@pytest.mark.parametrize("short_name", FUNCTIONS)
def test_the_variables_of_a_function_are_those_its_code_reads(
    stack: Stack, short_name: str
) -> None:
    variables = stack.function(short_name)["environment"]["variables"]
    assert set(variables) == SETTINGS[short_name]


def test_the_stack_and_the_code_agree_on_which_functions_there_are(stack: Stack) -> None:
    deployed = {function["function_name"] for function in stack.all("aws_lambda_function")}
    assert deployed == {stack.name(short_name) for short_name in SETTINGS}


@pytest.mark.parametrize("short_name", FUNCTIONS)
def test_variables_hold_references_and_names_but_no_secrets(stack: Stack, short_name: str) -> None:
    function = stack.function(short_name)
    assert function["kms_key_arn"] == f"${{{stack.one('aws_kms_key').address}.arn}}"
    for name in function["environment"]["variables"]:
        assert not any(word in name for word in ("SECRET", "PASSWORD", "TOKEN", "API_KEY"))


def test_functions_run_on_python_3_12_and_are_traced(stack: Stack) -> None:
    for function in stack.all("aws_lambda_function"):
        assert function["runtime"] == "python3.12"
        assert BYTECODE_TAG == "cpython-312", "the zips' bytecode is for another Python"
        assert function["tracing_config"] == {"mode": "Active"}


@pytest.mark.parametrize(
    ("short_name", "handler", "timeout", "memory"),
    [
        ("api-handler", "api_handler.handler", 15, 1024),
        ("batch-processor", "batch_processor.handler", 900, 1769),
        ("payment-processor", "payment_processor.handler", 30, 512),
        ("event-publisher", "event_publisher.handler", 60, 512),
    ],
)
def test_functions_have_the_time_and_memory_that_was_decided(
    stack: Stack, short_name: str, handler: str, timeout: int, memory: int
) -> None:
    function = stack.function(short_name)
    assert (function["handler"], function["timeout"], function["memory_size"]) == (
        handler,
        timeout,
        memory,
    )


def test_the_handler_of_every_function_is_there(stack: Stack) -> None:
    for function in stack.all("aws_lambda_function"):
        module, _, name = function["handler"].partition(".")
        source = ast.parse((LAMBDA / f"{module}.py").read_text())
        assert name in {each.name for each in source.body if isinstance(each, ast.FunctionDef)}


def test_the_api_handler_answers_before_api_gateway_gives_up(stack: Stack) -> None:
    assert stack.function("api-handler")["timeout"] < 29


def test_all_functions_are_one_zip_and_one_layer(stack: Stack) -> None:
    functions = stack.all("aws_lambda_function")
    layer = stack.one("aws_lambda_layer_version")
    assert len({function["filename"] for function in functions}) == 1
    assert len({function["source_code_hash"] for function in functions}) == 1
    for function in functions:
        assert function["layers"] == [f"${{{layer.address}.arn}}"]
        assert (stack.folder / function["filename"]).is_file()
    assert (stack.folder / layer["filename"]).is_file()


def test_environments_run_the_same_code(dev: Stack, prod: Stack) -> None:
    for short_name in FUNCTIONS:
        one, other = dev.function(short_name), prod.function(short_name)
        assert one["source_code_hash"] == other["source_code_hash"]


def test_each_function_has_a_role_and_a_log_group_of_its_own(stack: Stack) -> None:
    functions = stack.all("aws_lambda_function")
    assert len({function["role"] for function in functions}) == len(functions)
    for function in functions:
        group = stack.one(
            "aws_cloudwatch_log_group", name=f"/aws/lambda/{function['function_name']}"
        )
        role = stack.one("aws_iam_role", name=function["function_name"])
        policy = stack.one("aws_iam_role_policy", name=function["function_name"])
        assert function["role"] == f"${{{role.address}.arn}}"
        assert policy["role"] == f"${{{role.address}.name}}"
        # Invoked before its role may act, a function would lose its first events.
        assert set(function["depends_on"]) == {group.address, policy.address}


@pytest.mark.parametrize("name", QUEUES)
def test_both_queues_of_payments_invoke_the_payment_processor(stack: Stack, name: str) -> None:
    """Each at its own concurrency, so that a file never stands before a customer."""
    mapping = mapping_of(stack, stack.one("aws_sqs_queue", name=stack.name(name)))
    alias = stack.alias("payment-processor")
    assert mapping["function_name"] == f"${{{alias.address}.arn}}"
    assert mapping["batch_size"] == 10
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    concurrency = 50 if stack.protected else 8
    assert mapping["scaling_config"] == {"maximum_concurrency": concurrency}


@pytest.mark.parametrize("name", QUEUES)
def test_a_message_stays_hidden_for_six_times_the_functions_timeout(
    stack: Stack, name: str
) -> None:
    """See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html."""
    queue = stack.one("aws_sqs_queue", name=stack.name(name))
    mapping = mapping_of(stack, queue)
    window = mapping.attributes.get("maximum_batching_window_in_seconds", 0)
    timeout = stack.function("payment-processor")["timeout"]
    assert queue["visibility_timeout_seconds"] >= 6 * timeout + window


def test_the_audit_trails_stream_invokes_the_event_publisher(stack: Stack) -> None:
    table = stack.one("aws_dynamodb_table", name=stack.name("audit-logs"))
    mapping = mapping_of(stack, table, "stream_arn")
    alias = stack.alias("event-publisher")
    assert (table["stream_enabled"], table["stream_view_type"]) == (True, "NEW_IMAGE")
    assert mapping["function_name"] == f"${{{alias.address}.arn}}"
    assert mapping["starting_position"] == "TRIM_HORIZON"
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    assert mapping["bisect_batch_on_function_error"] is True


def test_only_records_that_announce_something_reach_the_event_publisher(stack: Stack) -> None:
    """See https://docs.aws.amazon.com/lambda/latest/dg/with-ddb-filtering.html."""
    table = stack.one("aws_dynamodb_table", name=stack.name("audit-logs"))
    (chosen,) = mapping_of(stack, table, "stream_arn")["filter_criteria"]["filter"]
    assert json.loads(chosen["pattern"]) == {
        "dynamodb": {"NewImage": {"event_type": {"S": [{"exists": True}]}}}
    }


def test_an_event_that_cannot_be_announced_is_set_aside_before_the_stream_forgets_it(
    stack: Stack,
) -> None:
    table = stack.one("aws_dynamodb_table", name=stack.name("audit-logs"))
    dead_letters = stack.one("aws_sqs_queue", name=stack.name("payment-announcements-dlq"))
    mapping = mapping_of(stack, table, "stream_arn")
    assert mapping["maximum_record_age_in_seconds"] <= 24 * 3600
    assert "maximum_retry_attempts" not in mapping.attributes
    assert mapping["destination_config"] == {
        "on_failure": {"destination_arn": f"${{{dead_letters.address}.arn}}"}
    }
    # What cannot be read is set aside by the function itself.
    variables = stack.function("event-publisher")["environment"]["variables"]
    assert variables["ANNOUNCEMENTS_DLQ_URL"] == f"${{{dead_letters.address}.url}}"


def test_only_the_audit_trail_has_a_stream(stack: Stack) -> None:
    streamed = {
        table["name"]
        for table in stack.all("aws_dynamodb_table")
        if "stream_enabled" in table.attributes
    }
    assert streamed == {stack.name("audit-logs")}


def test_every_uploaded_file_invokes_the_batch_processor(stack: Stack) -> None:
    bucket = stack.one("aws_s3_bucket", bucket=stack.name("payment-batch-files"))
    alias = stack.alias("batch-processor")
    notification = stack.one("aws_s3_bucket_notification")
    assert notification["bucket"] == f"${{{bucket.address}.id}}"
    (trigger,) = notification["lambda_function"]
    assert trigger["events"] == ["s3:ObjectCreated:*"]
    # Also what is no CSV file gets an answer: it is refused.
    assert not {"filter_suffix", "filter_prefix"} & set(trigger)
    assert trigger["lambda_function_arn"] == f"${{{alias.address}.arn}}"


def test_a_report_never_triggers_a_batch(stack: Stack) -> None:
    notification = stack.one("aws_s3_bucket_notification")
    results = stack.one("aws_s3_bucket", bucket=stack.name("payment-batch-results"))
    assert not notification.refers_to(results)


@pytest.mark.parametrize(
    ("short_name", "queue"),
    [
        ("batch-processor", "payment-events-dlq"),
        ("payment-processor", "payment-processor-failures"),
    ],
)
def test_an_event_that_a_function_fails_to_handle_is_kept(
    stack: Stack, short_name: str, queue: str
) -> None:
    """S3, EventBridge and Scheduler invoke asynchronously: only Lambda knows of the failure."""
    kept_in = stack.one("aws_sqs_queue", name=stack.name(queue))
    function = stack.function(short_name)
    (invocation,) = (
        each
        for each in stack.all("aws_lambda_function_event_invoke_config")
        if each.refers_to(function)
    )
    assert invocation["maximum_retry_attempts"] == 2
    assert invocation["maximum_event_age_in_seconds"] == 6 * 3600
    assert invocation["destination_config"] == {
        "on_failure": {"destination": f"${{{kept_in.address}.arn}}"}
    }


def test_the_first_upload_finds_where_its_failure_would_go(stack: Stack) -> None:
    function = stack.function("batch-processor")
    (invocation,) = (
        each
        for each in stack.all("aws_lambda_function_event_invoke_config")
        if each.refers_to(function)
    )
    notification = stack.one("aws_s3_bucket_notification")
    assert invocation.address in notification["depends_on"]


INVOKED_BY_ARN = {
    "aws_api_gateway_integration": "uri",
    "aws_cloudwatch_event_target": "arn",
    "aws_iam_role_policy": "policy",
    "aws_lambda_event_source_mapping": "function_name",
    "aws_s3_bucket_notification": "lambda_function",
    "aws_scheduler_schedule": "target",
    "aws_sfn_state_machine": "definition",
}
INVOKED_BY_NAME = ("aws_lambda_function_event_invoke_config", "aws_lambda_permission")


def test_functions_are_published_and_the_alias_is_their_newest_version(stack: Stack) -> None:
    for function in stack.all("aws_lambda_function"):
        assert function["publish"] is True
        alias = stack.one(
            "aws_lambda_alias", function_name=f"${{{function.address}.function_name}}"
        )
        assert alias["name"] == "live"
        assert alias["function_version"] == f"${{{function.address}.version}}"


@pytest.mark.parametrize("type_", INVOKED_BY_ARN)
def test_whatever_invokes_a_function_names_its_alias(stack: Stack, type_: str) -> None:
    """While a deployment is under way, ``$LATEST`` is new variables and layer with old code."""
    texts = [json.dumps(resource[INVOKED_BY_ARN[type_]]) for resource in stack.all(type_)]
    assert any("${aws_lambda_alias." in text for text in texts)
    for text in texts:
        assert "${aws_lambda_function." not in text


@pytest.mark.parametrize("type_", INVOKED_BY_NAME)
def test_whatever_is_said_of_a_function_by_name_is_said_of_its_alias(
    stack: Stack, type_: str
) -> None:
    aliases = {alias["function_name"]: alias for alias in stack.all("aws_lambda_alias")}
    for resource in stack.all(type_):
        alias = aliases[resource["function_name"]]
        assert resource["qualifier"] == f"${{{alias.address}.name}}"


def test_functions_and_their_layer_are_for_the_cheaper_processor(stack: Stack) -> None:
    for function in stack.all("aws_lambda_function"):
        assert function["architectures"] == ["arm64"]
    assert stack.one("aws_lambda_layer_version")["compatible_architectures"] == ["arm64"]


def test_only_this_bucket_this_api_and_the_rule_for_deaths_may_invoke_functions(
    stack: Stack,
) -> None:
    permissions = stack.all("aws_lambda_permission")
    assert {permission["principal"] for permission in permissions} == {
        "s3.amazonaws.com",
        "apigateway.amazonaws.com",
        "events.amazonaws.com",
    }
    for permission in permissions:
        assert permission["action"] == "lambda:InvokeFunction"
        assert permission["source_account"].endswith("account.account_id}")
        if permission["principal"] != "apigateway.amazonaws.com":
            assert permission["source_arn"].endswith(".arn}")
        else:
            # What follows the API's ARN is the stage, the method and the path.
            api, _, request = permission["source_arn"].partition("}/")
            assert api.endswith(".execution_arn")
            assert request in {
                f"{stack.suffix}/POST/payments",
                f"{stack.suffix}/POST/payments/*/review",
                f"{stack.suffix}/GET/payments",
                f"{stack.suffix}/GET/payments/*",
                f"{stack.suffix}/POST/payments/*/refunds",
                f"{stack.suffix}/GET/payments/*/refunds",
                f"{stack.suffix}/GET/payments/*/refunds/*",
                f"{stack.suffix}/POST/payments/*/captures",
                f"{stack.suffix}/POST/payments/*/cancel",
                f"{stack.suffix}/POST/payments/*/refunds/*/review",
                f"{stack.suffix}/GET/reviews",
                f"{stack.suffix}/GET/batches/*",
            }
