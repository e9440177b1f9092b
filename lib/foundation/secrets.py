"""The key of the payment processor. The stack makes its place and never sees its value."""

from typing import Final

from cdktf_cdktf_provider_aws.secretsmanager_secret import SecretsmanagerSecret
from constructs import Construct

from lib.environment import Environment
from lib.kit.iam import deny_plain_http, policy_json

PROCESSOR_KEY: Final = "payment-processor-key"


class ProcessorKey(Construct):
    """A secret without a value: a value in Terraform would be a value in the state.

    ``payments processor set-key`` writes it. It is encrypted with the environment's own key.
    """

    def __init__(self, scope: Construct, id_: str, *, environment: Environment) -> None:
        super().__init__(scope, id_)
        self.arn = SecretsmanagerSecret(
            self,
            "secret",
            name=environment.name(PROCESSOR_KEY),
            description="The secret or restricted key of the payment processor",
            kms_key_id=environment.key.arn,
            # A disposable environment that is built again must find the name free.
            recovery_window_in_days=30 if environment.profile.deletion_protection else 0,
            # In the policy of a secret "*" means this secret:
            # https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html
            policy=policy_json(deny_plain_http(actions=("secretsmanager:*",), resources=("*",))),
        ).arn
