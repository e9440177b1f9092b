"""What differs between environments, and every name that follows from it."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_network
from typing import Final, Self

from lib.currencies import decimals

PROJECT: Final = "payment-processing"
VERSION: Final = "1.0.0"
"""The release that this code is, or becomes: the one place where it is written. CHANGELOG.md has a
section for each, and ``tests/releases`` what each wrote."""


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
    """Requests that the API takes in one burst."""
    api_concurrency: int | None
    """Executions that Lambda keeps for the API, and more than which it never gives it.

    Without them, payments that wait for a slow processor could take all that the account has, and
    the API would refuse what it could still queue. They are missing to all others, and AWS wants
    100 left for these, so only environments whose account was made for it keep some.
    """
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
    # As many as the rate takes when an answer takes a tenth of a second.
    api_concurrency=100,
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
    # Anybody can call an open API. This much, all month long, is on the page of costs.
    throttle_rate=10,
    throttle_burst=20,
    api_concurrency=None,
    queue_concurrency=8,
    log_retention_days=365,
)

LOCAL: Final = "local"
"""The environment in the local cloud."""

_DISPOSABLE_NAMES = re.compile(rf"(?:dev|test).*|pr-.+|{LOCAL}")

RESERVED_WORDS: Final = ("dlq",)
"""What some names end in, besides the suffix: no suffix begins with them.

