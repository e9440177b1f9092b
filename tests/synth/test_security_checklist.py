"""AWS Foundational Security Best Practices, one invariant for each control that applies.

A test's docstring begins with the control's id:
https://docs.aws.amazon.com/securityhub/latest/userguide/fsbp-standard.html. What is bound to this
project beyond these controls is in the other tests of this folder.
"""

import json
import re

import pytest

from tests.synth.terraform import Resource, Stack, denies_plain_http

pytestmark = pytest.mark.xdist_group("synth")

# Alone among them, the access logs' bucket has no bucket to log to.
LOGGED_BUCKETS = ("payment-batch-files", "payment-batch-results")


def key_reference(stack: Stack, attribute: str = "arn") -> str:
    return f"${{{stack.one('aws_kms_key').address}.{attribute}}}"


def of_each_bucket(stack: Stack, type_: str) -> dict[str, Resource]:
    """Return the resource of a type that each bucket has, by the bucket's name."""
    return {
        bucket["bucket"]: stack.one(type_, bucket=f"${{{bucket.address}.id}}")
        for bucket in stack.all("aws_s3_bucket")
    }


# --- S3


def test_public_access_is_blocked(stack: Stack) -> None:
    """S3.2, S3.3, S3.8: buckets prohibit public reading and writing."""
    for block in of_each_bucket(stack, "aws_s3_bucket_public_access_block").values():
        for setting in ("block_public_acls", "block_public_policy"):
            assert block[setting] is True
        for setting in ("ignore_public_acls", "restrict_public_buckets"):
            assert block[setting] is True


def test_buckets_require_tls(stack: Stack) -> None:
    """S3.5: requests to buckets use TLS."""
    for policy in of_each_bucket(stack, "aws_s3_bucket_policy").values():
        assert any(map(denies_plain_http, policy.statements))


def test_no_bucket_policy_lets_another_account_in(stack: Stack) -> None:
    """S3.6: bucket policies restrict what other accounts may do."""
    for policy in of_each_bucket(stack, "aws_s3_bucket_policy").values():
        for statement in policy.statements:
            if statement["Effect"] == "Allow":
                assert set(statement["Principal"]) == {"Service"}
                assert "aws:SourceAccount" in statement["Condition"]["StringEquals"]


def test_buckets_log_access(stack: Stack) -> None:
    """S3.9: server access logging is on."""
    logs = stack.one("aws_s3_bucket", bucket=stack.name("payment-access-logs"))
    logging = {
        resource["bucket"]: resource["target_bucket"]
        for resource in stack.all("aws_s3_bucket_logging")
    }
    assert logging == {
        f"${{{stack.one('aws_s3_bucket', bucket=stack.name(base)).address}.id}}": (
            f"${{{logs.address}.id}}"
        )
        for base in LOGGED_BUCKETS
    }


def test_buckets_have_no_acls(stack: Stack) -> None:
    """S3.12: access is not managed by ACLs."""
    assert "aws_s3_bucket_acl" not in stack.document["resource"]
    for controls in of_each_bucket(stack, "aws_s3_bucket_ownership_controls").values():
        assert controls["rule"] == {"object_ownership": "BucketOwnerEnforced"}


def test_buckets_have_a_lifecycle(stack: Stack) -> None:
    """S3.13: versioned buckets end what nobody needs any more."""
    for lifecycle in of_each_bucket(stack, "aws_s3_bucket_lifecycle_configuration").values():
        for rule in lifecycle["rule"]:
            assert rule["status"] == "Enabled"
            assert rule["noncurrent_version_expiration"]
            assert rule["abort_incomplete_multipart_upload"]


def test_buckets_are_versioned(stack: Stack) -> None:
    """S3.14: versioning is on."""
    for versioning in of_each_bucket(stack, "aws_s3_bucket_versioning").values():
        assert versioning["versioning_configuration"] == {"status": "Enabled"}


def test_buckets_of_payments_use_a_managed_key(stack: Stack) -> None:
    """S3.17: objects are encrypted with a customer-managed key, with a bucket key."""
    type_ = "aws_s3_bucket_server_side_encryption_configuration"
    encryption = of_each_bucket(stack, type_)
    for base in LOGGED_BUCKETS:
        (rule,) = encryption[stack.name(base)]["rule"]
        by_default = rule["apply_server_side_encryption_by_default"]
        assert by_default["kms_master_key_id"] == key_reference(stack)
        assert rule["bucket_key_enabled"] is True


