"""Data at rest: encrypted, versioned, closed, recoverable."""

import pytest

from payments.aws.items import TIMELINE_RETENTION
from payments.aws.lists import TIME_INDEX
from payments.aws.operations import DUE_INDEX
from payments.aws.payments import HELD_INDEX
from tests.synth.terraform import Resource, Stack, denies_plain_http

pytestmark = pytest.mark.xdist_group("synth")

BUCKETS = ("payment-batch-files", "payment-batch-results", "payment-access-logs")
CHANGING_ACTIONS = {
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLUpdate",
    "dynamodb:UpdateItem",
}


def of_bucket(stack: Stack, type_: str, base: str) -> Resource:
    bucket = stack.one("aws_s3_bucket", bucket=stack.name(base))
    return stack.one(type_, bucket=f"${{{bucket.address}.id}}")


def key_arn(stack: Stack) -> str:
    return f"${{{stack.one('aws_kms_key').address}.arn}}"


@pytest.mark.parametrize("base", BUCKETS[:2])
def test_payment_data_in_buckets_is_encrypted_with_the_environments_key(
    stack: Stack, base: str
) -> None:
    (rule,) = of_bucket(stack, "aws_s3_bucket_server_side_encryption_configuration", base)["rule"]
    assert rule == {
        "apply_server_side_encryption_by_default": {
            "sse_algorithm": "aws:kms",
            "kms_master_key_id": key_arn(stack),
        },
        "bucket_key_enabled": True,
    }


def test_access_logs_are_encrypted_with_the_only_key_that_s3_delivers_them_with(
    stack: Stack,
) -> None:
    type_ = "aws_s3_bucket_server_side_encryption_configuration"
    (rule,) = of_bucket(stack, type_, "payment-access-logs")["rule"]
    assert rule["apply_server_side_encryption_by_default"] == {"sse_algorithm": "AES256"}


@pytest.mark.parametrize("base", BUCKETS)
def test_buckets_keep_old_versions(stack: Stack, base: str) -> None:
    versioning = of_bucket(stack, "aws_s3_bucket_versioning", base)
    assert versioning["versioning_configuration"] == {"status": "Enabled"}


@pytest.mark.parametrize("base", BUCKETS)
def test_buckets_block_all_public_access(stack: Stack, base: str) -> None:
    block = of_bucket(stack, "aws_s3_bucket_public_access_block", base)
    assert [
        block["block_public_acls"],
        block["block_public_policy"],
        block["ignore_public_acls"],
        block["restrict_public_buckets"],
    ] == [True] * 4


@pytest.mark.parametrize("base", BUCKETS)
def test_buckets_have_no_access_control_lists(stack: Stack, base: str) -> None:
    controls = of_bucket(stack, "aws_s3_bucket_ownership_controls", base)
    assert controls["rule"] == {"object_ownership": "BucketOwnerEnforced"}


@pytest.mark.parametrize("base", BUCKETS)
def test_buckets_refuse_plain_http(stack: Stack, base: str) -> None:
    bucket = stack.one("aws_s3_bucket", bucket=stack.name(base))
    (statement,) = filter(
        denies_plain_http, of_bucket(stack, "aws_s3_bucket_policy", base).statements
    )
    assert statement["Action"] == ["s3:*"]
    assert statement["Resource"] == [f"${{{bucket.address}.arn}}", f"${{{bucket.address}.arn}}/*"]


@pytest.mark.parametrize("base", BUCKETS)
def test_buckets_drop_abandoned_uploads_and_old_versions(stack: Stack, base: str) -> None:
    (rule,) = of_bucket(stack, "aws_s3_bucket_lifecycle_configuration", base)["rule"]
    assert rule["status"] == "Enabled"
    assert rule["abort_incomplete_multipart_upload"] == [{"days_after_initiation": 7}]
    assert rule["noncurrent_version_expiration"] == [{"noncurrent_days": 90}]


