"""Before a deployment: what would fail late is found, with its reason and the command that fixes it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber
from moto import mock_aws

from lib.config import StackConfig
from operations.checks import buckets, credentials, limits, machine, state
from operations.checks.findings import Finding, Level
from operations.doctor import account, everything, examine, exit_code

ACCOUNT = "123456789012"
NOW = datetime(2026, 3, 12, 19, 4, tzinfo=UTC)
DEV = StackConfig(
    suffix="dev",
    region="eu-central-1",
    state_bucket="acme-terraform-state",
    state_bucket_region="eu-central-1",
)
PROD = replace(DEV, suffix="prod")
VARIABLES = {
    "ENVIRONMENT_SUFFIX": "dev",
    "AWS_REGION": "eu-central-1",
    "TERRAFORM_STATE_BUCKET": "acme-terraform-state",
    "TERRAFORM_STATE_BUCKET_REGION": "eu-central-1",
}
START, MOVE = limits.WORKFLOW_QUOTAS


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def s3() -> Iterator[Any]:
    """S3 in an account in which nothing is."""
    with mock_aws():
        yield boto3.client("s3", region_name="eu-central-1")


def client_of(service: str) -> tuple[Any, Stubber]:
    """Return a client that answers only what its stubber was given."""
    client: Any = boto3.client(service, region_name="eu-central-1")  # type: ignore[call-overload]
    stubber = Stubber(client)
    stubber.activate()
    return client, stubber


def refusing(service: str, operation: str, code: str, status: int) -> Any:
    client, stubber = client_of(service)
    stubber.add_client_error(operation, code, "said no", http_status_code=status)
    return client


def create(s3: Any, name: str) -> None:
    here = {"LocationConstraint": "eu-central-1"}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=here)


def put_state(s3: Any, config: StackConfig, *, account: str, region: str) -> None:
    outputs = {
        "api_id": {"value": "abc123"},
        "workflow_arn": {"value": f"arn:aws:states:{region}:{account}:stateMachine:payments"},
    }
    body = json.dumps({"resources": [{"type": "aws_s3_bucket"}], "outputs": outputs})
    s3.put_object(Bucket=config.state_bucket, Key=config.state_key, Body=body)


# --- the machine


@pytest.mark.parametrize(
    ("version", "level"), [((3, 12), Level.OK), ((3, 13), Level.WARNING), ((3, 11), Level.FAULT)]
)
def test_python_is_that_of_the_functions(version: tuple[int, int], level: Level) -> None:
    finding = machine.python(version)
    assert finding.level is level
    assert ("pyenv install 3.12" in finding.fix) is (level is not Level.OK)


@pytest.mark.parametrize("printed", ["v20.20.2\n", "v22.23.0\n"])
def test_node_20_and_22_will_do(printed: str) -> None:
    assert machine.node(printed).level is Level.OK


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        ("v24.21.0\n", "node-pty has no binary for a Node.js newer than 22"),
        ("v18.19.1\n", "needs Node.js 20 or 22"),
        ("weather: fine", "needs Node.js 20 or 22"),
        (None, "needs Node.js 20 or 22"),
    ],
)
def test_another_node_is_refused_with_the_reason(printed: str | None, why: str) -> None:
    finding = machine.node(printed)
    assert finding.level is Level.FAULT
    assert why in finding.why
    assert finding.fix == "nvm install 22 && nvm use 22"


@pytest.mark.parametrize(
    ("printed", "level", "found"),
    [
        ('{"terraform_version": "1.10.0"}', Level.OK, "1.10.0"),
        ('{"terraform_version": "2.0.0-beta1"}', Level.OK, "2.0.0-beta1"),
        ('{"terraform_version": "1.9.8"}', Level.FAULT, "1.9.8"),
        (None, Level.FAULT, "not found"),
        ('{"terraform_version": 7}', Level.UNSEEN, "could not look"),
        ("[]", Level.UNSEEN, "could not look"),
        ("Terraform v1.10", Level.UNSEEN, "could not look"),
    ],
)
def test_terraform_knows_lock_files_in_buckets(
    printed: str | None, level: Level, found: str
) -> None:
    finding = machine.terraform(printed)
    assert (finding.level, found in finding.found) == (level, True)
    assert ("terraform version" in finding.fix or "tfenv install" in finding.fix) is (
        level is not Level.OK
    )


def test_a_platform_without_a_pinned_provider_is_told_how_to_pin_it() -> None:
    assert machine.provider_lock("linux_amd64", ("linux_amd64",)).level is Level.OK
    finding = machine.provider_lock("darwin_arm64", ("linux_amd64",))
    assert finding.level is Level.WARNING
    assert "not pinned for darwin_arm64, only for linux_amd64" in finding.found
    assert "python -m local.providers" in finding.fix


def test_two_regions_in_one_shell_are_a_warning() -> None:
    assert machine.shell_region({"AWS_REGION": "eu-west-1"}).level is Level.OK
    two = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}
    finding = machine.shell_region(two)
    assert finding.level is Level.WARNING
    assert finding.fix == 'export AWS_DEFAULT_REGION="$AWS_REGION"'


def test_programs_are_asked_for_their_versions_and_a_missing_one_is_no_error() -> None:
    assert machine.printed_by("sh", "-c", "echo v22.1.0; exit 3") == "v22.1.0\n"
    assert machine.printed_by("no-such-program-here", "--version") is None


# --- who asks, and when


@pytest.mark.usefixtures("s3")
def test_valid_credentials_are_shown_with_their_account() -> None:
    finding, number, answer = credentials.credentials(DEV, Clients())
    assert (finding.level, number) == (Level.OK, ACCOUNT)
    assert ACCOUNT in finding.found
    assert answer is not None


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_refused_credentials_are_a_fault(code: str) -> None:
    client = refusing("sts", "get_caller_identity", code, 403)
    finding, number, _ = credentials.credentials(DEV, lambda *_: client)
    assert (finding.level, number) == (Level.FAULT, None)
    assert code in finding.found
    assert "aws sso login" in finding.fix
    assert "aws account enable-region --region-name eu-central-1" in finding.why


def raising(error: Exception) -> Callable[[str, str], Any]:
    def clients(_service: str, _region: str) -> Any:
        raise error

    return clients


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (NoCredentialsError(), Level.FAULT),
        (PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), Level.FAULT),
        (EndpointConnectionError(endpoint_url="https://sts.amazonaws.com"), Level.UNSEEN),
        (ResponseParserError("<html>"), Level.UNSEEN),
        (ValueError("Invalid endpoint: nonsense"), Level.UNSEEN),
    ],
)
def test_no_credentials_are_a_fault_and_no_answer_is_none(error: Exception, level: Level) -> None:
    finding, number, answer = credentials.credentials(DEV, raising(error))
    assert (finding.level, number, answer) == (level, None, None)
    assert finding.fix


def test_a_failing_sts_is_not_blamed_on_the_credentials() -> None:
    client = refusing("sts", "get_caller_identity", "ServiceUnavailable", 503)
    finding, _, _ = credentials.credentials(DEV, lambda *_: client)
    assert finding.level is Level.UNSEEN
    assert finding.fix == "aws sts get-caller-identity --region eu-central-1"


@pytest.mark.parametrize(
    ("seconds", "level", "found"),
    [
        (59, Level.OK, "agrees"),
        (-59, Level.OK, "agrees"),
        (61, Level.WARNING, "61 s ahead of AWS's"),
        (-61, Level.WARNING, "61 s behind AWS's"),
        (300, Level.FAULT, "300 s ahead"),
        (-4000, Level.FAULT, "4000 s behind"),
    ],
)
def test_a_clock_that_is_wrong_is_found(seconds: int, level: Level, found: str) -> None:
    headers = {"date": format_datetime(NOW - timedelta(seconds=seconds), usegmt=True)}
    answer = {"ResponseMetadata": {"HTTPHeaders": headers}}
    finding = credentials.clock(answer, NOW)
    assert (finding.level, found in finding.found) == (level, True)
    assert bool(finding.fix) is (level is not Level.OK)


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, None])
def test_an_answer_without_a_time_says_nothing_of_the_clock(headers: Any) -> None:
    answer = {"ResponseMetadata": {"HTTPHeaders": headers}}
    assert credentials.clock(answer, NOW).level is Level.UNSEEN


# --- the state


def test_a_state_bucket_that_is_where_the_variable_says_is_fine(s3: Any) -> None:
    create(s3, DEV.state_bucket)
    assert state.state_bucket(DEV, s3, about="State bucket").level is Level.OK


@pytest.mark.parametrize(
    ("region", "location"),
    [
        ("eu-central-1", " --create-bucket-configuration LocationConstraint=eu-central-1"),
        ("us-east-1", ""),
    ],
)
def test_a_missing_state_bucket_is_a_fault_with_the_commands_that_create_it(
    s3: Any, region: str, location: str
) -> None:
    config = replace(DEV, state_bucket_region=region)
    finding = state.state_bucket(config, s3, about="State bucket")
    assert finding.level is Level.FAULT
    assert finding.found == "acme-terraform-state does not exist"
    created, versioned, closed = finding.fix.splitlines()
    assert created == (
        f"aws s3api create-bucket --bucket acme-terraform-state --region {region}{location}"
    )
    assert "put-bucket-versioning" in versioned
    assert "put-public-access-block" in closed


def test_a_state_bucket_in_another_region_is_a_fault_that_names_it(s3: Any) -> None:
    create(s3, DEV.state_bucket)
    config = replace(DEV, state_bucket_region="us-west-2")
    finding = state.state_bucket(config, s3, about="State bucket")
    assert finding.level is Level.FAULT
    assert finding.fix == "export TERRAFORM_STATE_BUCKET_REGION=eu-central-1"


def test_a_state_bucket_of_somebody_else_is_a_fault() -> None:
    finding = state.state_bucket(
        DEV, refusing("s3", "head_bucket", "403", 403), about="State bucket"
    )
    assert finding.level is Level.FAULT
    assert "another account's" in finding.found
    assert "export TERRAFORM_STATE_BUCKET=" in finding.fix


CLOSED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
AES = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


def settings(config: StackConfig, s3: Any) -> dict[str, Finding]:
    return {
        about: way(config, s3, about=about)
        for about, way, _, _ in state.CHECKS
        if way is not state.state_bucket
    }


def test_a_state_bucket_with_all_its_settings_is_fine(s3: Any) -> None:
    bucket = DEV.state_bucket
    create(s3, bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=AES)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=CLOSED)
    assert {finding.level for finding in settings(PROD, s3).values()} == {Level.OK}


@pytest.mark.parametrize(("config", "level"), [(DEV, Level.WARNING), (PROD, Level.FAULT)])
def test_a_bare_state_bucket_lacks_versions_and_a_public_access_block(
    s3: Any, config: StackConfig, level: Level
) -> None:
    create(s3, config.state_bucket)
    s3.put_public_access_block(
        Bucket=config.state_bucket,
        PublicAccessBlockConfiguration=CLOSED | {"BlockPublicPolicy": False},
    )
    found = settings(config, s3)
    versions, access = found["State bucket's versions"], found["State bucket's public access"]
    assert versions.level is level
    assert versions.fix == (
        "aws s3api put-bucket-versioning --bucket acme-terraform-state"
        " --versioning-configuration Status=Enabled"
    )
    assert access.level is level
    assert access.found == "not blocked: BlockPublicPolicy off"
    assert access.fix.startswith("aws s3api put-public-access-block --bucket acme-terraform-state")


@pytest.mark.parametrize(
    ("operation", "code", "way", "command"),
    [
        (
            "get_bucket_encryption",
            "ServerSideEncryptionConfigurationNotFoundError",
            state.state_encryption,
            "aws s3api put-bucket-encryption --bucket acme-terraform-state",
        ),
        (
            "get_public_access_block",
            "NoSuchPublicAccessBlockConfiguration",
            state.state_public_access,
            "aws s3api put-public-access-block --bucket acme-terraform-state",
        ),
    ],
)
def test_a_setting_that_was_never_made_is_found(
    operation: str, code: str, way: Callable[..., Finding], command: str
) -> None:
    finding = way(PROD, refusing("s3", operation, code, 404), about="it")
    assert finding.level is Level.FAULT
    assert finding.fix.startswith(command)


def test_without_a_state_nothing_is_deployed(s3: Any) -> None:
    create(s3, DEV.state_bucket)
    before = state.deployed(DEV, s3)
    assert before == state.NOWHERE
    finding = state.place(DEV, ACCOUNT, before)
    assert finding.level is Level.OK
    assert f"would go to account {ACCOUNT} in eu-central-1" in finding.found


def test_a_destroyed_environment_leaves_a_state_and_is_nowhere(s3: Any) -> None:
    create(s3, DEV.state_bucket)
    s3.put_object(
        Bucket=DEV.state_bucket, Key=DEV.state_key, Body='{"resources": [], "outputs": {}}'
    )
    assert state.deployed(DEV, s3) == state.NOWHERE


@pytest.mark.parametrize(
    ("number", "region", "fix"),
    [
        (ACCOUNT, "eu-central-1", ""),
        (ACCOUNT, "us-east-1", "export AWS_REGION=us-east-1"),
        ("999999999999", "eu-central-1", "# a profile of account 999999999999"),
    ],
)
def test_an_environment_stays_in_the_account_and_region_it_is_in(
    s3: Any, number: str, region: str, fix: str
) -> None:
    create(s3, DEV.state_bucket)
    put_state(s3, DEV, account=number, region=region)
    before = state.deployed(DEV, s3)
    assert before == state.Deployed(number, region)
    finding = state.place(DEV, ACCOUNT, before)
    assert finding.level is (Level.FAULT if fix else Level.OK)
    assert finding.fix.endswith(fix)


# --- limits


def gateway(role: str | None) -> Any:
    client, stubber = client_of("apigateway")
    stubber.add_response("get_account", {"cloudwatchRoleArn": role} if role else {})
    return client


def test_a_protected_environment_needs_the_logging_role_of_api_gateway() -> None:
    finding = limits.logging_role(PROD, gateway(None), account=ACCOUNT)
    assert finding.level is Level.FAULT
    create_role, attach, _wait, update = finding.fix.splitlines()
    assert create_role.startswith("aws iam create-role --role-name api-gateway-logs")
    assert '"Service":"apigateway.amazonaws.com"' in create_role
    assert "AmazonAPIGatewayPushToCloudWatchLogs" in attach
    assert update == (
        "aws apigateway update-account --region eu-central-1 --patch-operations"
        " op=replace,path=/cloudwatchRoleArn,value=arn:aws:iam::123456789012:role/api-gateway-logs"
    )


def test_a_logging_role_that_is_there_or_not_needed_is_fine() -> None:
    role = "arn:aws:iam::123456789012:role/any"
    assert limits.logging_role(PROD, gateway(role), account=ACCOUNT).found == role
    finding = limits.logging_role(DEV, gateway(None), account=ACCOUNT)
    assert finding.level is Level.OK
    assert "none, and dev needs none" in finding.found


@pytest.mark.parametrize(
    ("config", "limit", "level"),
    [
        (PROD, 200, Level.OK),
        (PROD, 199, Level.FAULT),
        (PROD, 10, Level.FAULT),
        (DEV, 10, Level.WARNING),
        (DEV, 1000, Level.OK),
    ],
)
def test_lambda_must_run_200_executions_side_by_side(
    config: StackConfig, limit: int, level: Level
) -> None:
    client, stubber = client_of("lambda")
    stubber.add_response("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": limit}})
    finding = limits.lambda_concurrency(config, client)
    assert (finding.level, str(limit) in finding.found) == (level, True)
    assert finding.fix == (
        ""
        if level is Level.OK
        else "aws service-quotas request-service-quota-increase --region eu-central-1"
        " --service-code lambda --quota-code L-B99A9384 --desired-value 1000"
    )


def quota_client(usual: dict[str, float], granted: dict[str, float]) -> Any:
    client, stubber = client_of("service-quotas")
    for operation, values in (
        ("list_aws_default_service_quotas", usual),
        ("list_service_quotas", granted),
    ):
        listed = [
            {"QuotaName": name, "QuotaCode": f"L-{index:08}", "Value": value}
            for index, (name, value) in enumerate(values.items())
        ]
        # In two pages, as a real list may come.
        first = {"Quotas": listed[:1], "NextToken": "more"}
        stubber.add_response(operation, first, {"ServiceCode": "states"})
        second = {"ServiceCode": "states", "NextToken": "more"}
        stubber.add_response(operation, {"Quotas": listed[1:]}, second)
    return client


def workflow_findings(usual: dict[str, float], granted: dict[str, float]) -> list[Finding]:
    client = quota_client(usual, granted)
    defaults = limits.workflow_quotas(client, "list_aws_default_service_quotas")
    here = limits.workflow_quotas(client, "list_service_quotas")
    return [limits.workflow_quota(DEV, name, defaults, here) for name in (START, MOVE)]


def test_quotas_of_step_functions_at_or_above_the_default_are_fine() -> None:
    start, move = workflow_findings({START: 150, MOVE: 800}, {MOVE: 5000})
    assert (start.level, move.level) == (Level.OK, Level.OK)
    assert "150 a second" in start.found
    assert "5000 a second" in move.found


def test_a_reduced_quota_of_step_functions_is_a_warning_that_names_it() -> None:
    _, move = workflow_findings({START: 150, MOVE: 800}, {MOVE: 20})
    assert move.level is Level.WARNING
    assert move.about == "Step Functions: StateTransition"
    assert MOVE in move.found
    assert "20 a second" in move.found
    assert "default in eu-central-1 is 800" in move.found
    assert move.fix == (
        "aws service-quotas request-service-quota-increase --region eu-central-1"
        " --service-code states --quota-code L-00000001 --desired-value 800"
    )


def test_a_quota_that_is_not_listed_is_not_taken_for_fine() -> None:
    start, _ = workflow_findings({MOVE: 800}, {})
    assert start.level is Level.UNSEEN
    assert START in start.found
    assert "list-aws-default-service-quotas" in start.fix


# --- bucket names


def head(s3: Any, before: state.Deployed | None = state.NOWHERE) -> Finding:
    return buckets.bucket_name(
        DEV, s3, account=ACCOUNT, name="payment-batch-files-dev", before=before
    )


def test_a_free_name_is_fine(s3: Any) -> None:
    assert head(s3).found == "the name is free"


def test_a_bucket_of_this_environment_is_fine(s3: Any) -> None:
    create(s3, "payment-batch-files-dev")
    assert head(s3, state.Deployed(ACCOUNT, DEV.region)).level is Level.OK


def test_a_name_that_another_account_has_is_a_fault_with_another_suffix() -> None:
    finding = head(refusing("s3", "head_bucket", "403", 403))
    assert finding.level is Level.FAULT
    assert "BucketAlreadyExists" in finding.why
    assert finding.fix == "export ENVIRONMENT_SUFFIX=dev-9012"


@pytest.mark.parametrize("suffix", ["dev", "prod", "a-b-c-d-e-f-g-h-i-j", "abcdefghij0123456789"])
def test_the_suffix_that_is_proposed_is_one(suffix: str) -> None:
    finding = buckets.bucket_name(
        replace(DEV, suffix=suffix),
        refusing("s3", "head_bucket", "403", 403),
        account=ACCOUNT,
        name=f"payment-batch-files-{suffix}",
        before=state.NOWHERE,
    )
    proposed = finding.fix.rpartition("=")[2]
    assert StackConfig.from_env(VARIABLES | {"ENVIRONMENT_SUFFIX": proposed}).suffix == proposed


def test_a_name_in_another_region_is_a_fault_that_names_it(s3: Any) -> None:
    elsewhere = boto3.client("s3", region_name="us-east-1")
    elsewhere.create_bucket(Bucket="payment-batch-files-dev")
    finding = head(s3)
    assert finding.level is Level.FAULT
    assert "by a bucket in us-east-1" in finding.found


def test_a_redirect_is_a_bucket_in_another_region() -> None:
    client, stubber = client_of("s3")
    stubber.add_client_error(
        "head_bucket",
        "301",
        http_status_code=301,
        response_meta={"HTTPHeaders": {"x-amz-bucket-region": "ap-south-1"}},
    )
    assert "by a bucket in ap-south-1" in head(client).found


def test_a_bucket_of_ours_that_no_state_knows_is_a_fault(s3: Any) -> None:
    create(s3, "payment-batch-files-dev")
    finding = head(s3)
    assert finding.level is Level.FAULT
    assert "BucketAlreadyOwnedByYou" in finding.why
    assert finding.fix.startswith("aws s3 rb s3://payment-batch-files-dev #")


def test_a_bucket_of_ours_is_left_alone_if_the_state_could_not_be_read(s3: Any) -> None:
    create(s3, "payment-batch-files-dev")
    finding = head(s3, None)
    assert finding.level is Level.UNSEEN
    assert "s3 rb" not in finding.fix


# --- the whole


class Clients:
    """moto's S3 and STS, and scripted answers of what moto is not installed for."""

    def __init__(self, **others: Any) -> None:
        self.others = others

    def __call__(self, service: str, region: str) -> Any:
        if service in {"s3", "sts"}:
            return boto3.client(service, region_name=region)  # type: ignore[call-overload]
        client = self.others[service.replace("-", "_")]
        if isinstance(client, Exception):
            raise client
        return client