# --- DynamoDB


def test_tables_scale_with_demand(stack: Stack) -> None:
    """DynamoDB.1: capacity follows demand."""
    for table in stack.all("aws_dynamodb_table"):
        assert table["billing_mode"] == "PAY_PER_REQUEST"


def test_tables_can_be_restored_to_any_second(stack: Stack) -> None:
    """DynamoDB.2: point-in-time recovery is on."""
    for table in stack.all("aws_dynamodb_table"):
        assert table["point_in_time_recovery"] == {"enabled": True}


def test_tables_of_protected_environments_cannot_be_deleted(prod: Stack) -> None:
    """DynamoDB.6: deletion protection is on where the profile protects."""
    for table in prod.all("aws_dynamodb_table"):
        assert table["deletion_protection_enabled"] is True


# --- Lambda


def test_no_function_may_be_invoked_by_anybody(stack: Stack) -> None:
    """Lambda.1: function policies prohibit public access."""
    for permission in stack.all("aws_lambda_permission"):
        assert permission["principal"].endswith(".amazonaws.com")
        assert permission["source_arn"].strip("*")
        assert permission["source_account"]
    assert "aws_lambda_function_url" not in stack.document["resource"]


def test_functions_run_on_a_supported_runtime(stack: Stack) -> None:
    """Lambda.2: runtimes are supported."""
    assert {f["runtime"] for f in stack.all("aws_lambda_function")} == {"python3.12"}


def test_functions_are_traced(stack: Stack) -> None:
    """Lambda.7: X-Ray tracing is on."""
    for function in stack.all("aws_lambda_function"):
        assert function["tracing_config"] == {"mode": "Active"}


def test_variables_of_functions_are_encrypted_and_hold_no_secret(stack: Stack) -> None:
    """Beyond FSBP: variables are encrypted with the key, and none looks like a credential."""
    secret = re.compile(r"(?i)secret|passw|token|private|credential|api_?key|AKIA[A-Z0-9]{16}")
    for function in stack.all("aws_lambda_function"):
        assert function["kms_key_arn"] == key_reference(stack)
        for name, value in function["environment"]["variables"].items():
            assert not secret.search(name)
            assert not secret.search(value)


# --- SQS and SNS


def test_queues_are_encrypted(stack: Stack) -> None:
    """SQS.1: queues are encrypted at rest."""
    for queue in stack.all("aws_sqs_queue"):
        assert queue["kms_master_key_id"] == key_reference(stack)


def test_no_queue_is_open_to_the_public(stack: Stack) -> None:
    """SQS.3: queue policies let nobody in without a condition."""
    for queue in stack.all("aws_sqs_queue"):
        for statement in queue.statements:
            if statement["Effect"] == "Allow":
                assert "*" not in statement["Principal"].values()
                assert statement["Condition"]


def test_the_topic_is_encrypted(stack: Stack) -> None:
    """SNS.1: topics are encrypted at rest with a customer-managed key."""
    assert stack.one("aws_sns_topic")["kms_master_key_id"] == key_reference(stack)


def test_the_topic_is_not_open_to_the_public(stack: Stack) -> None:
    """SNS.4: topic policies let nobody in without a condition."""
    for statement in stack.one("aws_sns_topic").statements:
        if statement["Effect"] == "Allow":
            assert set(statement["Principal"]) == {"Service"}
            assert "aws:SourceAccount" in statement["Condition"]["StringEquals"]


def test_messages_are_sent_over_tls_only(stack: Stack) -> None:
    """Beyond FSBP: queues and topic refuse plain HTTP."""
    for channel in (*stack.all("aws_sqs_queue"), *stack.all("aws_sns_topic")):
        assert any(map(denies_plain_http, channel.statements))


# --- KMS and IAM


def test_policies_of_roles_name_the_keys_that_they_decrypt_with(stack: Stack) -> None:
    """KMS.1, KMS.2: no role may decrypt with every key."""
    for policy in stack.all("aws_iam_role_policy"):
        for statement in policy.statements:
            if any(action.startswith("kms:") for action in statement["Action"]):
                assert statement["Resource"] == [key_reference(stack)]


