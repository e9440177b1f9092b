"""One way to make a role."""

from collections.abc import Sequence

from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from lib.environment import Environment
from lib.kit.iam import Conditions, Statement, policy_json


class ServiceRole(Construct):
    """A role that one AWS service assumes, with the one policy that says what it may do."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        name: str,
        service: str,
        permissions: Sequence[Statement],
        trust_conditions: Conditions | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self.role = IamRole(
            self,
            "role",
            name=environment.name(name),
            assume_role_policy=policy_json(
                Statement(
                    sid="AssumedByService",
                    actions=("sts:AssumeRole",),
                    principal={"Service": service},
                    conditions=trust_conditions or {},
                )
            ),
        )
        self.policy = IamRolePolicy(
            self,
            "policy",
            name=environment.name(name),
            role=self.role.name,
            policy=policy_json(*permissions),
        )