The queue ``payment-events`` of an environment ``dlq-prod`` would be called
``payment-events-dlq-prod``, as prod's dead-letter queue is.
"""

MOST_NETWORKS: Final = 100
"""A policy of an API may be 8 KiB long:
https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"""

_SUFFIX = re.compile(
    rf"(?=.{{1,20}}\Z)(?!(?:{'|'.join(RESERVED_WORDS)})(?:-|\Z))[a-z0-9]+(?:-[a-z0-9]+)*"
)
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


def _networks(value: str) -> tuple[str, ...]:
    """Return the networks that a list names; nothing if one of them is none."""
    try:
        found = tuple(str(ip_network(each.strip())) for each in value.split(","))
    except ValueError:
        return ()
    return found if len(found) <= MOST_NETWORKS else ()


_LIMIT_AMOUNT: Final = re.compile(r"(?=[0-9.]*[1-9])(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_MOST_DIGITS: Final = 18
"""What the functions take: it fits in 64 bits."""


def _limit_faults(value: str) -> list[str]:
    """Return what is wrong with a list of limits, such as ``USD=10000.00,JPY=1500000``.

    The functions would refuse to start with it, and nothing would be charged.
    """
    known, seen, faults = decimals(), set[str](), []
    for part in value.split(","):
        code, sign, text = part.partition("=")
        amount = _LIMIT_AMOUNT.fullmatch(text)
        if not sign:
            fault = "has no amount"
        elif code not in known:
            fault = "names no currency in use"
        elif amount is None:
            fault = "has no amount above 0"
        # Zeros at the end count, too: where a point separates thousands, 10.000 are many.
        elif len(amount[2] or "") > known[code]:
            fault = f"has more than the {known[code]} decimals of {code}"
        elif len(amount[1]) + known[code] > _MOST_DIGITS:
            fault = f"has more than {_MOST_DIGITS} digits in the smallest unit of {code}"
        elif code in seen:
            fault = f"names {code} again"
        else:
            seen.add(code)
            continue
        faults.append(f"{part!r} {fault}")
    return faults


# A partner event source as Stripe names it, or a source of one's own, which no AWS service sends as:
# https://docs.stripe.com/event-destinations/eventbridge
_PARTNER_SOURCE: Final = re.compile(r"aws\.partner/stripe\.com/[A-Za-z0-9_-]{1,200}")
_OWN_SOURCE: Final = re.compile(r"(?!aws)[a-z0-9.-]{1,200}")
_BASE_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?")

STRIPE_RATE: Final = 25
"""Payments a second that Stripe takes, unless it says otherwise: an endpoint takes 25 requests a
second (https://docs.stripe.com/rate-limits), and each payment asks two endpoints once."""

MOST_RATE: Final = 1000
"""Turns are handed out by one item of a table, and a key takes 1,000 writes a second."""


class Processor(StrEnum):
    """Who charges."""

    SANDBOX = "sandbox"
    STRIPE = "stripe"


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeConfig:
    """How an environment and Stripe work together."""

    live: bool
    """Whether it takes real money."""
    event_source: str | None = None
    """The EventBridge source of Stripe's events."""
    api_base: str | None = None
    """Where a stand-in for Stripe's API is."""


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    is_right: Callable[[str], object]
    expected: str
    required: bool = True


_REGION_FORM: Final = "the name of an AWS region, such as us-east-1 or eu-central-1"
_VARIABLES: Final = (
    _Variable(
        "ENVIRONMENT_SUFFIX",
        _SUFFIX.fullmatch,
        "1 to 20 lower-case letters and digits, in words joined by single hyphens, "
        f"such as dev, staging or pr-12; the first word is not {' or '.join(RESERVED_WORDS)}",
    ),
    _Variable("AWS_REGION", _REGION.fullmatch, _REGION_FORM),
    _Variable(
        "TERRAFORM_STATE_BUCKET",
        _BUCKET.fullmatch,
        "the name of the S3 bucket that holds the state: 3 to 63 lower-case letters, digits, "
        "dots and hyphens, such as acme-terraform-state",
    ),
    _Variable("TERRAFORM_STATE_BUCKET_REGION", _REGION.fullmatch, _REGION_FORM),
    _Variable(
        "ALARM_EMAIL",
        _EMAIL.fullmatch,
        "an email address, such as on-call@example.com",
        required=False,
    ),
    _Variable(
        "PAYMENT_UPDATES_ENDPOINT",
        _HTTPS_OR_QUEUE.fullmatch,
        "an https URL, or the ARN of an SQS queue (not a FIFO one)",
        required=False,
    ),
    _Variable(
        "API_ALLOWED_CIDRS",
        _networks,
        f"1 to {MOST_NETWORKS} networks, each by its first address and the length of its prefix, "
        "joined by commas, such as 203.0.113.0/24,2001:db8::/32",
        required=False,
    ),
    _Variable(
        "PAYMENT_PROCESSOR",
        lambda value: value in set(Processor),
        " or ".join(Processor),
        required=False,
    ),
    _Variable(
        "PROCESSOR_RATE",
        lambda value: value.isascii() and value.isdecimal() and 1 <= int(value) <= MOST_RATE,
        f"how many payments a second the processor takes, from 1 to {MOST_RATE}",
        required=False,
    ),
    _Variable(
        "STRIPE_EVENT_SOURCE",
        lambda value: _PARTNER_SOURCE.fullmatch(value) or _OWN_SOURCE.fullmatch(value),
        "the name of Stripe's partner event source, such as aws.partner/stripe.com/ed_123",
        required=False,
    ),
    _Variable(
        "STRIPE_API_BASE",
        _BASE_URL.fullmatch,
        "the URL of a stand-in for Stripe's API, without a path, such as https://localhost:12111",
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
    review_above: str = ""
    """Above which amounts payments wait for a second person; empty means that none waits."""
    api_allowed_cidrs: tuple[str, ...] = ()
    """The networks that may reach the open API; none named means all."""
    processor_rate: int | None = None
    """Payments a second that the processor is asked for, at most; ``None``: as many as there are."""
    stripe: StripeConfig | None = None
    """``None``: the sandbox stands in for a processor."""

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
        suffix, networks = values.get("ENVIRONMENT_SUFFIX", ""), values.get("API_ALLOWED_CIDRS")
        if networks and suffix and is_protected(suffix):
            faults.append(
                f"API_ALLOWED_CIDRS is {networks!r}: expected nothing, because {suffix!r} is a "
                "protected environment, whose API takes signed requests only"
            )
        limits = values.get("REVIEW_ABOVE") or ""
        if limits and (wrong := _limit_faults(limits)):
            faults.append(
                f"REVIEW_ABOVE is {limits!r}: {'; '.join(wrong)}; expected an amount for each of "
                "some currencies, joined by commas, such as USD=10000.00,JPY=1500000"
            )
        faults.extend(_processor_faults(values, suffix))
        if faults:
            raise ConfigurationError(faults)
        stripe, rate = None, values.get("PROCESSOR_RATE")
        if values.get("PAYMENT_PROCESSOR") == Processor.STRIPE:
            rate = rate or str(STRIPE_RATE)
            stripe = StripeConfig(
                live=takes_real_money(suffix),
                event_source=values.get("STRIPE_EVENT_SOURCE") or None,
                api_base=values.get("STRIPE_API_BASE") or None,
            )
        return cls(
            suffix=suffix,
            region=values["AWS_REGION"],
            state_bucket=values["TERRAFORM_STATE_BUCKET"],
            state_bucket_region=values["TERRAFORM_STATE_BUCKET_REGION"],
            alarm_email=values.get("ALARM_EMAIL") or None,
            payment_updates_endpoint=values.get("PAYMENT_UPDATES_ENDPOINT") or None,
            review_above=limits,
            api_allowed_cidrs=_networks(networks) if networks else (),
            processor_rate=int(rate) if rate else None,
            stripe=stripe,
        )

    @property
    def profile(self) -> Profile:
        """The kind of environment this is, by its name."""
        return PROTECTED if is_protected(self.suffix) else DISPOSABLE

    @property
    def processor(self) -> Processor:
        """Who charges."""
        return Processor.SANDBOX if self.stripe is None else Processor.STRIPE

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


def is_suffix(text: str) -> bool:
    """Say whether an environment may have this name."""
    return _SUFFIX.fullmatch(text) is not None


def is_protected(suffix: str) -> bool:
    """Whether an environment is protected, as all are whose names do not say otherwise."""
    return _DISPOSABLE_NAMES.fullmatch(suffix) is None


def takes_real_money(suffix: str) -> bool:
    """Whether an environment has a live key of its processor: only those that are called prod."""
    return suffix.startswith("prod")


def _processor_faults(values: Mapping[str, str], suffix: str) -> list[str]:
    """Return which settings of a processor are none of this environment's."""
    faults = []
    for name in ("STRIPE_EVENT_SOURCE", "STRIPE_API_BASE"):
        value = values.get(name)
        if value and values.get("PAYMENT_PROCESSOR") != Processor.STRIPE:
            faults.append(
                f"{name} is {value!r}: expected nothing, because PAYMENT_PROCESSOR is not "
                f"{Processor.STRIPE}"
            )
    if not suffix or not is_protected(suffix):
        return faults
    base, source = values.get("STRIPE_API_BASE"), values.get("STRIPE_EVENT_SOURCE")
    if base:
        # Whoever may set a variable could have the key sent to himself.
        faults.append(
            f"STRIPE_API_BASE is {base!r}: expected nothing, because {suffix!r} is a protected "
            "environment, which calls Stripe itself"
        )
    if source and _OWN_SOURCE.fullmatch(source):
        faults.append(
            f"STRIPE_EVENT_SOURCE is {source!r}: expected a partner event source, because "
            f"{suffix!r} is a protected environment"
        )
    return faults


def _fault_of(variable: _Variable, value: str | None) -> str | None:
    if not value and not variable.required:
        return None
    if not value:
        return f"{variable.name} is not set: expected {variable.expected}"
    if not variable.is_right(value):
        return f"{variable.name} is {value!r}: expected {variable.expected}"
    return None