def test_the_key_outlives_a_mistake(stack: Stack) -> None:
    """KMS.3: keys are not deleted by accident; a week at least to take it back."""
    assert stack.one("aws_kms_key")["deletion_window_in_days"] >= 7


def test_the_key_rotates(stack: Stack) -> None:
    """KMS.4: rotation is on."""
    assert stack.one("aws_kms_key")["enable_key_rotation"] is True


def test_the_key_is_not_open_to_the_public(stack: Stack) -> None:
    """KMS.5: the key policy names an account or a service, and services are bound by source."""
    for statement in stack.one("aws_kms_key").statements:
        principal = statement["Principal"]
        if "Service" in principal:
            operators = {key for test in statement["Condition"].values() for key in test}
            assert operators >= {"aws:SourceArn", "aws:SourceAccount"} or operators == {
                "kms:EncryptionContext:aws:logs:arn"
            }
        else:
            assert principal["AWS"].endswith(":root")


def test_the_services_that_use_the_key_are_those_that_act_in_their_own_name(stack: Stack) -> None:
    """Beyond FSBP: log groups, alarms and notifications; whoever is not named gets no key."""
    services = {
        statement["Principal"]["Service"]
        for statement in stack.one("aws_kms_key").statements
        if "Service" in statement["Principal"]
    }
    assert services == {
        "cloudwatch.amazonaws.com",
        "logs.eu-central-1.amazonaws.com",
        "sns.amazonaws.com",
    }


def test_no_policy_gives_full_rights(stack: Stack) -> None:
    """IAM.1, IAM.21: no wildcard action, neither of everything nor of a service."""
    for resource in stack.with_policy:
        for statement in resource.statements:
            if statement["Effect"] == "Allow":
                assert "NotAction" not in statement
                assert not [action for action in statement["Action"] if "*" in action]


# --- API Gateway and WAF


def test_protected_environments_log_requests(prod: Stack) -> None:
    """APIGateway.1, APIGateway.9: the stage writes access logs."""
    settings = prod.one("aws_api_gateway_stage")["access_log_settings"]
    assert {"request_id", "status", "caller", "source_ip"} <= set(json.loads(settings["format"]))


def test_access_logs_name_neither_body_nor_query_nor_signature(prod: Stack) -> None:
    """Beyond FSBP: what identifies a request is logged, what it says is not."""
    settings = prod.one("aws_api_gateway_stage")["access_log_settings"]
    for value in json.loads(settings["format"]).values():
        assert not re.search(r"(?i)body|querystring|header|authoriz|\$input", value)


def test_requests_are_traced(stack: Stack) -> None:
    """APIGateway.3: the stage traces requests with X-Ray."""
    assert stack.one("aws_api_gateway_stage")["xray_tracing_enabled"] is True


def test_protected_environments_have_a_web_acl(prod: Stack) -> None:
    """APIGateway.4: the stage is associated with a web ACL."""
    stage, web_acl = prod.one("aws_api_gateway_stage"), prod.one("aws_wafv2_web_acl")
    association = prod.one("aws_wafv2_web_acl_association")
    assert association["resource_arn"] == f"${{{stage.address}.arn}}"
    assert association["web_acl_arn"] == f"${{{web_acl.address}.arn}}"


def test_no_response_of_the_api_is_cached(stack: Stack) -> None:
    """APIGateway.5: a cache would need encryption; there is none."""
    settings = stack.one("aws_api_gateway_method_settings")["settings"]
    assert not settings.get("caching_enabled")


def test_routes_of_protected_environments_say_who_may_call_them(prod: Stack) -> None:
    """APIGateway.8: every route has an authorization type."""
    for method in prod.all("aws_api_gateway_method"):
        assert method["authorization"] == "AWS_IAM"


def test_the_web_acl_has_rules(prod: Stack) -> None:
    """WAF.10: a web ACL has at least one rule or rule group."""
    rules = prod.one("aws_wafv2_web_acl")["rule"]
    assert [rule["name"] for rule in rules] == [
        "one-address",
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesCommonRuleSet",
    ]
    assert len({rule["priority"] for rule in rules}) == len(rules)


