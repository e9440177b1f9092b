"""Who can call an open API, and what keeps the API alive when others are busy."""

import pytest

from lib.config import StackConfig
from main import synthesise
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")

NETWORKS = ("203.0.113.0/24", "2001:db8::/32")


@pytest.fixture(scope="module")
def fenced(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A disposable environment whose API is for two networks."""
    folder = tmp_path_factory.mktemp("synth-fenced")
    config = StackConfig(
        suffix="dev",
        region="eu-central-1",
        state_bucket="acme-terraform-state",
        state_bucket_region="us-east-1",
        api_allowed_cidrs=NETWORKS,
    )
    synthesise(config, folder=str(folder))
    return Stack("dev", folder / "stacks" / config.name("payment-processing"))


def test_only_the_networks_that_are_named_may_call_the_api(fenced: Stack) -> None:
    policy, api = (
        fenced.one("aws_api_gateway_rest_api_policy"),
        fenced.one("aws_api_gateway_rest_api"),
    )
    assert policy["rest_api_id"] == f"${{{api.address}.id}}"
    # One allowance and no other: whatever it does not cover is denied.
    assert policy.statements == [
        {
            "Sid": "AllowedNetworks",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["execute-api:Invoke"],
            "Resource": [f"${{{api.address}.execution_arn}}/*"],
            "Condition": {"IpAddress": {"aws:SourceIp": list(NETWORKS)}},
        }
    ]


def test_the_stage_is_deployed_again_when_the_networks_change(fenced: Stack, dev: Stack) -> None:
    """A deployment keeps the policy of the moment in which it was made."""
    policy = fenced.one("aws_api_gateway_rest_api_policy")
    deployment = fenced.one("aws_api_gateway_deployment")
    assert policy.address in deployment["depends_on"]
    assert deployment["triggers"] != dev.one("aws_api_gateway_deployment")["triggers"]


def test_no_api_has_a_policy_without_networks(stack: Stack) -> None:
    assert "aws_api_gateway_rest_api_policy" not in stack.document["resource"]


def test_a_protected_api_has_executions_that_nobody_else_can_use_up(stack: Stack) -> None:
    """The payment processor has none: what it may do at once is what the account has left."""
    reserved = {
        function["function_name"]: function.attributes.get("reserved_concurrent_executions")
        for function in stack.all("aws_lambda_function")
    }
    api = stack.name("api-handler")
    assert reserved.pop(api) == (100 if stack.protected else None)
    assert set(reserved.values()) == {None}
