"""``payments doctor``: look, before a deployment, at what would fail late in it."""

import argparse
import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import boto3
from botocore.config import Config
from rich.console import Console
from rich.text import Text

from lib.config import ConfigurationError, StackConfig
from operations import screen
from operations.checks import limits, state
from operations.checks.buckets import BUCKETS, bucket_name
from operations.checks.credentials import LOG_IN, clock, credentials
from operations.checks.findings import (
    UNREADABLE,
    Clients,
    Finding,
    Level,
    look,
    not_known,
    unseen,
)
from operations.checks.machine import machine
from operations.checks.state import Deployed
from operations.options import DONE, FAILED, NO, Commands, add_command

_EXAMPLES: Final = {
    "ENVIRONMENT_SUFFIX": "dev",
    "AWS_REGION": "eu-central-1",
    "TERRAFORM_STATE_BUCKET": "acme-terraform-state",
    "TERRAFORM_STATE_BUCKET_REGION": "eu-central-1",
}
_STYLES: Final = {
    Level.OK: "green",
    Level.WARNING: "yellow",
    Level.FAULT: "bold red",
    Level.UNSEEN: "magenta",
}


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "doctor", run, "look, before a deployment, at what would fail late in it")


def run(options: argparse.Namespace) -> int:
    """Look at the environment that the shell's variables describe; ``--env`` may name it instead."""
    named = {"ENVIRONMENT_SUFFIX": options.env} if options.env else {}
    return examine({**os.environ, **named}, everything, as_json=options.json)


def examine(
    values: Mapping[str, str],
    look_at: Callable[[Mapping[str, str]], Iterator[Finding]],
    *,
    as_json: bool,
) -> int:
    """Tell findings as they come; return 0 if nothing is wrong, 1 after a fault, 2 if it could not look."""
    findings = []
    console = screen.out()
    if not as_json:
        _show_environment(console, values)
    for finding in look_at(values):
        findings.append(finding)
        if not as_json:
            _show(console, finding)
    code = exit_code(findings)
    if as_json:
        told = [asdict(finding) for finding in findings]
        screen.document({"exit_code": code, "findings": told})
    else:
        counts = Counter(finding.level for finding in findings)
        console.print(", ".join(f"{counts[level]} {level}" for level in Level))
    return code


def exit_code(findings: Sequence[Finding]) -> int:
    """Return the exit code: a warning counts as success, a check that could not be made does not."""
    levels = {finding.level for finding in findings}
    if Level.FAULT in levels:
        return NO
    return FAILED if Level.UNSEEN in levels else DONE


def everything(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is to be said of this machine, of the variables and of the account they name."""
    yield from machine(environ)
    try:
        config = StackConfig.from_env(environ)
    except ConfigurationError as error:
        for fault in error.faults:
            name = fault.partition(" ")[0]
            yield Finding(
                about="Environment variables",
                level=Level.UNSEEN,
                found=fault,
                why="Nothing is synthesised without it, and no account can be looked at.",
                fix=f"export {name}={_EXAMPLES.get(name, '…')}",
            )
        return
    yield from account(config, _client, now=lambda: datetime.now(UTC))


def account(
    config: StackConfig, clients: Clients, *, now: Callable[[], datetime]
) -> Iterator[Finding]:
    """Yield what is to be said of the account and region that an environment goes to."""
    identity, number, answer = credentials(config, clients)
    yield identity
    if answer is not None:
        yield clock(answer, now())
    if number is None:
        yield not_known(
            "Account",
            "state bucket, logging role, quotas and bucket names are asked for with credentials",
            by_hand=LOG_IN,
        )
        return
    usable = yield from _state_bucket(config, clients)
    before = (yield from _place(config, clients, number)) if usable else None
    yield from _limits(config, clients, number)
    for base in BUCKETS:
        name = config.name(base)
        yield look(
            f"Bucket {name}",
            partial(clients, "s3", config.region),
            partial(bucket_name, config, account=number, name=name, before=before),
            by_hand=f"aws s3api head-bucket --bucket {name}",
            permission="s3:ListBucket",
        )


def _state_bucket(config: StackConfig, clients: Clients) -> Generator[Finding, None, bool]:
    """Yield what is to be said of the state bucket and return whether the state can be there."""
    client = partial(clients, "s3", config.state_bucket_region)
    for about, way, command, permission in state.CHECKS:
        finding = look(
            about,
            client,
            partial(way, config, about=about),
            by_hand=f"aws s3api {command} --bucket {config.state_bucket}",
            permission=permission,
        )
        yield finding
        if way is state.state_bucket and finding.level is not Level.OK:
            return False
    return True


def _place(
    config: StackConfig, clients: Clients, number: str
) -> Generator[Finding, None, Deployed | None]:
    """Yield whether the environment goes where it is, and return where that is, if it is known."""
    try:
        before = state.deployed(config, clients("s3", config.state_bucket_region))
    except UNREADABLE as error:
        yield unseen(
            "Account and region",
            error,
            by_hand=f"aws s3 cp s3://{config.state_bucket}/{config.state_key} -",
            permission="s3:GetObject",
        )
        return None
    yield state.place(config, number, before)
    return before


def _limits(config: StackConfig, clients: Clients, number: str) -> Iterator[Finding]:
    region = config.region
    yield look(
        "API Gateway's logging role",
        partial(clients, "apigateway", region),
        partial(limits.logging_role, config, account=number),
        by_hand=f"aws apigateway get-account --region {region} --query cloudwatchRoleArn",
        permission="apigateway:GET on /account",
    )
    yield look(
        "Lambda's concurrency",
        partial(clients, "lambda", region),
        partial(limits.lambda_concurrency, config),
        by_hand=f"aws lambda get-account-settings --region {region} --query AccountLimit",
        permission="lambda:GetAccountSettings",
    )
    try:
        quotas = clients("service-quotas", region)
        usual = limits.workflow_quotas(quotas, "list_aws_default_service_quotas")
        granted = limits.workflow_quotas(quotas, "list_service_quotas")
    except UNREADABLE as error:
        yield unseen(
            "Step Functions' quotas",
            error,
            by_hand=limits.list_workflow_quotas(config),
            permission="servicequotas:ListServiceQuotas and ListAWSDefaultServiceQuotas",
        )
        return
    for name in limits.WORKFLOW_QUOTAS:
        yield limits.workflow_quota(config, name, usual, granted)


def _client(service: str, region: str) -> Any:
    # One quick try for each check; a check without an answer is reported as such.
    patience = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 2})
    return boto3.client(service, region_name=region, config=patience)  # type: ignore[call-overload]  # any service


def _show_environment(console: Console, environ: Mapping[str, str]) -> None:
    try:
        config = StackConfig.from_env(environ)
    except ConfigurationError:
        return
    kind = "protected" if config.profile.deletion_protection else "disposable"
    endpoint = environ.get("AWS_ENDPOINT_URL")
    console.print(
        f"{config.suffix} ({kind}) in {config.region}" + (f", at {endpoint}" if endpoint else ""),
        markup=False,
    )


def _show(console: Console, finding: Finding) -> None:
    console.print(
        Text.assemble(
            (f"{finding.level:8}", _STYLES[finding.level]), f" {finding.about}: {finding.found}"
        )
    )
    if finding.level is Level.OK:
        return
    console.print(f"         {finding.why}", markup=False)
    for command in finding.fix.splitlines():
        console.print(f"           {command}", style="bold", markup=False)