def test_one_address_cannot_use_up_the_api(prod: Stack) -> None:
    """Beyond FSBP: an address is blocked at half of what the API takes from all."""
    rule = prod.one("aws_wafv2_web_acl")["rule"][0]
    limit = rule["statement"]["rate_based_statement"]
    settings = prod.one("aws_api_gateway_method_settings")["settings"]
    rate = limit["limit"] / limit["evaluation_window_sec"]
    assert rate == settings["throttling_rate_limit"] / 2
    assert rule["action"] == {"block": {}}


def test_the_web_acl_blocks_nothing_that_the_api_would_take(prod: Stack) -> None:
    """Beyond FSBP: bodies over 8 KB and clients without a name are the API's to judge."""
    (overridden,) = (
        group["rule_action_override"]
        for rule in prod.one("aws_wafv2_web_acl")["rule"]
        if (group := rule["statement"].get("managed_rule_group_statement", {})).get(
            "rule_action_override"
        )
    )
    assert overridden == [
        {"name": name, "action_to_use": {"count": {}}}
        for name in ("NoUserAgent_HEADER", "SizeRestrictions_BODY")
    ]


def test_the_web_acl_logs_without_signatures(prod: Stack) -> None:
    """WAF.11: logging is on; the headers that prove who somebody is are left out."""
    web_acl = prod.one("aws_wafv2_web_acl")
    logging = prod.one("aws_wafv2_web_acl_logging_configuration")
    group = prod.one("aws_cloudwatch_log_group", name="aws-waf-logs-payment-api-prod")
    assert logging["resource_arn"] == f"${{{web_acl.address}.arn}}"
    assert logging["log_destination_configs"] == [f"${{{group.address}.arn}}"]
    redacted = {field["single_header"]["name"] for field in logging["redacted_fields"]}
    assert redacted == {"authorization", "x-amz-security-token"}


def test_the_web_acl_has_metrics(prod: Stack) -> None:
    """WAF.12: each rule emits CloudWatch metrics; none keeps samples of requests."""
    web_acl = prod.one("aws_wafv2_web_acl")
    for visible in (web_acl, *web_acl["rule"]):
        assert visible["visibility_config"]["cloudwatch_metrics_enabled"] is True
        assert visible["visibility_config"]["sampled_requests_enabled"] is False


def test_disposable_environments_have_no_web_acl(dev: Stack) -> None:
    """The profile's choice: a monthly fee for each, and nothing in them to guard."""
    assert not [type_ for type_ in dev.document["resource"] if type_.startswith("aws_wafv2")]


# --- Step Functions and CloudWatch


def test_workflows_log_their_failures_without_payments(stack: Stack) -> None:
    """StepFunctions.1: logging is on; execution data stays out of it."""
    for machine in stack.all("aws_sfn_state_machine"):
        logging = machine["logging_configuration"]
        assert logging["level"] == "ERROR"
        assert logging["include_execution_data"] is False


def test_alarms_have_actions(stack: Stack) -> None:
    """CloudWatch.15, CloudWatch.17: alarms tell somebody, and are not switched off."""
    topic = f"${{{stack.one('aws_sns_topic').address}.arn}}"
    for alarm in stack.all("aws_cloudwatch_metric_alarm"):
        assert topic in alarm["alarm_actions"]
        assert alarm.attributes.get("actions_enabled", True) is True


def test_logs_are_kept_for_a_year(stack: Stack) -> None:
    """CloudWatch.16: log groups are kept for at least a year, and encrypted with the key."""
    for group in stack.all("aws_cloudwatch_log_group"):
        assert group["retention_in_days"] >= 365
        assert group["kms_key_id"] == key_reference(stack)


# --- what facts.md adds for this system


def test_every_resource_can_be_told_by_its_tags(stack: Stack) -> None:
    """Tagging controls (DynamoDB.5, SQS.2, SNS.3, Lambda.6, ...): every resource is tagged."""
    (provider,) = stack.document["provider"]["aws"]
    (tags,) = provider["default_tags"]
    assert set(tags["tags"]) == {"Environment", "Project", "ManagedBy"}


def test_state_is_encrypted_and_locked(stack: Stack) -> None:
    """Beyond FSBP: the state names every resource, so it is encrypted and locked."""
    backend = stack.document["terraform"]["backend"]["s3"]
    assert backend["encrypt"] is True
    assert backend["use_lockfile"] is True