def granting() -> dict[str, Any]:
    functions, stubber = client_of("lambda")
    stubber.add_response("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 1000}})
    defaults: dict[str, float] = {START: 150, MOVE: 800}
    return {
        "apigateway": gateway("arn:aws:iam::123456789012:role/logs"),
        "lambda": functions,
        "service_quotas": quota_client(defaults, defaults),
    }


def examined(config: StackConfig, clients: Any) -> list[Finding]:
    return list(account(config, clients, now=lambda: datetime.now(UTC)))


def good_state_bucket(s3: Any) -> None:
    bucket = DEV.state_bucket
    create(s3, bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=AES)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=CLOSED)


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.about: finding for finding in findings}


def test_an_account_in_which_a_deployment_works_is_green(s3: Any) -> None:
    good_state_bucket(s3)
    findings = [f for f in examined(PROD, Clients(**granting())) if f.about != "Clock"]
    assert [f for f in findings if f.level is not Level.OK] == []
    assert exit_code(findings) == 0
    assert [f.about for f in findings] == [
        "Credentials",
        "State bucket",
        "State bucket's versions",
        "State bucket's encryption",
        "State bucket's public access",
        "Account and region",
        "API Gateway's logging role",
        "Lambda's concurrency",
        "Step Functions: StartExecution",
        "Step Functions: StateTransition",
        "Bucket payment-access-logs-prod",
        "Bucket payment-batch-files-prod",
        "Bucket payment-batch-results-prod",
    ]


