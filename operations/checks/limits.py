"""What the account and its region allow: logs of API Gateway, Lambda, Step Functions."""

from typing import Any, Final

from lib.config import StackConfig
from operations.checks.findings import Finding, Level, must, not_known, ok

MINIMUM_CONCURRENCY: Final = 200
"""Lambda keeps 100 executions unreserved, and the API and the queue need as many beside them.

New accounts begin with far fewer: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

USUAL_CONCURRENCY: Final = 1000
CONCURRENCY_QUOTA: Final = "L-B99A9384"

WORKFLOW_QUOTAS: Final = {
    "StartExecution throttle token refill rate per second": (
        "All environments of the account share it; starts beyond it are refused, and what waits"
        " for a workflow waits longer."
    ),
    "StateTransition throttle token refill rate per second": (
        "Workflows slow down beyond it. New accounts begin below the default, and AWS raises it"
        " only with use."
    ),
}
"""The quotas of Step Functions by the names that Service Quotas gives them, and what each limits.

https://docs.aws.amazon.com/general/latest/gr/step-functions.html
"""


def logging_role(config: StackConfig, gateway: Any, *, account: str) -> Finding:
    """Look whether API Gateway may write logs, which is set once for an account and region."""
    about = "API Gateway's logging role"
    role = gateway.get_account().get("cloudwatchRoleArn")
    if role:
        return ok(about, role)
    if not config.profile.api_access_logs:
        return ok(about, f"none, and {config.suffix} needs none: it writes no access logs")
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":'
        '{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
    )
    name, partition = "api-gateway-logs", config.partition
    return Finding(
        about=about,
        level=Level.FAULT,
        found=f"none in account {account} and {config.region}",
        why="The stage's access logs need it; without it, the deployment fails near its end.",
        fix=f"aws iam create-role --role-name {name} --assume-role-policy-document '{trust}'\n"
        f"aws iam attach-role-policy --role-name {name} --policy-arn"
        f" arn:{partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs\n"
        "sleep 15 # until IAM knows it everywhere\n"
        f"aws apigateway update-account --region {config.region} --patch-operations"
        f" op=replace,path=/cloudwatchRoleArn,value=arn:{partition}:iam::{account}:role/{name}",
    )


def lambda_concurrency(config: StackConfig, functions: Any) -> Finding:
    """Look how many executions Lambda runs side by side in this account and region."""
    about = "Lambda's concurrency"
    limit = int(functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"])
    if limit >= MINIMUM_CONCURRENCY:
        return ok(about, f"{limit} executions")
    return Finding(
        about=about,
        level=must(config),
        found=f"{limit} executions, and {MINIMUM_CONCURRENCY} are the least",
        why="All functions of the account share them: Lambda refuses to reserve any for the API,"
        " or refuses to run functions under load.",
        fix=_raise_quota(config, "lambda", CONCURRENCY_QUOTA, USUAL_CONCURRENCY),
    )


type Quotas = dict[str, tuple[str, float]]
"""Code and value of each quota, by name."""


def workflow_quotas(quotas: Any, operation: str) -> Quotas:
    """Return the quotas of Step Functions as one operation of Service Quotas lists them.

    Args:
        quotas: client of Service Quotas.
        operation: ``list_service_quotas``, for those that were ever changed in the account, or
            ``list_aws_default_service_quotas``.
    """
    pages = quotas.get_paginator(operation).paginate(ServiceCode="states")
    return {
        quota["QuotaName"]: (str(quota["QuotaCode"]), float(quota["Value"]))
        for page in pages
        for quota in page["Quotas"]
    }


def workflow_quota(config: StackConfig, name: str, usual: Quotas, granted: Quotas) -> Finding:
    """Compare what a quota of Step Functions is in this account with AWS's default here.

    Args:
        config: the environment.
        name: the quota, one of ``WORKFLOW_QUOTAS``.
        usual: AWS's defaults in the region.
        granted: what was changed for the account.
    """
    about = f"Step Functions: {name.partition(' ')[0]}"
    if name not in usual:
        return not_known(
            about, f"Service Quotas names no {name!r}", by_hand=list_workflow_quotas(config)
        )
    code, default = usual[name]
    _, value = granted.get(name, usual[name])
    figures = f"{value:g} a second ({name}), and AWS's default in {config.region} is {default:g}"
    if value >= default:
        return ok(about, figures)
    return Finding(
        about=about,
        level=Level.WARNING,
        found=figures,
        why=WORKFLOW_QUOTAS[name],
        fix=_raise_quota(config, "states", code, default),
    )


def list_workflow_quotas(config: StackConfig) -> str:
    """Return the command that shows the quotas of Step Functions."""
    return (
        f"aws service-quotas list-aws-default-service-quotas --region {config.region}"
        " --service-code states --query 'Quotas[].[QuotaName,Value]' --output text"
    )


def _raise_quota(config: StackConfig, service: str, code: str, value: float) -> str:
    return (
        f"aws service-quotas request-service-quota-increase --region {config.region}"
        f" --service-code {service} --quota-code {code} --desired-value {value:g}"
    )
