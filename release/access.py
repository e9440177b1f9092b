"""The roles of the pipeline in one environment: a small stack, apart from what the pipeline deploys.

A person deploys it once, with the variables of the environment and ``PIPELINE_REPOSITORY``. GitHub
vouches for a job with a token, and AWS takes it for the roles of exactly one environment of one
repository, so that there is no key to keep:
https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import lib  # noqa: F401 - what must be so before CDKTF is imported

# isort: split
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.iam_policy import IamPolicy
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy_attachment import IamRolePolicyAttachment
from constructs import Construct

from lib.config import ConfigurationError, StackConfig
from lib.kit.arns import Arns
from lib.kit.iam import Statement, compact_json, policy_json
from lib.tap_stack import connect

POLICIES: Final = Path(__file__).resolve().parents[1] / "docs/policies"
ISSUER: Final = "token.actions.githubusercontent.com"
DEPLOY: Final = ("deploy-storage", "deploy-functions", "deploy-edge", "deploy-processor")
PROJECT: Final = "payment-pipeline"

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_READS = re.compile(r"[a-z0-9-]+:(?:Get|List|Describe)[A-Za-z]*|apigateway:GET")


class PipelineAccess(TerraformStack):
    """Three roles: one reads and plans, one deploys, one uses what was deployed."""

    def __init__(self, scope: Construct, id_: str, *, config: StackConfig, repository: str) -> None:
        super().__init__(scope, id_)
        connect(self, config, state_key=f"{PROJECT}/{config.suffix}/terraform.tfstate")
        account = DataAwsCallerIdentity(self, "account").account_id
        arns = Arns(partition=config.partition, region=config.region, account=account)
        deploy = {name: document(name, config=config, arns=arns) for name in DEPLOY}
        roles: dict[str, tuple[str, Mapping[str, dict[str, Any]]]] = {
            # Nobody approves a plan, so its role may change nothing.
            "plan": (f"{config.suffix}-plan", {n: reads_of(each) for n, each in deploy.items()}),
            "deploy": (config.suffix, deploy),
            "smoke": (config.suffix, {"smoke": document("smoke", config=config, arns=arns)}),
        }
        for purpose, (environment, documents) in roles.items():
            role = IamRole(
                self,
                purpose,
                name=config.name(f"{PROJECT}-{purpose}"),
                assume_role_policy=_trust(arns, repository=repository, environment=environment),
            )
            for name, policy in documents.items():
                attached = IamPolicy(
                    self,
                    f"{purpose}-{name}",
                    name=config.name(f"{PROJECT}-{purpose}-{name}"),
                    policy=compact_json(policy),
                )
                IamRolePolicyAttachment(
                    self, f"{purpose}-has-{name}", role=role.name, policy_arn=attached.arn
                )
            TerraformOutput(self, f"{purpose}_role_arn", value=role.arn)


def _trust(arns: Arns, *, repository: str, environment: str) -> str:
    """Return who may take a role: a job of this repository, in this environment of GitHub's."""
    return policy_json(
        Statement(
            sid="JobsOfOneEnvironment",
            actions=("sts:AssumeRoleWithWebIdentity",),
            principal={
                "Federated": f"arn:{arns.partition}:iam::{arns.account}:oidc-provider/{ISSUER}"
            },
            conditions={
                "StringEquals": {
                    f"{ISSUER}:aud": "sts.amazonaws.com",
                    f"{ISSUER}:sub": f"repo:{repository}:environment:{environment}",
                }
            },
        )
    )


def document(name: str, *, config: StackConfig, arns: Arns) -> dict[str, Any]:
    """Return a policy of ``docs/policies`` with its placeholders filled in."""
    text = (POLICIES / f"{name}.json").read_text()
    values = {
        "partition": arns.partition,
        "region": arns.region,
        "account": arns.account,
        "suffix": config.suffix,
        "state_bucket": config.state_bucket,
    }
    for placeholder, value in values.items():
        text = text.replace(f"{{{placeholder}}}", value)
    filled: dict[str, Any] = json.loads(text)
    return filled


def reads_of(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a policy only reads."""
    reads = (
        {**statement, "Action": [each for each in statement["Action"] if _READS.fullmatch(each)]}
        for statement in policy["Statement"]
    )
    return {**policy, "Statement": [statement for statement in reads if statement["Action"]]}


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Synthesise the roles of the environment that the environment variables name."""
    try:
        config, repository = StackConfig.from_env(environ), _repository(environ)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    synthesise(config, repository=repository)
    return 0


def _repository(environ: Mapping[str, str]) -> str:
    repository = environ.get("PIPELINE_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(repository):
        fault = (
            f"PIPELINE_REPOSITORY is {repository!r}: expected owner and name, such as acme/payments"
        )
        raise ConfigurationError([fault])
    return repository


def synthesise(config: StackConfig, *, repository: str, folder: str | None = None) -> None:
    """Write the Terraform of the roles to a folder (``cdktf.out`` by default)."""
    app = App(outdir=folder)
    PipelineAccess(app, config.name(PROJECT), config=config, repository=repository)
    app.synth()


if __name__ == "__main__":
    sys.exit(main())