def test_what_may_not_be_looked_at_is_said_with_the_permission_and_is_not_green(s3: Any) -> None:
    good_state_bucket(s3)
    denied = {
        "apigateway": refusing("apigateway", "get_account", "AccessDeniedException", 403),
        "lambda": refusing("lambda", "get_account_settings", "AccessDeniedException", 403),
        "service_quotas": refusing(
            "service-quotas", "list_aws_default_service_quotas", "AccessDeniedException", 400
        ),
    }
    findings = [f for f in examined(PROD, Clients(**denied)) if f.about != "Clock"]
    found = by_subject(findings)
    for about, permission, command in (
        ("API Gateway's logging role", "apigateway:GET on /account", "apigateway get-account"),
        ("Lambda's concurrency", "lambda:GetAccountSettings", "lambda get-account-settings"),
        ("Step Functions' quotas", "servicequotas:ListServiceQuotas", "service-quotas list-"),
    ):
        assert found[about].level is Level.UNSEEN
        assert f"it needs {permission}" in found[about].found
        assert command in found[about].fix
    assert exit_code(findings) == 2


@pytest.mark.parametrize(
    "error",
    [
        ResponseParserError("<html> is no JSON"),
        KeyError("AccountLimit"),
        EndpointConnectionError(endpoint_url="https://127.0.0.1"),
        ClientError({}, "GetAccount"),  # an answer without a word
        ValueError("Invalid endpoint: x"),
    ],
)
def test_odd_answers_are_told_without_a_stack_trace(s3: Any, error: Exception) -> None:
    good_state_bucket(s3)
    odd = {"apigateway": error, "lambda": error, "service_quotas": error}
    findings = [f for f in examined(DEV, Clients(**odd)) if f.about != "Clock"]
    assert [f.about for f in findings if f.level is Level.UNSEEN] == [
        "API Gateway's logging role",
        "Lambda's concurrency",
        "Step Functions' quotas",
    ]
    assert exit_code(findings) == 2


