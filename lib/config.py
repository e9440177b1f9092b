"""What differs between environments, and every name that follows from it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

PROJECT: Final = "payment-processing"


class ConfigurationError(Exception):
    """Environment variables are missing or malformed; ``faults`` names every one of them."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(
            "Nothing was synthesised, because of these environment variables:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
        )
        self.faults = faults


class Function(StrEnum):
    """The Lambda functions, by short name."""

    API_HANDLER = "api-handler"
    BATCH_PROCESSOR = "batch-processor"
    PAYMENT_PROCESSOR = "payment-processor"
    EVENT_PUBLISHER = "event-publisher"


class Workflow(StrEnum):
    """The Step Functions workflows, by short name."""

    PAYMENT = "payment-workflow"
    BATCH = "payment-batch-workflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a kind of environment is like. All that differs between environments is here."""

    deletion_protection: bool
    """Whether AWS refuses to delete tables, and Terraform to plan the end of anything with data.

    The first alone would leave an environment half destroyed.
    """
    force_destroy: bool
    """Whether destroying a bucket destroys the objects in it."""
    key_deletion_days: int
    """How long a deleted encryption key can still be restored (AWS allows 7 to 30)."""
    authorization: str
    """How API Gateway authorises callers: ``AWS_IAM`` (signed requests) or ``NONE``."""
    api_access_logs: bool
    """Whether the API's stage writes access logs.

    API Gateway writes them with a role that is set once for the account and its region. No
    environment owns that setting, since destroying it would silence the others: where this is
    true, the account must already have it, and a disposable environment does without.
    """
    firewall: bool
    """Whether a web ACL stands in front of the API."""
    throttle_rate: int
    """Requests a second the API takes in the long run."""
    throttle_burst: int
    """Requests the API takes at once."""
    queue_concurrency: int
    """Concurrent invocations of the payment processor for each of its queues, at most.

    Each handles up to ten payments side by side.
    """
    log_retention_days: int


PROTECTED: Final = Profile(
    deletion_protection=True,
    force_destroy=False,
    key_deletion_days=30,
    authorization="AWS_IAM",
    api_access_logs=True,
    firewall=True,
    throttle_rate=1000,
    throttle_burst=2000,
    queue_concurrency=50,
    log_retention_days=365,
)

DISPOSABLE: Final = Profile(
    deletion_protection=False,
    force_destroy=True,
    key_deletion_days=7,
    authorization="NONE",
    api_access_logs=False,
    firewall=False,
    throttle_rate=100,
    throttle_burst=200,
    queue_concurrency=8,
    log_retention_days=365,
)

PROTECTED_PREFIXES: Final = ("prod", "staging")

