"""The gate: what it says of small plans, of real ones, and of every type of resource we have."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from release.gate import accepted
from release.gate.__main__ import (
    APPLY,
    NOT_JUDGED,
    REFUSED,
    SECOND_PERSON,
    exit_code,
    explained,
    main,
)
from release.gate.plan import UnreadablePlanError, read
from release.gate.rules import Finding, Verdict, judge
from release.gate.safeguards import GUARDS, KEPT, POLICIES, SAFEGUARDS
from tests.releases import plans
from tests.synth.conftest import synthesised
from tests.synth.terraform import POLICY_ATTRIBUTES

TABLE = "aws_dynamodb_table"
QUEUE_ARN = "arn:aws:sqs:eu-central-1:123456789012:payment-events-dev"


def resource(
    type_: str,
    *actions: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    unknown: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "address": f"{type_}.it",
        "mode": "managed",
        "type": type_,
        "name": "it",
        "change": {
            "actions": list(actions),
            "before": before,
            "after": after,
            "after_unknown": unknown or {},
            **more,
        },
    }


def plan(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"format_version": "1.2", "resource_changes": list(resources)}


def said(*resources: dict[str, Any], verdict: Verdict | None = None) -> list[str]:
    """Return the sentences about a plan of these resources, of one verdict or of all."""
    found = judge(read(plan(*resources)))
    return [each.sentence for each in found if verdict in {None, each.verdict}]


def refused(*resources: dict[str, Any]) -> list[str]:
    return said(*resources, verdict=Verdict.REFUSED)


def for_two(*resources: dict[str, Any]) -> list[str]:
    return said(*resources, verdict=Verdict.SECOND_PERSON)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, on: str = QUEUE_ARN, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": [on], **more}


def deny(*actions: str, on: str = QUEUE_ARN, **more: Any) -> dict[str, Any]:
    return {**allow(*actions, on=on, **more), "Effect": "Deny"}


def role(before: str | None, after: str | None, **more: Any) -> dict[str, Any]:
    named = {"name": "api-handler-dev", "role": "api-handler-dev"}
    return resource(
        "aws_iam_role_policy",
        "update",
        before={**named, "policy": before},
        after={**named, "policy": after},
        **more,
    )


def queue(before: str | None, after: str | None) -> dict[str, Any]:
    named = {"name": "payment-events-dev"}
    return resource(
        "aws_sqs_queue",
        "update",
        before={**named, "policy": before},
        after={**named, "policy": after},
    )


# --- what would be lost


@pytest.mark.parametrize("type_", KEPT)
@pytest.mark.parametrize(
    ("actions", "fate"),
    [
        (("delete",), "deleted"),
        (("delete", "create"), "replaced"),
        (("create", "delete"), "replaced"),
        (("forget",), "forgotten by Terraform"),
    ],
)
def test_what_holds_data_never_ends(type_: str, actions: tuple[str, ...], fate: str) -> None:
    after = {"name": "other"} if "create" in actions else None
    (sentence,) = refused(resource(type_, *actions, before={"name": "it-dev"}, after=after))
    word, loss = KEPT[type_]
    assert sentence == f"The {word} it-dev would be {fate}: {loss}."


def test_a_replacement_says_what_causes_it() -> None:
    (sentence,) = refused(
        resource(
            *(TABLE, "delete", "create"),
            before={"name": "payments-dev"},
            after={"name": "orders-dev"},
            replace_paths=[["name"], ["attribute", 0, "type"]],
        )
    )
    assert "payments-dev would be replaced, because of name, attribute.0.type:" in sentence


@pytest.mark.parametrize("type_", GUARDS)
def test_what_guards_is_not_taken_away(type_: str) -> None:
    (sentence,) = refused(resource(type_, "delete", before={"name": "it-dev"}))
    assert GUARDS[type_] in sentence


@pytest.mark.parametrize("type_", sorted(GUARDS.keys() - POLICIES.keys()))
def test_what_guards_may_be_replaced(type_: str) -> None:
    assert not refused(resource(type_, "delete", "create", before={"name": "it"}, after={}))


def test_a_role_may_go_with_its_policy() -> None:
    attached = {"name": "old-dev", "role": "old-dev", "policy": policy(allow("sqs:SendMessage"))}
    trust = policy(allow("sts:AssumeRole", Principal={"Service": "lambda.amazonaws.com"}))
    ends = (
        resource("aws_iam_role_policy", "delete", before=attached),
        resource("aws_iam_role", "delete", before={"name": "old-dev", "assume_role_policy": trust}),
    )
    assert not refused(*ends)
    assert refused(ends[0])


def test_what_every_deployment_makes_anew_is_only_noted() -> None:
    layer = resource("aws_lambda_layer_version", "create", "delete", before={}, after={})
    assert exit_code(judge(read(plan(layer)))) == APPLY
    function = resource("aws_lambda_function", "delete", before={"function_name": "old-dev"})
    assert for_two(function) == ["The lambda function old-dev would be deleted."]


def test_an_index_stays_as_long_as_somebody_may_ask_it() -> None:
    index = {"name": "by-time", "hash_key": "shard", "range_key": "at"}

    def table(before: list[dict[str, str]], after: list[dict[str, str]]) -> dict[str, Any]:
        return resource(
            *(TABLE, "update"),
            before={"name": "payments-dev", "global_secondary_index": before},
            after={"name": "payments-dev", "global_secondary_index": after},
        )

    assert refused(table([index], [])) == [
        "The index by-time of the table payments-dev would be lost: what is running asks it."
    ]
    assert refused(table([index], [{**index, "range_key": "other"}]))
    assert not refused(table([index], [index, {**index, "name": "more"}]))
    assert not for_two(table([index], [index, {**index, "name": "more"}]))
    assert for_two(table([], [index, {**index, "name": "more"}]))


# --- settings


UNSAFE: dict[str, tuple[Any, Any]] = {
    "access_log_settings.0.destination_arn": ("arn:aws:logs:…", None),
    "authorization": ("AWS_IAM", "NONE"),
    "deletion_window_in_days": (30, 7),
    "destination_config.0.on_failure.0.destination": (QUEUE_ARN, ""),
    "force_destroy": (False, True),
    "function_response_types": (["ReportBatchItemFailures"], []),
    "message_retention_seconds": (1_209_600, 60),
    "recovery_window_in_days": (30, 0),
    "redrive_policy": ("{}", None),
    "retention_in_days": (0, 365),
    "rule.0.apply_server_side_encryption_by_default.0.sse_algorithm": ("aws:kms", "AES256"),
    "rule.0.expiration.0.days": (400, 30),
    "rule.0.noncurrent_version_expiration.0.noncurrent_days": (90, 1),
    "rule.0.object_ownership": ("BucketOwnerEnforced", "ObjectWriter"),
    "state": ("ENABLED", "DISABLED"),
    "ttl.0.enabled": (False, True),
    "versioning_configuration.0.status": ("Enabled", "Suspended"),
}
"""A value of each setting, and one that must not follow it; the others are switches or ARNs."""


def nested(path: str, value: Any) -> Any:
    step, _, rest = path.partition(".")
    inner = nested(rest, value) if rest else value
    return [inner] if step == "0" else {step: inner}


@pytest.mark.parametrize("safeguard", SAFEGUARDS, ids=lambda each: f"{each.type}.{each.path}")
def test_a_safeguard_is_not_given_up(safeguard: Any) -> None:
    is_arn = safeguard.path.endswith(("_arn", "_id", "_boundary"))
    usual = ("arn:aws:…", None) if is_arn else (True, False)
    good, bad = UNSAFE.get(safeguard.path, usual)

    def set_to(before: Any, after: Any, **more: Any) -> list[str]:
        return refused(
            resource(
                *(safeguard.type, "update"),
                before={"name": "it-dev", **nested(safeguard.path, before)},
                after={"name": "it-dev", **nested(safeguard.path, after)},
                **more,
            )
        )

    (sentence,) = set_to(good, bad)
    assert safeguard.harm in sentence
    assert not set_to(good, good)
    assert not set_to(bad, good)
    assert not set_to(good, None, unknown=nested(safeguard.path, value=True))


# --- policies


def test_an_emptied_policy_is_refused() -> None:
    full = policy(allow("sqs:SendMessage"))
    for empty in ("", None, policy(), "{}"):
        assert refused(role(full, empty)) == [
            "The iam role policy api-handler-dev would be emptied."
        ]


def test_a_deleted_policy_of_a_bucket_is_refused() -> None:
    bucket = resource(
        "aws_s3_bucket_policy",
        "delete",
        before={"bucket": "payment-batch-files-dev", "policy": policy(deny("s3:*"))},
    )
    assert refused(bucket) == ["The s3 bucket policy payment-batch-files-dev would be deleted."]


def test_a_denial_is_neither_lost_nor_narrowed() -> None:
    plain_http = {"Bool": {"aws:SecureTransport": "false"}}
    tls = deny("sqs:*", Principal={"AWS": "*"}, Condition=plain_http)
    other = allow("sqs:SendMessage", Principal={"Service": "sns.amazonaws.com"})
    for weaker in (
        policy(other),
        policy(other, {**tls, "Action": ["sqs:SendMessage"]}),
        policy(other, {**tls, "Resource": [f"{QUEUE_ARN}-other"]}),
        policy(other, {**tls, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}),
        policy(
            other, {**tls, "Condition": {**plain_http, "StringEquals": {"aws:ResourceTag/a": "b"}}}
        ),
    ):
        (sentence,) = refused(queue(policy(tls, other), weaker))
        assert sentence.startswith("The sqs queue payment-events-dev would no longer deny sqs:*")
    assert not refused(queue(policy(tls, other), policy(other, deny("*", Principal="*", on="*"))))


def test_a_longer_list_of_networks_weakens_a_denial_of_all_others() -> None:
    def networks(*cidrs: str) -> str:
        return policy(
            deny(
                "execute-api:Invoke",
                Principal="*",
                Condition={"NotIpAddress": {"aws:SourceIp": list(cidrs)}},
            )
        )

    few, many = networks("192.0.2.0/24"), networks("192.0.2.0/24", "0.0.0.0/0")
    assert refused(queue(few, many))
    assert not refused(queue(many, few))


def test_nobody_lets_the_world_in() -> None:
    before = policy(allow("sqs:SendMessage", Principal={"Service": "sns.amazonaws.com"}))
    for everybody in ("*", {"AWS": "*"}, {"AWS": ["*"]}):
        after = policy(allow("sqs:SendMessage", Principal=everybody))
        assert "let anybody in the world sqs:SendMessage" in refused(queue(before, after))[0]
    conditional = policy(
        allow(
            "sqs:SendMessage",
            Principal="*",
            Condition={"StringEquals": {"aws:SourceAccount": "123456789012"}},
        )
    )
    assert not refused(queue(before, conditional))
    assert for_two(queue(before, conditional))


@pytest.mark.parametrize(
    ("before", "after", "is_wider"),
    [
        (allow("sqs:SendMessage"), allow("sqs:SendMessage"), False),
        (allow("sqs:SendMessage"), allow("SQS:sendmessage"), False),
        (allow("sqs:*"), allow("sqs:SendMessage"), False),
        (allow("sqs:SendMessage"), allow("sqs:*"), True),
        (allow("sqs:SendMessage"), allow("sqs:SendMessage", "sqs:ReceiveMessage"), True),
        (allow("sqs:Send*"), allow("sqs:SendMessage*"), False),
        (allow("sqs:SendMessag?"), allow("sqs:SendMessag*"), True),
        (allow("sqs:SendMessage"), allow("sqs:SendMessage", on="*"), True),
        (allow("sqs:SendMessage", on="arn:*"), allow("sqs:SendMessage"), False),
        (allow("sqs:SendMessage"), allow("sqs:SendMessage", on=QUEUE_ARN.upper()), True),
        (
            allow("kms:Decrypt", Condition={"StringEquals": {"kms:ViaService": "a"}}),
            allow("kms:Decrypt"),
            True,
        ),
        (
            allow("kms:Decrypt"),
            allow("kms:Decrypt", Condition={"StringEquals": {"kms:ViaService": "a"}}),
            False,
        ),
        (
            allow("kms:Decrypt", Condition={"StringEquals": {"kms:ViaService": "a"}}),
            allow("kms:Decrypt", Condition={"StringEquals": {"kms:ViaService": ["a", "b"]}}),
            True,
        ),
        (
            allow("kms:Decrypt", Condition={"StringEquals": {"kms:ViaService": ["a", "b"]}}),
            allow("kms:Decrypt", Condition={"StringEquals": {"kms:viaservice": "b"}}),
            False,
        ),
        (
            allow("kms:Decrypt", Condition={"StringNotEquals": {"aws:userid": ["a", "b"]}}),
            allow("kms:Decrypt", Condition={"StringNotEquals": {"aws:userid": ["a"]}}),
            True,
        ),
        (
            allow("kms:Decrypt", Condition={"StringEqualsIfExists": {"aws:userid": ["a", "b"]}}),
            allow("kms:Decrypt", Condition={"StringEqualsIfExists": {"aws:userid": ["a"]}}),
            True,  # it cannot be decided, so that somebody looks
        ),
        (
            {"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"},
            {"Effect": "Allow", "NotAction": ["iam:Create*"], "Resource": "*"},
            True,
        ),
    ],
)
def test_a_wider_permission_waits_for_a_second_person(
    *, before: dict[str, Any], after: dict[str, Any], is_wider: bool
) -> None:
    found = for_two(role(policy(before), policy(after)))
    assert bool(found) is is_wider
    assert all("The iam role policy api-handler-dev would newly allow " in each for each in found)


def test_the_sentence_about_a_permission_names_all_of_it() -> None:
    wide = allow("sqs:SendMessage", "sqs:DeleteMessage", Condition={"Bool": {"aws:x": True}})
    assert for_two(role(policy(), policy(wide))) == [
        "The iam role policy api-handler-dev would newly allow "
        "sqs:DeleteMessage, sqs:SendMessage on " + QUEUE_ARN + " if aws:x Bool true."
    ]


def test_less_is_noted_of_a_role_and_looked_at_of_a_key() -> None:
    both = policy(allow("kms:Decrypt"), allow("kms:Encrypt"))
    less = policy(allow("kms:Decrypt"))
    assert not for_two(role(both, less))
    key = resource(*("aws_kms_key", "update"), before={"policy": both}, after={"policy": less})
    assert "would no longer allow kms:Encrypt" in for_two(key)[0]


def test_a_policy_that_is_known_only_later_is_not_taken_for_a_harmless_one() -> None:
    changed = role(policy(allow("sqs:SendMessage")), None, unknown={"policy": True})
    (sentence,) = for_two(changed)
    assert "known only after the apply" in sentence


def test_a_policy_that_is_none_is_refused() -> None:
    assert "cannot be judged" in refused(role("", "not JSON"))[0]


def test_other_ways_to_permissions_wait_for_a_second_person() -> None:
    invoke = {
        "principal": "s3.amazonaws.com",
        "function_name": "batch-processor-dev",
        "source_arn": "arn:aws:s3:::files",
    }
    assert for_two(resource("aws_lambda_permission", "create", after=invoke)) == [
        "S3.amazonaws.com may newly invoke batch-processor-dev, for arn:aws:s3:::files."
    ]
    attached = {"role": "api-handler-dev", "policy_arn": "arn:aws:iam::aws:policy/Admin"}
    assert for_two(resource("aws_iam_role_policy_attachment", "create", after=attached))


# --- alarms

ALARM = {
    "alarm_name": "payment-api-5xx-dev",
    "actions_enabled": True,
    "alarm_actions": ["arn:aws:sns:eu-central-1:123456789012:payment-notifications-dev"],
    "threshold": 10,
}


def alarm(**after: Any) -> dict[str, Any]:
    return resource("aws_cloudwatch_metric_alarm", "update", before=ALARM, after={**ALARM, **after})


def test_no_alarm_is_lost() -> None:
    gone = resource("aws_cloudwatch_metric_alarm", "delete", before=ALARM)
    assert refused(gone) == [
        "The alarm payment-api-5xx-dev would be lost: nobody would be told of what it watches."
    ]


def test_an_alarm_may_move_to_another_place_in_the_code() -> None:
    gone = resource("aws_cloudwatch_metric_alarm", "delete", before=ALARM)
    there = resource("aws_cloudwatch_metric_alarm", "create", after=ALARM)
    assert not refused(gone, {**there, "address": "aws_cloudwatch_metric_alarm.new"})


def test_no_alarm_is_silenced() -> None:
    assert "tell nobody" in refused(alarm(actions_enabled=False))[0]
    assert "no longer tell arn:aws:sns" in refused(alarm(alarm_actions=[]))[0]


def test_another_threshold_waits_for_a_second_person() -> None:
    assert for_two(alarm(threshold=1000)) == [
        "The alarm payment-api-5xx-dev would fire at other times: threshold is 1000 instead of 10."
    ]


# --- the command


def test_the_worst_finding_decides() -> None:
    def found(*verdicts: Verdict) -> list[Finding]:
        return [Finding(verdict=each, address="a.b", sentence="It is so.") for each in verdicts]

    assert exit_code([]) == exit_code(found(Verdict.NOTED)) == APPLY
    assert exit_code(found(Verdict.NOTED, Verdict.SECOND_PERSON)) == SECOND_PERSON
    assert exit_code(found(Verdict.SECOND_PERSON, Verdict.REFUSED)) == REFUSED


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"format_version": "2.0", "resource_changes": []},
        {"format_version": "1.2", "resource_changes": [], "errored": True},
        {"format_version": "1.2", "resource_changes": [{"type": "aws_s3_bucket"}]},
    ],
)
def test_what_is_no_plan_is_never_taken_for_a_good_one(
    document: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnreadablePlanError):
        read(document)
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(document))
    assert main([str(file)]) == NOT_JUDGED
    assert str(file) in capsys.readouterr().err


def test_a_file_that_is_no_json_or_not_there_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"format_version": "1.2", ')
    assert main([str(tmp_path / "half.json")]) == NOT_JUDGED
    assert main([str(tmp_path / "none.json")]) == NOT_JUDGED


def test_what_was_decided_goes_to_the_second_person_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    file.write_text('[[accepted]]\naddress = "aws_sqs_queue.it"\nreason = "Nobody uses it."\n')
    findings = judge(read(plan(resource("aws_sqs_queue", "delete", before={"name": "old-dev"}))))
    (finding,) = accepted.apply(findings, accepted.read(file))
    assert finding.verdict is Verdict.SECOND_PERSON
    assert finding.sentence.endswith("Decided: Nobody uses it.")


@pytest.mark.parametrize(
    "text", ["[[accepted]]\n", '[[accepted]]\naddress = "a"\nreason = " "\n', "accepted"]
)
def test_a_decision_without_a_reason_is_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    file.write_text(text)
    with pytest.raises(accepted.UnreadableDecisionsError):
        accepted.read(file)


def test_the_decisions_of_the_repository_can_be_read() -> None:
    accepted.read()


# --- this stack


def recorded(name: str) -> list[Finding]:
    return judge(read(json.loads((plans.RECORDED / f"{name}.json").read_text())))


def test_an_unchanged_stack_passes() -> None:
    findings = recorded("unchanged")
    assert exit_code(findings) == APPLY
    assert explained(findings) == "The plan changes nothing."


def test_a_renamed_table_is_refused() -> None:
    (sentence,) = (each.sentence for each in recorded("renamed-table") if _is_refused(each))
    assert sentence == (
        "The table payments-test-plans would be replaced, because of name: "
        "all that is in it would be lost."
    )


def test_a_widened_role_waits_for_a_second_person() -> None:
    findings = recorded("widened-role")
    assert exit_code(findings) == SECOND_PERSON
    newly = "The iam role policy api-handler-test-plans would newly allow dynamodb:DeleteItem on "
    found = [each.sentence for each in findings if each.verdict is Verdict.SECOND_PERSON]
    assert found
    assert all(sentence.startswith(newly) for sentence in found)


def test_a_removed_alarm_is_refused() -> None:
    (sentence,) = (each.sentence for each in recorded("removed-alarm") if _is_refused(each))
    assert sentence == (
        "The alarm payment-events-dlq-messages-test-plans would be lost: "
        "nobody would be told of what it watches."
    )


def _is_refused(finding: Finding) -> bool:
    return finding.verdict is Verdict.REFUSED


def test_the_command_prints_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(plans.RECORDED / "removed-alarm.json")
    assert main([file]) == REFUSED
    assert "**Refused**" in capsys.readouterr().out
    assert main([file, "--json"]) == REFUSED
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == REFUSED
    assert told["findings"][0]["verdict"] == "refused"


NOT_JUDGED_BY_TYPE = {
    "aws_api_gateway_deployment": "follows from the API's other resources",
    "aws_api_gateway_gateway_response": "what errors look like",
    "aws_api_gateway_integration": "where a request goes: to functions of ours",
    "aws_api_gateway_model": "form of a request",
    "aws_api_gateway_request_validator": "form of a request",
    "aws_api_gateway_resource": "a path; its methods are judged",
    "aws_cloudwatch_dashboard": "pictures",
    "aws_kms_alias": "a name of the key",
    "aws_lambda_layer_version": "made anew by every deployment",
}
"""Types whose end or change is told, and needs no rule of its own."""


def test_every_type_of_the_stack_is_judged_or_explained(tmp_path: Path) -> None:
    types = set(synthesised("prod", tmp_path).document["resource"])
    judged = {
        *KEPT,
        *GUARDS,
        *POLICIES,
        *(safeguard.type for safeguard in SAFEGUARDS),
        *("aws_cloudwatch_metric_alarm", "aws_lambda_permission"),
    }
    assert types - judged == set(NOT_JUDGED_BY_TYPE) & types - judged
    assert set(NOT_JUDGED_BY_TYPE) <= types - judged


def test_every_policy_of_the_stack_is_read() -> None:
    assert {type_: (name,) for type_, name in POLICY_ATTRIBUTES.items()}.items() <= POLICIES.items()