def test_a_state_that_cannot_be_read_leaves_open_whose_the_buckets_are(s3: Any) -> None:
    good_state_bucket(s3)
    s3.put_object(Bucket=DEV.state_bucket, Key=DEV.state_key, Body=b"no JSON")
    create(s3, "payment-batch-files-dev")
    found = by_subject(examined(DEV, Clients(**granting())))
    assert found["Account and region"].level is Level.UNSEEN
    assert found["Bucket payment-batch-files-dev"].level is Level.UNSEEN
    assert found["Bucket payment-access-logs-dev"].level is Level.OK


@pytest.mark.usefixtures("s3")
def test_without_a_state_bucket_its_settings_are_not_asked_for_and_the_rest_is() -> None:
    found = by_subject(examined(DEV, Clients(**granting())))
    assert found["State bucket"].level is Level.FAULT
    assert "State bucket's versions" not in found
    assert found["Lambda's concurrency"].level is Level.OK


def test_without_credentials_the_account_is_not_seen() -> None:
    findings = examined(DEV, raising(NoCredentialsError()))
    assert [(f.about, f.level) for f in findings] == [
        ("Credentials", Level.FAULT),
        ("Account", Level.UNSEEN),
    ]
    assert exit_code(findings) == 1


def test_whatever_is_not_fine_comes_with_its_reason_and_a_command(s3: Any) -> None:
    create(s3, DEV.state_bucket)
    create(s3, "payment-batch-files-prod")
    odd = {name: KeyError("x") for name in ("apigateway", "lambda", "service_quotas")}
    findings = [
        *examined(PROD, Clients(**odd)),
        *examined(DEV, raising(NoCredentialsError())),
        *everything({}),
    ]
    poor = [finding for finding in findings if finding.level is not Level.OK]
    assert len(poor) >= 10
    assert [finding for finding in poor if not (finding.why and finding.fix)] == []


