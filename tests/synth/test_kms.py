"""Whoever is documented to use the key may, nobody else may, and nothing in the policies is idle."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.synth.kms import (
    ACCOUNT,
    KEY,
    NO_KEY,
    USES,
    VIA,
    Ask,
    Policies,
    documented_asks,
    faults,
    is_allowed,
    key_mutants,
    read_policies,
    wrong_asks,
)
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")


def test_every_documented_use_of_the_key_is_allowed(stack: Stack) -> None:
    policies = read_policies(stack)
    asks = documented_asks(stack)
    assert [str(ask) for ask in asks if not is_allowed(ask, policies)] == []
    assert all(ask.page.startswith("https://docs.aws.amazon.com/") for ask in asks)


def test_every_use_by_a_wrong_principal_service_or_context_is_refused(stack: Stack) -> None:
    policies = read_policies(stack)
    assert [str(ask) for ask in wrong_asks(stack) if is_allowed(ask, policies)] == []


def test_each_statement_action_and_condition_about_the_key_is_needed(stack: Stack) -> None:
    """What the local cloud never checks: each is taken away once, and a row of the table tells."""
    asks, wrong = documented_asks(stack), list(wrong_asks(stack))
    survivors = [
        str(mutant)
        for mutant in key_mutants(read_policies(stack))
        if next(faults(asks, wrong, mutant.policies), None) is None
    ]
    assert survivors == []


def test_each_permission_about_the_key_is_taken_away_once(stack: Stack) -> None:
    removed = {str(mutant) for mutant in key_mutants(read_policies(stack))}
    name = stack.name("payment-processor")
    assert {
        "key: LogGroups without kms:Encrypt",
        "key: AlarmsToEncryptedTopic without the condition aws:SourceAccount",
        "key: AccountThroughIam without kms:GenerateDataKey",
        f"{name}: DecryptOwnVariables without all of it",
        f"{name}: UseKeyThroughServices without kms:Decrypt",
        f"{name}: UseKeyThroughServices without {VIA} = sqs.eu-central-1.amazonaws.com",
    } <= removed


def test_each_permission_of_a_role_is_known_to_ask_for_the_key_or_not_to(stack: Stack) -> None:
    known = NO_KEY.union(*(use.actions for use in USES))
    allowed = {
        action
        for policy in stack.all("aws_iam_role_policy")
        for statement in policy.statements
        for action in statement["Action"]
        if not action.startswith("kms:")
    }
    assert allowed - known == set()


def test_no_role_has_the_key_through_the_scheduler(stack: Stack) -> None:
    """Scheduler decrypts with the schedule's role in a direct call, so that could never apply.

    See https://docs.aws.amazon.com/scheduler/latest/UserGuide/encryption-rest.html
    """
    assert not any("scheduler" in value for value in _via_services(stack))
    for schedule in stack.all("aws_scheduler_schedule"):
        assert "kms_key_arn" not in schedule.attributes


def _via_services(stack: Stack) -> set[str]:
    return {
        value
        for resource in stack.with_policy
        for statement in resource.statements
        for tests in statement.get("Condition", {}).values()
        for key, values in tests.items()
        if key == VIA
        for value in values
    }


def test_events_and_uploads_invoke_functions_without_a_key(stack: Stack) -> None:
    """A rule, a bucket's notification and a schedule call Lambda; what they carry is not ours.

    See https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption.html
    """
    services = {
        statement["Principal"].get("Service") for statement in stack.one("aws_kms_key").statements
    }
    strangers = {"events.amazonaws.com", "s3.amazonaws.com", "scheduler.amazonaws.com"}
    assert services.isdisjoint(strangers)
    for rule in stack.all("aws_cloudwatch_event_rule"):
        assert "event_bus_name" not in rule.attributes


def test_access_logs_of_buckets_need_no_key(stack: Stack) -> None:
    """S3 delivers them only to a bucket with its own key.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """
    targets = {logging["target_bucket"] for logging in stack.all("aws_s3_bucket_logging")}
    encryption = {
        each["bucket"]: each["rule"][0]["apply_server_side_encryption_by_default"]
        for each in stack.all("aws_s3_bucket_server_side_encryption_configuration")
    }
    assert {encryption[target]["sse_algorithm"] for target in targets} == {"AES256"}


# --- the evaluator

ROLE = "processor"


def allow(**parts: Any) -> dict[str, Any]:
    return {"Sid": "A", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": [KEY], **parts}


ROOT = allow(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Resource=["*"])


def ask(carries: Mapping[str, str] | None = None, **changes: Any) -> Ask:
    caller = {"role": ROLE} if not {"role", "service"} & changes.keys() else {}
    return Ask(
        **{"what": "", "page": "", "action": "kms:Decrypt", **caller, **changes},
        carries=carries or {},
    )


def judged(
    the_ask: Ask, *of_role: Mapping[str, Any], of_key: tuple[Mapping[str, Any], ...] = (ROOT,)
) -> bool:
    return is_allowed(the_ask, Policies(of_key=of_key, of_roles={ROLE: of_role}))


def test_a_role_needs_the_leave_of_the_key_and_its_own() -> None:
    assert judged(ask(), allow())
    assert not judged(ask(), allow(), of_key=())
    assert not judged(ask())
    assert not judged(ask(role="stranger"), allow())


def test_a_service_needs_the_leave_of_the_key_alone() -> None:
    statement = allow(Principal={"Service": "sns.amazonaws.com"}, Resource=["*"])
    assert judged(ask(service="sns.amazonaws.com"), of_key=(statement,))
    assert not judged(ask(service="sqs.amazonaws.com"), of_key=(statement,))
    assert not judged(ask(service="sns.amazonaws.com"))


def test_a_denial_decides() -> None:
    denial = allow(Effect="Deny")
    assert not judged(ask(), allow(), denial)
    assert not judged(ask(), allow(), of_key=(ROOT, {**ROOT, "Effect": "Deny"}))


def test_another_action_or_another_key_is_not_allowed() -> None:
    assert not judged(ask(action="kms:Encrypt"), allow(Action=["kms:Encrypt"]))
    assert not judged(ask(), allow(Action=["kms:Encrypt"]))
    assert not judged(ask(), allow(Resource=[f"{KEY}-other"]))


@pytest.mark.parametrize(
    ("condition", "carries", "answer"),
    [
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, "met"),
        ({"StringEquals": {"k": "a"}}, {"k": "b"}, "not met"),
        ({"StringEquals": {"k": "a*"}}, {"k": "ab"}, "not met"),
        ({"StringEquals": {"k": "a"}}, {}, "not met"),
        ({"StringLike": {"k": "a*"}}, {"k": "ab"}, "met"),
        ({"StringLike": {"k": "a?"}}, {"k": "a"}, "not met"),
        ({"ArnLike": {"k": "arn:aws:sns:*:1:topic-*"}}, {"k": "arn:aws:sns:eu:1:topic-dev"}, "met"),
        ({"ArnLike": {"k": "arn:aws:sns:*:topic"}}, {"k": "arn:aws:sns:eu:1:topic"}, "not met"),
        (
            {"ArnEquals": {"k": "arn:aws:sns:eu:1:topic"}},
            {"k": "arn:aws:sns:eu:1:other"},
            "not met",
        ),
        ({"Null": {"k": "true"}}, {}, "met"),
        ({"Null": {"k": "false"}}, {}, "not met"),
        ({"Null": {"k": "false"}}, {"k": "a"}, "met"),
        ({"StringEquals": {"k": "a", "l": "b"}}, {"k": "a", "l": "c"}, "not met"),
    ],
)
def test_a_condition_is_met_as_iam_says(
    condition: dict[str, Any], carries: dict[str, str], answer: str
) -> None:
    assert judged(ask(carries), allow(Condition=condition)) is (answer == "met")


@pytest.mark.parametrize(
    "strange",
    [
        allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        allow(NotAction=["kms:Encrypt"]),
    ],
)
def test_what_the_evaluator_does_not_know_is_not_guessed(strange: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        judged(ask(), strange)
    with pytest.raises(NotImplementedError):
        judged(ask(), of_key=(allow(Principal={"AWS": "*"}, Resource=["*"]),))
