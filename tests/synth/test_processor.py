"""A real processor: the place of its key, who may read it, its pace, its events, its alarm."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from lib.config import DISPOSABLE, PROTECTED, StripeConfig
from lib.functions.payment_processor import consumption
from payments.runtime.settings import SETTINGS, STRIPE_SETTINGS
from tests.policies import actions, rendered
from tests.synth.conftest import synthesised
from tests.synth.terraform import Resource, Stack, denies_plain_http

pytestmark = pytest.mark.xdist_group("synth")

SOURCE = "aws.partner/stripe.com/ed_test_61TQkA"
OWN_SOURCE = "stripe.double"
RUNBOOK = Path(__file__).parents[2] / "docs/runbook.md"


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A protected environment with Stripe's test mode."""
    stripe = StripeConfig(live=False, event_source=SOURCE)
    folder = tmp_path_factory.mktemp("synth-staging")
    return synthesised("staging", folder, stripe=stripe, processor_rate=25)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A disposable environment with a stand-in for Stripe."""
    stripe = StripeConfig(live=False, event_source=OWN_SOURCE, api_base="http://localhost:1")
    folder = tmp_path_factory.mktemp("synth-local")
    return synthesised("local", folder, stripe=stripe, processor_rate=1)


def test_without_a_processor_there_is_nothing_of_it(stack: Stack) -> None:
    types = {resource.type for resource in stack.resources}
    assert not types & {"aws_secretsmanager_secret", "aws_cloudwatch_event_bus"}
    for name in ("api-handler", "batch-processor", "payment-processor"):
        variables = stack.function(name)["environment"]["variables"]
        assert variables["PAYMENT_PROCESSOR"] == "sandbox"


@pytest.mark.parametrize("name", SETTINGS)
def test_functions_get_the_variables_that_their_code_reads(staging: Stack, name: str) -> None:
    variables = staging.function(name)["environment"]["variables"]
    assert set(variables) == SETTINGS[name] | STRIPE_SETTINGS.get(name, frozenset())
    assert variables.get("PAYMENT_PROCESSOR", "stripe") == "stripe"


def test_whoever_deploys_may_make_what_stripe_needs(staging: Stack, local: Stack) -> None:
    for stack, suffix in ((staging, "staging"), (local, "local")):
        allowed = [
            pattern.split(":", maxsplit=5)[-1]
            for statement in rendered("deploy-processor", suffix=suffix)["Statement"]
            for pattern in statement["Resource"]
        ]
        [secret] = stack.all("aws_secretsmanager_secret")
        [bus] = stack.all("aws_cloudwatch_event_bus")
        name = f"payment-processor-events-{suffix}"
        for resource in (
            # Secrets Manager adds six characters.
            f"secret:{secret['name']}-AbCdEf",
            f"event-bus/{bus['name']}",
            f"rule/{bus['name']}/{name}",
        ):
            assert any(fnmatchcase(resource, pattern) for pattern in allowed), resource
        assert name in {rule["name"] for rule in stack.all("aws_cloudwatch_event_rule")}
    assert "secretsmanager:GetSecretValue" not in actions("deploy-processor")


def test_a_stand_in_for_stripe_is_named_only_where_it_is_configured(
    staging: Stack, local: Stack
) -> None:
    stood_in = local.function("payment-processor")["environment"]["variables"]
    assert stood_in["STRIPE_API_BASE"] == "http://localhost:1"
    assert "STRIPE_API_BASE" not in json.dumps(staging.document)


def test_the_key_is_a_secret_without_a_value_under_the_environments_own_key(
    staging: Stack, local: Stack
) -> None:
    for stack, days in ((staging, 30), (local, 0)):
        secret = stack.one("aws_secretsmanager_secret")
        assert secret["name"] == stack.name("payment-processor-key")
        assert secret["kms_key_id"] == f"${{{stack.one('aws_kms_key').address}.arn}}"
        assert secret["recovery_window_in_days"] == days
        (statement,) = json.loads(secret["policy"])["Statement"]
        assert denies_plain_http(statement)
        assert "aws_secretsmanager_secret_version" not in stack.document["resource"]


def test_only_the_payment_processor_may_read_the_key(staging: Stack) -> None:
    secret = staging.one("aws_secretsmanager_secret")
    readers = {
        policy["name"]: (statement["Action"], statement["Resource"])
        for policy in staging.all("aws_iam_role_policy")
        for statement in policy.statements
        if any(action.startswith("secretsmanager:") for action in statement["Action"])
    }
    assert readers == {
        staging.name("payment-processor"): (
            ["secretsmanager:GetSecretValue"],
            [f"${{{secret.address}.arn}}"],
        )
    }


def test_it_may_decrypt_what_secrets_manager_keeps(staging: Stack) -> None:
    policy = staging.one("aws_iam_role_policy", name=staging.name("payment-processor"))
    (use,) = (each for each in policy.statements if each["Sid"] == "UseKeyThroughServices")
    services = use["Condition"]["StringEquals"]["kms:ViaService"]
    assert "secretsmanager.eu-central-1.amazonaws.com" in services
    assert "kms:Decrypt" in use["Action"]


@pytest.mark.parametrize("profile", [PROTECTED, DISPOSABLE])
@pytest.mark.parametrize("rate", [1, 2, 3, 7, 10, 25, 26, 100, 1000])
def test_messages_in_hand_keep_the_processor_at_work_and_wait_a_few_seconds(
    profile: object, rate: int
) -> None:
    batch, concurrency = consumption(profile, rate)  # type: ignore[arg-type]  # both are profiles
    assert 1 <= batch <= 10
    assert 2 <= concurrency <= profile.queue_concurrency  # type: ignore[attr-defined]
    # Both queues are full: the last message of the last invocation has its turn in time.
    assert 2 * batch * concurrency / rate <= 7
    # One queue is full: its messages are enough for two seconds, unless the profile says less.
    assert batch * concurrency >= min(2 * rate, 10 * profile.queue_concurrency)  # type: ignore[attr-defined]


def test_without_a_rate_consumers_are_bound_by_the_profile_alone() -> None:
    assert consumption(PROTECTED, None) == (10, 50)


def test_both_queues_are_read_at_the_processors_pace(staging: Stack, local: Stack) -> None:
    for stack, batch, concurrency in ((staging, 9, 8), (local, 1, 2)):
        mappings = [
            mapping
            for mapping in stack.all("aws_lambda_event_source_mapping")
            if "scaling_config" in mapping.attributes
        ]
        assert len(mappings) == 2
        for mapping in mappings:
            assert mapping["batch_size"] == batch
            assert mapping["scaling_config"] == {"maximum_concurrency": concurrency}


def _rule_of(stack: Stack, bus: Resource) -> Resource:
    return stack.one("aws_cloudwatch_event_rule", event_bus_name=f"${{{bus.address}.name}}")


def test_stripes_events_wake_the_payment_processor(staging: Stack, local: Stack) -> None:
    for stack, source in ((staging, SOURCE), (local, OWN_SOURCE)):
        bus = stack.one("aws_cloudwatch_event_bus")
        rule = _rule_of(stack, bus)
        pattern = json.loads(rule["event_pattern"])
        assert pattern["source"] == [source]
        assert "payment_intent.succeeded" in pattern["detail-type"]
        target = stack.one("aws_cloudwatch_event_target", rule=f"${{{rule.address}.name}}")
        assert target["event_bus_name"] == f"${{{bus.address}.name}}"
        assert target["arn"] == f"${{{stack.alias('payment-processor').address}.arn}}"
        permission = stack.one("aws_lambda_permission", source_arn=f"${{{rule.address}.arn}}")
        assert permission["principal"] == "events.amazonaws.com"
    assert staging.one("aws_cloudwatch_event_bus")["event_source_name"] == SOURCE
    assert staging.one("aws_cloudwatch_event_bus")["name"] == SOURCE
    own = local.one("aws_cloudwatch_event_bus")
    assert "event_source_name" not in own.attributes
    assert own["name"] == "payment-processor-events-local"


def test_on_call_is_told_when_the_processor_refuses_us(staging: Stack) -> None:
    alarm = staging.one(
        "aws_cloudwatch_metric_alarm", alarm_name=staging.name("payment-processor-refusals")
    )
    assert (alarm["metric_name"], alarm["threshold"], alarm["period"]) == (
        "ProcessorRefusals",
        1,
        300,
    )
    assert alarm["dimensions"] == {"service": "payment-processor"}
    assert len(alarm["alarm_description"]) <= 1024
    sections = set(re.findall(r'<a id="([a-z0-9-]+)"></a>', RUNBOOK.read_text()))
    assert "payment-processor-refusals" in sections