def test_missing_variables_are_each_named_with_an_example() -> None:
    findings = [f for f in everything({}) if f.about == "Environment variables"]
    assert [f.fix for f in findings] == [
        "export ENVIRONMENT_SUFFIX=dev",
        "export AWS_REGION=eu-central-1",
        "export TERRAFORM_STATE_BUCKET=acme-terraform-state",
        "export TERRAFORM_STATE_BUCKET_REGION=eu-central-1",
    ]
    assert exit_code(findings) == 2


FINE = Finding(about="Node.js", level=Level.OK, found="22.1.0")
POOR = Finding(about="Python", level=Level.WARNING, found="3.13", why="Because.", fix="pyenv x")
BAD = Finding(about="Clock", level=Level.FAULT, found="[/wrong]", why="So.", fix="one\ntwo")
DARK = Finding(about="Quota", level=Level.UNSEEN, found="no answer", why="Why.", fix="aws look")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([FINE], 0),
        ([FINE, POOR], 0),
        ([FINE, DARK], 2),
        ([POOR, BAD], 1),
        ([DARK, BAD], 1),
    ],
)
def test_the_exit_code_tells_green_a_fault_and_what_was_not_seen_apart(
    capsys: pytest.CaptureFixture[str], findings: list[Finding], code: int
) -> None:
    assert examine(VARIABLES, lambda _: iter(findings), as_json=False) == code
    assert examine(VARIABLES, lambda _: iter(findings), as_json=True) == code
    assert capsys.readouterr().err == ""


def test_each_finding_is_printed_with_reason_and_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    examine(VARIABLES, lambda _: iter([FINE, BAD, DARK]), as_json=False)
    assert capsys.readouterr().out == (
        "dev (disposable) in eu-central-1\n"
        "ok       Node.js: 22.1.0\n"
        "fault    Clock: [/wrong]\n"
        "         So.\n"
        "           one\n"
        "           two\n"
        "not seen Quota: no answer\n"
        "         Why.\n"
        "           aws look\n"
        "1 ok, 0 warning, 1 fault, 1 not seen\n"
    )


def test_json_holds_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    examine(VARIABLES, lambda _: iter([FINE, POOR]), as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "exit_code": 0,
        "findings": [
            {"about": "Node.js", "level": "ok", "found": "22.1.0", "why": "", "fix": ""},
            {
                "about": "Python",
                "level": "warning",
                "found": "3.13",
                "why": "Because.",
                "fix": "pyenv x",
            },
        ],
    }
