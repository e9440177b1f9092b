"""The configuration: complete and well formed, or nothing happens."""

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from lib import currencies
from lib.config import (
    DISPOSABLE,
    PROTECTED,
    ConfigurationError,
    Processor,
    StackConfig,
    StripeConfig,
)
from local.workspace import Workspace
from operations.checks import limits
from payments.core.money import EXPONENTS
from payments.core.review import ReviewLimits

ROOT = Path(__file__).resolve().parents[2]

GOOD = {
    "ENVIRONMENT_SUFFIX": "pr-12",
    "AWS_REGION": "eu-central-1",
    "TERRAFORM_STATE_BUCKET": "acme-terraform-state",
    "TERRAFORM_STATE_BUCKET_REGION": "us-east-1",
}


def with_suffix(suffix: str) -> StackConfig:
    return StackConfig.from_env({**GOOD, "ENVIRONMENT_SUFFIX": suffix})


def faults_of(**changes: str) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        StackConfig.from_env({**GOOD, **changes})
    return raised.value.faults


def run_main(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run main.py in an empty folder, with no other of the four variables than these."""
    inherited = {name: value for name, value in os.environ.items() if name not in GOOD}
    return subprocess.run(
        (sys.executable, str(ROOT / "main.py")),
        cwd=folder,
        env=inherited | variables | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_complete_configuration_is_taken_as_it_is() -> None:
    config = StackConfig.from_env(GOOD)
    assert (config.suffix, config.region) == ("pr-12", "eu-central-1")
    assert (config.state_bucket, config.state_bucket_region) == (
        "acme-terraform-state",
        "us-east-1",
    )


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert StackConfig.from_env() == StackConfig.from_env(GOOD)


def test_one_error_names_every_missing_variable() -> None:
    with pytest.raises(ConfigurationError) as raised:
        StackConfig.from_env({})
    assert len(raised.value.faults) == 4
    for name in GOOD:
        assert f"{name} is not set: expected " in str(raised.value)


def test_missing_and_malformed_variables_are_named_together() -> None:
    faults = faults_of(ENVIRONMENT_SUFFIX="Dev Env", AWS_REGION="")
    assert [fault.split()[0] for fault in faults] == ["ENVIRONMENT_SUFFIX", "AWS_REGION"]
    assert "is 'Dev Env': expected 1 to 20 lower-case letters" in faults[0]


def test_nobody_is_told_unless_the_configuration_says_so() -> None:
    config = StackConfig.from_env({**GOOD, "ALARM_EMAIL": ""})
    assert (config.alarm_email, config.payment_updates_endpoint) == (None, None)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://ledger.example.com",
        "https://ledger.example.com:8443/payments?source=x",
        "arn:aws:sqs:eu-central-1:123456789012:ledger-updates",
        "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:ledger_updates",
    ],
)
def test_subscribers_are_taken_as_they_are(endpoint: str) -> None:
    config = StackConfig.from_env(
        {**GOOD, "ALARM_EMAIL": "on-call@example.com", "PAYMENT_UPDATES_ENDPOINT": endpoint}
    )
    assert config.alarm_email == "on-call@example.com"
    assert config.payment_updates_endpoint == endpoint


@pytest.mark.parametrize("email", ["on-call", "@example.com", "a@b", "a b@example.com", "a@b.c\n"])
def test_what_is_no_email_address_is_refused(email: str) -> None:
    (fault,) = faults_of(ALARM_EMAIL=email)
    assert "expected an email address" in fault


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://ledger.example.com",
        "https://ledger",
        "https://ledger.example.com/ x",
        "arn:aws:sqs:eu-central-1:123456789012:ledger.fifo",
        "arn:aws:lambda:eu-central-1:123456789012:function:ledger",
    ],
)
def test_an_endpoint_that_updates_cannot_go_to_is_refused(endpoint: str) -> None:
    (fault,) = faults_of(PAYMENT_UPDATES_ENDPOINT=endpoint)
    assert "an https URL, or the ARN of an SQS queue" in fault


@pytest.mark.parametrize("suffix", ["d", "dev", "staging", "pr-12", "2026-q1", "a" * 20])
def test_a_well_formed_suffix_is_accepted(suffix: str) -> None:
    assert with_suffix(suffix).suffix == suffix


@pytest.mark.parametrize(
    "suffix",
    ["Dev", "my env", "a" * 21, "a" * 40, "-dev", "dev-", "pr--12", "dev_1", "dév", "dev\n", " "],
)
def test_a_malformed_suffix_is_refused(suffix: str) -> None:
    (fault,) = faults_of(ENVIRONMENT_SUFFIX=suffix)
    assert fault.startswith("ENVIRONMENT_SUFFIX is ")


@pytest.mark.parametrize(
    "region",
    ["us-east-1", "eu-central-1", "ap-southeast-5", "ca-west-1", "il-central-1", "us-gov-west-1"],
)
def test_the_name_of_a_region_is_accepted(region: str) -> None:
    faultless = StackConfig.from_env(
        {**GOOD, "AWS_REGION": region, "TERRAFORM_STATE_BUCKET_REGION": region}
    )
    assert faultless.region == faultless.state_bucket_region == region


@pytest.mark.parametrize(
    "region",
    ["us-esat-1", "us-east", "us-east-1a", "US-EAST-1", "useast1", "us-east-0", "mars-north-1"],
)
def test_what_is_no_name_of_a_region_is_refused(region: str) -> None:
    faults = faults_of(AWS_REGION=region, TERRAFORM_STATE_BUCKET_REGION=region)
    assert len(faults) == 2
    assert all("such as us-east-1" in fault for fault in faults)


@pytest.mark.parametrize("region", ["cn-north-1", "us-iso-east-1"])
def test_regions_whose_domain_names_are_not_the_contracts_are_refused(region: str) -> None:
    assert len(faults_of(AWS_REGION=region)) == 1


@pytest.mark.parametrize("bucket", ["abc", "acme.state", "a" * 63, "1-state"])
def test_the_name_of_a_bucket_is_accepted(bucket: str) -> None:
    assert StackConfig.from_env({**GOOD, "TERRAFORM_STATE_BUCKET": bucket}).state_bucket == bucket


@pytest.mark.parametrize(
    "bucket", ["ab", "a" * 64, "State", "my_state", "-state", "state-", "a..b", "192.168.5.4"]
)
def test_what_is_no_name_of_a_bucket_is_refused(bucket: str) -> None:
    (fault,) = faults_of(TERRAFORM_STATE_BUCKET=bucket)
    assert "3 to 63" in fault


@pytest.mark.parametrize(
    "suffix",
    [
        *("prod", "prod-eu", "production", "eu-prod", "preprod", "live", "staging", "staging-2"),
        *("local-2", "localhost", "my-dev", "pr", "pr12", "d", "contest"),
    ],
)
def test_a_name_that_does_not_say_otherwise_is_protected(suffix: str) -> None:
    assert with_suffix(suffix).profile is PROTECTED


@pytest.mark.parametrize(
    "suffix", ["dev", "dev-2", "developer-7", "test", "test-e2e", "pr-12", "pr-x", "local"]
)
def test_names_of_what_may_be_lost_are_disposable(suffix: str) -> None:
    assert with_suffix(suffix).profile is DISPOSABLE


def test_the_local_cloud_is_disposable_and_has_no_profile_that_would_be_open_on_aws() -> None:
    assert with_suffix(Workspace().suffix).profile is DISPOSABLE


SHOWN = {
    "deletion_protection": "deletion protection of everything with data",
    "force_destroy": "destroying a bucket destroys the objects in it",
    "key_deletion_days": "days in which a deleted key can be restored",
    "authorization": "API",
    "firewall": "web ACL in front of the API",
    "api_access_logs": "access logs of the API",
    "throttle_rate": "requests a second, and in a burst",
    "throttle_burst": "requests a second, and in a burst",
    "api_concurrency": "executions kept for the API",
    "queue_concurrency": "concurrent invocations for each queue, ten payments each",
}
"""Each difference between environments, and its row in docs/operate.md."""

WORDS = {True: "yes", False: "no", None: "none", "AWS_IAM": "signed", "NONE": "open"}


def test_the_table_of_environments_shows_every_difference_and_no_other() -> None:
    both = (asdict(PROTECTED), asdict(DISPOSABLE))
    assert SHOWN.keys() == {name for name in both[0] if both[0][name] != both[1][name]}
    page = (ROOT / "docs/operate.md").read_text()
    for name, row in SHOWN.items():
        cells = next(line for line in page.splitlines() if line.startswith(f"| {row} |")).split("|")
        for profile, cell in zip(both, cells[2:4], strict=True):
            value = profile[name]
            assert (f"{value:,}" if type(value) is int else WORDS[value]) in cell, row


@pytest.mark.parametrize("processor", Processor)
def test_every_processor_is_the_one_that_is_deployed(processor: Processor) -> None:
    config = StackConfig.from_env({**GOOD, "PAYMENT_PROCESSOR": processor})
    assert config.processor is processor


def test_a_stranger_gets_ten_requests_a_second() -> None:
    assert (DISPOSABLE.throttle_rate, DISPOSABLE.throttle_burst) == (10, 20)


def test_the_api_keeps_executions_where_the_account_has_them() -> None:
    assert PROTECTED.api_concurrency == 100
    assert DISPOSABLE.api_concurrency is None
    # AWS reserves none of the last 100 of an account, and the check before a deployment knows.
    assert PROTECTED.api_concurrency + 100 <= limits.MINIMUM_CONCURRENCY


@pytest.mark.parametrize("suffix", ["dlq", "dlq-prod"])
def test_a_suffix_that_would_make_a_name_another_environments_is_refused(suffix: str) -> None:
    (fault,) = faults_of(ENVIRONMENT_SUFFIX=suffix)
    assert "the first word is not dlq" in fault


@pytest.mark.parametrize("suffix", ["dlqs", "dev-dlq", "adlq-1"])
def test_a_suffix_that_only_resembles_a_reserved_word_is_accepted(suffix: str) -> None:
    assert with_suffix(suffix).suffix == suffix


def test_an_open_api_can_be_kept_for_some_networks() -> None:
    allowed = "203.0.113.0/24, 198.51.100.7,2001:DB8::/32"
    assert StackConfig.from_env({**GOOD, "API_ALLOWED_CIDRS": allowed}).api_allowed_cidrs == (
        "203.0.113.0/24",
        "198.51.100.7/32",
        "2001:db8::/32",
    )


@pytest.mark.parametrize("unset", [{}, {"API_ALLOWED_CIDRS": ""}])
def test_an_open_api_is_open_to_all_networks_unless_some_are_named(unset: dict[str, str]) -> None:
    assert StackConfig.from_env({**GOOD, **unset}).api_allowed_cidrs == ()


@pytest.mark.parametrize(
    "networks",
    [
        *("203.0.113.0/33", "203.0.113.5/24", "office", "10.0.0.0/8,", ",", " ", "10.0.0.0/8;::/0"),
        ",".join(f"10.0.{number}.0/24" for number in range(101)),
    ],
)
def test_what_is_no_list_of_networks_is_refused(networks: str) -> None:
    (fault,) = faults_of(API_ALLOWED_CIDRS=networks)
    assert fault.startswith("API_ALLOWED_CIDRS is ")
    assert "such as 203.0.113.0/24,2001:db8::/32" in fault


def test_networks_for_an_api_that_takes_signatures_only_are_a_fault() -> None:
    (fault,) = faults_of(ENVIRONMENT_SUFFIX="prod", API_ALLOWED_CIDRS="203.0.113.0/24")
    assert "'prod' is a protected environment" in fault


def test_networks_are_named_together_with_what_else_is_wrong() -> None:
    faults = faults_of(AWS_REGION="", API_ALLOWED_CIDRS="office")
    assert [fault.split()[0] for fault in faults] == ["AWS_REGION", "API_ALLOWED_CIDRS"]


def test_limits_of_review_are_kept_as_they_are_written() -> None:
    limits = "USD=10000.00,JPY=1500000,EUR=0.01"
    assert StackConfig.from_env({**GOOD, "REVIEW_ABOVE": limits}).review_above == limits
    assert StackConfig.from_env(GOOD).review_above == ""


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        ("USD", "'USD' has no amount"),
        ("USD=", "'USD=' has no amount above 0"),
        ("USD=0.00", "'USD=0.00' has no amount above 0"),
        ("USD=-1", "'USD=-1' has no amount above 0"),
        ("USD=1e3", "'USD=1e3' has no amount above 0"),
        ("USD=01", "'USD=01' has no amount above 0"),
        ("USD=1,000", "'000' has no amount"),
        ("USD=1,", "'' has no amount"),
        ("USD=1, EUR=1", "' EUR=1' names no currency in use"),
        ("usd=1", "'usd=1' names no currency in use"),
        ("XXX=1", "'XXX=1' names no currency in use"),
        ("DEM=1", "'DEM=1' names no currency in use"),
        ("USD=1.001", "'USD=1.001' has more than the 2 decimals of USD"),
        ("USD=10.000", "'USD=10.000' has more than the 2 decimals of USD"),
        ("JPY=1.0", "'JPY=1.0' has more than the 0 decimals of JPY"),
        ("KWD=1.0001", "'KWD=1.0001' has more than the 3 decimals of KWD"),
        ("USD=1,USD=2", "'USD=2' names USD again"),
        (f"USD=1{'0' * 16}.00", "has more than 18 digits"),
    ],
)
def test_what_is_no_list_of_limits_is_refused(limits: str, fault: str) -> None:
    (told,) = faults_of(REVIEW_ABOVE=limits)
    assert told.startswith(f"REVIEW_ABOVE is {limits!r}: ")
    assert fault in told
    assert told.endswith("such as USD=10000.00,JPY=1500000")


def test_every_limit_at_fault_is_named() -> None:
    (told,) = faults_of(REVIEW_ABOVE="USD=1.001,EUR=5.00,XXX=1")
    assert "'USD=1.001' has" in told
    assert "'XXX=1' names" in told
    assert "EUR" not in told.partition(": ")[2]


def test_the_stack_knows_the_currencies_of_the_functions() -> None:
    assert currencies.decimals() == EXPONENTS


@pytest.mark.parametrize("code", sorted(EXPONENTS))
def test_every_limit_that_is_taken_is_one_that_the_functions_read(code: str) -> None:
    decimals = EXPONENTS[code]
    limits = f"{code}=1" + (f".{'0' * decimals}" if decimals else "")
    assert StackConfig.from_env({**GOOD, "REVIEW_ABOVE": limits}).review_above == limits
    (taken,) = ReviewLimits.read(limits)._limits.values()
    assert taken == 10**decimals


STRIPE = {"PAYMENT_PROCESSOR": "stripe"}
PARTNER = "aws.partner/stripe.com/ed_test_61TQkA"


def test_a_sandbox_stands_in_for_a_processor_unless_one_is_named() -> None:
    for unset in ({}, {"PAYMENT_PROCESSOR": ""}, {"PAYMENT_PROCESSOR": "sandbox"}):
        config = StackConfig.from_env({**GOOD, **unset})
        assert (config.processor, config.stripe, config.processor_rate) == ("sandbox", None, None)
    assert StackConfig.from_env({**GOOD, "PROCESSOR_RATE": "3"}).processor_rate == 3


def test_stripe_is_asked_for_25_payments_a_second_unless_another_rate_is_named() -> None:
    config = StackConfig.from_env({**GOOD, **STRIPE})
    assert (config.processor, config.processor_rate) == ("stripe", 25)
    assert config.stripe == StripeConfig(live=False)
    faster = StackConfig.from_env({**GOOD, **STRIPE, "PROCESSOR_RATE": "100"})
    assert faster.processor_rate == 100


@pytest.mark.parametrize(
    ("suffix", "live"),
    [("prod", True), ("prod-eu", True), ("production", True), ("staging", False), ("live", False)],
)
def test_only_what_is_called_prod_takes_real_money(suffix: str, *, live: bool) -> None:
    config = StackConfig.from_env({**GOOD, **STRIPE, "ENVIRONMENT_SUFFIX": suffix})
    assert config.stripe == StripeConfig(live=live)
    assert config.profile is PROTECTED


def test_events_and_a_stand_in_for_stripe_are_taken_as_they_are() -> None:
    named = {"STRIPE_EVENT_SOURCE": "stripe.double", "STRIPE_API_BASE": "http://localhost:12111"}
    config = StackConfig.from_env({**GOOD, **STRIPE, **named})
    assert config.stripe == StripeConfig(
        live=False, event_source="stripe.double", api_base="http://localhost:12111"
    )
    prod = {"ENVIRONMENT_SUFFIX": "prod", "STRIPE_EVENT_SOURCE": PARTNER}
    assert StackConfig.from_env({**GOOD, **STRIPE, **prod}).stripe == StripeConfig(
        live=True, event_source=PARTNER
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYMENT_PROCESSOR", "Stripe"),
        ("PAYMENT_PROCESSOR", "adyen"),
        *(("PROCESSOR_RATE", value) for value in ("0", "-1", "1.5", "1001", "fast", "\u0661")),
        *(("STRIPE_EVENT_SOURCE", value) for value in ("aws.s3", "aws.partner/x/ed_1", "a b")),
        *(("STRIPE_API_BASE", value) for value in ("localhost", "ftp://a", "http://a/v1", "")),
    ],
)
def test_a_malformed_setting_of_the_processor_is_named(name: str, value: str) -> None:
    if not value:
        assert StackConfig.from_env({**GOOD, **STRIPE, name: value}).stripe is not None
        return
    faults = faults_of(**{**STRIPE, name: value})
    assert f"{name} is {value!r}: expected " in faults[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("STRIPE_API_BASE", "https://stripe.example.com"), ("STRIPE_EVENT_SOURCE", "stripe.double")],
)
def test_nobody_stands_in_for_stripe_in_a_protected_environment(name: str, value: str) -> None:
    (fault,) = faults_of(**STRIPE, ENVIRONMENT_SUFFIX="staging", **{name: value})
    assert fault.startswith(f"{name} is {value!r}: expected ")
    assert "'staging' is a protected environment" in fault


@pytest.mark.parametrize("name", ["STRIPE_EVENT_SOURCE", "STRIPE_API_BASE"])
def test_a_setting_of_stripe_without_stripe_is_a_fault(name: str) -> None:
    value = {"STRIPE_EVENT_SOURCE": PARTNER, "STRIPE_API_BASE": "http://localhost:1"}[name]
    (fault,) = faults_of(**{name: value})
    assert (
        fault == f"{name} is {value!r}: expected nothing, because PAYMENT_PROCESSOR is not stripe"
    )


def test_protected_environments_are_hard_to_lose_and_signed() -> None:
    assert PROTECTED.deletion_protection
    assert not PROTECTED.force_destroy
    assert PROTECTED.authorization == "AWS_IAM"
    assert DISPOSABLE.authorization == "NONE"


def test_logs_are_kept_for_a_year_everywhere() -> None:
    assert PROTECTED.log_retention_days == DISPOSABLE.log_retention_days == 365


def test_the_longest_suffix_fits_into_every_name() -> None:
    """S3 takes 63 characters, IAM and Lambda 64."""
    assert len(with_suffix("a" * 20).name("payment-batch-results")) <= 63


def test_government_regions_are_another_partition() -> None:
    assert StackConfig.from_env(GOOD).partition == "aws"
    assert StackConfig.from_env({**GOOD, "AWS_REGION": "us-gov-east-1"}).partition == "aws-us-gov"


def test_main_says_what_is_wrong_and_writes_nothing(tmp_path: Path) -> None:
    outcome = run_main(tmp_path, ENVIRONMENT_SUFFIX="Dev Env", AWS_REGION="us-esat-1")
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    for name in GOOD:
        assert name in outcome.stderr
    assert list(tmp_path.iterdir()) == []