@pytest.mark.parametrize(
    ("base", "expiration"),
    [
        ("payment-batch-files", None),
        ("payment-batch-results", [{"days": TIMELINE_RETENTION.days}]),
        ("payment-access-logs", [{"days": 365}]),
    ],
)
def test_reports_and_access_logs_expire_and_batches_do_not(
    stack: Stack, base: str, expiration: object
) -> None:
    (rule,) = of_bucket(stack, "aws_s3_bucket_lifecycle_configuration", base)["rule"]
    assert rule.get("expiration") == expiration


@pytest.mark.parametrize("base", BUCKETS)
def test_nothing_but_the_bucket_waits_for_its_lifecycle(stack: Stack, base: str) -> None:
    """Terraform takes 55 s for a lifecycle; nothing may stand in line behind it."""
    lifecycle = of_bucket(stack, "aws_s3_bucket_lifecycle_configuration", base)
    waiting = [
        resource.address
        for resource in stack.resources
        if resource.refers_to(lifecycle)
        or lifecycle.address in resource.attributes.get("depends_on", ())
    ]
    assert waiting == []


@pytest.mark.parametrize("base", BUCKETS[:2])
def test_requests_to_payment_data_are_logged(stack: Stack, base: str) -> None:
    logs = stack.one("aws_s3_bucket", bucket=stack.name("payment-access-logs"))
    logging = of_bucket(stack, "aws_s3_bucket_logging", base)
    assert logging["target_bucket"] == f"${{{logs.address}.id}}"
    (delivery,) = (
        statement
        for statement in of_bucket(stack, "aws_s3_bucket_policy", "payment-access-logs").statements
        if statement["Effect"] == "Allow"
    )
    assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert f"arn:aws:s3:::{stack.name(base)}" in delivery["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert "aws:SourceAccount" in delivery["Condition"]["StringEquals"]


def test_only_protected_environments_keep_their_buckets_when_destroyed(stack: Stack) -> None:
    assert {bucket["force_destroy"] for bucket in stack.all("aws_s3_bucket")} == {
        not stack.protected
    }


def test_tables_are_encrypted_with_the_environments_key(stack: Stack) -> None:
    for table in stack.all("aws_dynamodb_table"):
        assert table["server_side_encryption"] == {"enabled": True, "kms_key_arn": key_arn(stack)}


def test_tables_can_be_restored_to_any_point_in_time(stack: Stack) -> None:
    for table in stack.all("aws_dynamodb_table"):
        assert table["point_in_time_recovery"] == {"enabled": True}


def test_only_tables_of_protected_environments_refuse_to_be_deleted(stack: Stack) -> None:
    for table in stack.all("aws_dynamodb_table"):
        assert table["deletion_protection_enabled"] is stack.protected


def test_destroying_a_protected_environment_stops_before_anything_is_gone(stack: Stack) -> None:
    """Otherwise functions and queues would be gone by the time AWS refuses to delete a table."""
    for type_ in ("aws_dynamodb_table", "aws_kms_key", "aws_s3_bucket"):
        for resource in stack.all(type_):
            assert resource["lifecycle"] == {"prevent_destroy": stack.protected}


@pytest.mark.parametrize(
    ("base", "keys"),
    [
        ("payments", ("payment_id", None)),
        ("processing-status", ("entity_id", "sequence")),
        ("audit-logs", ("payment_id", "sequence")),
    ],
)
def test_tables_have_the_keys_of_the_design(
    stack: Stack, base: str, keys: tuple[str, str | None]
) -> None:
    table = stack.one("aws_dynamodb_table", name=stack.name(base))
    assert (table["hash_key"], table.attributes.get("range_key")) == keys


def test_payments_that_are_not_final_are_found_without_reading_the_others(stack: Stack) -> None:
    """Only open payments have these attributes, so the index holds nothing else."""
    table = stack.one("aws_dynamodb_table", name=stack.name("payments"))
    index, _, _ = table["global_secondary_index"]
    assert index == {
        "name": "open-payments",
        "hash_key": "open_shard",
        "range_key": "accepted_at",
        "projection_type": "KEYS_ONLY",
    }
    types = {attribute["name"]: attribute["type"] for attribute in table["attribute"]}
    assert types == {
        "payment_id": "S",
        "open_shard": "N",
        "accepted_at": "S",
        "time_shard": "N",
        "created_at": "S",
        "held_shard": "N",
        "capture_before": "S",
    }


def test_authorisations_and_operations_that_are_due_are_found_by_time(stack: Stack) -> None:
    """Only what waits has these attributes, so the indexes hold nothing else."""
    payments = stack.one("aws_dynamodb_table", name=stack.name("payments"))
    *_, held = payments["global_secondary_index"]
    assert held == {
        "name": HELD_INDEX,
        "hash_key": "held_shard",
        "range_key": "capture_before",
        "projection_type": "KEYS_ONLY",
    }
    operations = stack.one("aws_dynamodb_table", name=stack.name("payment-operations"))
    (due,) = operations["global_secondary_index"]
    assert (due["name"], due["hash_key"], due["range_key"]) == (DUE_INDEX, "due_shard", "due_at")


def test_payments_are_in_the_order_of_time_by_attributes_that_never_change(stack: Stack) -> None:
    """Whatever changes would be written to the index once more with each status."""
    table = stack.one("aws_dynamodb_table", name=stack.name("payments"))
    _, index, _ = table["global_secondary_index"]
    assert index == {
        "name": TIME_INDEX,
        "hash_key": "time_shard",
        "range_key": "created_at",
        "projection_type": "INCLUDE",
        "non_key_attributes": ["currency", "source"],
    }


def test_only_the_timeline_expires(stack: Stack) -> None:
    expiring = [
        table["name"] for table in stack.all("aws_dynamodb_table") if "ttl" in table.attributes
    ]
    assert expiring == [stack.name("processing-status")]


def test_nobody_may_change_or_remove_an_audit_record(stack: Stack) -> None:
    table = stack.one("aws_dynamodb_table", name=stack.name("audit-logs"))
    policy = stack.one("aws_dynamodb_resource_policy")
    assert policy["resource_arn"] == f"${{{table.address}.arn}}"
    (statement,) = policy.statements
    assert statement["Effect"] == "Deny"
    assert statement["Principal"] == {"AWS": "*"}
    assert set(statement["Action"]) == CHANGING_ACTIONS
    assert "Condition" not in statement


def test_no_role_is_allowed_to_change_or_remove_an_audit_record(stack: Stack) -> None:
    table = stack.one("aws_dynamodb_table", name=stack.name("audit-logs"))
    for policy in stack.all("aws_iam_role_policy"):
        for statement in policy.statements:
            if f"${{{table.address}.arn}}" in statement["Resource"]:
                assert set(statement["Action"]) & CHANGING_ACTIONS == set()


def test_the_key_is_rotated(stack: Stack) -> None:
    key = stack.one("aws_kms_key")
    assert key["enable_key_rotation"] is True
    assert key["deletion_window_in_days"] == (30 if stack.protected else 7)


def test_services_may_use_the_key_only_for_this_environment(stack: Stack) -> None:
    for statement in stack.one("aws_kms_key").statements:
        if "Service" in statement["Principal"]:
            bound_to = str(statement["Condition"])
            assert "account_id}" in bound_to
            assert f"-{stack.suffix}'" in bound_to


def test_alarms_may_use_the_key_of_the_topic(stack: Stack) -> None:
    """Without it, an alarm on an encrypted topic is silent."""
    principals = [statement["Principal"] for statement in stack.one("aws_kms_key").statements]
    assert {"Service": "cloudwatch.amazonaws.com"} in principals


def test_every_log_group_is_encrypted_and_kept_for_a_year(stack: Stack) -> None:
    allowed = str(stack.one("aws_kms_key").statements)
    for group in stack.all("aws_cloudwatch_log_group"):
        assert group["kms_key_id"] == key_arn(stack)
        assert group["retention_in_days"] == 365
        assert f":log-group:{group['name']}'" in allowed