_SUFFIX = re.compile(r"(?=.{1,20}\Z)[a-z0-9]+(?:-[a-z0-9]+)*")
# Not China and the isolated partitions: their domain names are not the ones of our API's contract.
_REGION = re.compile(
    r"(?!cn-)[a-z]{2}(?:-gov)?"
    r"-(?:central|(?:north|south)(?:east|west)?|east|west)"
    r"-[1-9][0-9]?"
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(
    r"(?=.{3,63}\Z)(?!\d+\.\d+\.\d+\.\d+\Z)(?!.*\.\.)(?!xn--)[a-z0-9][a-z0-9.-]*[a-z0-9]"
)


# The usual form of an address, not all that RFC 5322 allows: SNS itself confirms that it works.
_EMAIL = re.compile(r"(?=.{3,254}\Z)[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_HTTPS_OR_QUEUE = re.compile(
    r"https://[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]+)?(?:/[!-~]*)?"
    r"|arn:aws(?:-us-gov)?:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}"
)


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    form: re.Pattern[str]
    expected: str
    required: bool = True


_REGION_FORM: Final = "the name of an AWS region, such as us-east-1 or eu-central-1"
_VARIABLES: Final = (
    _Variable(
        "ENVIRONMENT_SUFFIX",
        _SUFFIX,
        "1 to 20 lower-case letters and digits, in words joined by single hyphens, "
        "such as dev, staging or pr-12",
    ),
    _Variable("AWS_REGION", _REGION, _REGION_FORM),
    _Variable(
        "TERRAFORM_STATE_BUCKET",
        _BUCKET,
        "the name of the S3 bucket that holds the state: 3 to 63 lower-case letters, digits, "
        "dots and hyphens, such as acme-terraform-state",
    ),
    _Variable("TERRAFORM_STATE_BUCKET_REGION", _REGION, _REGION_FORM),
    _Variable(
        "ALARM_EMAIL", _EMAIL, "an email address, such as on-call@example.com", required=False
    ),
    _Variable(
        "PAYMENT_UPDATES_ENDPOINT",
        _HTTPS_OR_QUEUE,
        "an https URL, or the ARN of an SQS queue (not a FIFO one)",
        required=False,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """One environment: where it is, where its state is, and how everything in it is called."""

    suffix: str
    region: str
    state_bucket: str
    state_bucket_region: str
    alarm_email: str | None = None
    payment_updates_endpoint: str | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the configuration from environment variables (the process's own by default).

        Raises:
            ConfigurationError: naming every variable that is missing or malformed, and what would
                be right.
        """
        values = os.environ if environ is None else environ
        faults = [
            fault
            for variable in _VARIABLES
            if (fault := _fault_of(variable, values.get(variable.name))) is not None
        ]
        if faults:
            raise ConfigurationError(faults)
        return cls(
            suffix=values["ENVIRONMENT_SUFFIX"],
            region=values["AWS_REGION"],
            state_bucket=values["TERRAFORM_STATE_BUCKET"],
            state_bucket_region=values["TERRAFORM_STATE_BUCKET_REGION"],
            alarm_email=values.get("ALARM_EMAIL") or None,
            payment_updates_endpoint=values.get("PAYMENT_UPDATES_ENDPOINT") or None,
        )

    @property
    def profile(self) -> Profile:
        """The kind of environment this is, by its name."""
        return PROTECTED if self.suffix.startswith(PROTECTED_PREFIXES) else DISPOSABLE

    @property
    def partition(self) -> str:
        """The part of AWS the region belongs to, as ARNs spell it."""
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def state_key(self) -> str:
        """Where in the state bucket this environment's state is."""
        return f"{PROJECT}/{self.suffix}/terraform.tfstate"

    @property
    def metrics_namespace(self) -> str:
        """The CloudWatch namespace of what the functions count themselves."""
        return self.name("payments")

    @property
    def tags(self) -> dict[str, str]:
        """The tags of every resource."""
        return {"Environment": self.suffix, "Project": PROJECT, "ManagedBy": "cdktf"}

    @property
    def log_groups(self) -> tuple[str, ...]:
        """Every log group of the environment."""
        return (
            *(self.function_log_group(function) for function in Function),
            *(self.workflow_log_group(workflow) for workflow in Workflow),
            *([self.api_log_group] if self.profile.api_access_logs else []),
            *([self.firewall_log_group] if self.profile.firewall else []),
        )

    def name(self, base: str) -> str:
        """Return the name of a resource in this environment: every one ends with the suffix."""
        return f"{base}-{self.suffix}"

    def function_log_group(self, function: Function) -> str:
        """Return the log group that Lambda writes to by default."""
        return f"/aws/lambda/{self.name(function)}"

    def workflow_log_group(self, workflow: Workflow) -> str:
        """Return the log group of a workflow.

        AWS lets log groups with this prefix share one resource policy, of which an account may
        have ten: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
        """
        return f"/aws/vendedlogs/states/{self.name(workflow)}"

    @property
    def api_log_group(self) -> str:
        """The log group of the API's access logs."""
        return f"/aws/api-gateway/{self.name('payment-api')}"

    @property
    def firewall_log_group(self) -> str:
        """The log group of the web ACL.

        AWS WAF writes to no other: https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
        """
        return f"aws-waf-logs-{self.name('payment-api')}"


def _fault_of(variable: _Variable, value: str | None) -> str | None:
    if not value and not variable.required:
        return None
    if not value:
        return f"{variable.name} is not set: expected {variable.expected}"
    if variable.form.fullmatch(value) is None:
        return f"{variable.name} is {value!r}: expected {variable.expected}"
    return None
