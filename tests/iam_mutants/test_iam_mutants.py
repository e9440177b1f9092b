"""A mutant lacks one thing, and a survivor is reported unless it is explained."""

import json
from typing import Any

import pytest

from tests.iam_mutants.mutants import Mutant, mutants_of
from tests.iam_mutants.permissions import ROLES, allowed_by
from tests.iam_mutants.survivors import Explanation, complaints, read_explanations

POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Write", "Effect": "Allow", "Action": ["put", "update"], "Resource": ["a", "b"]},
        {"Sid": "Send", "Effect": "Allow", "Action": ["send"], "Resource": ["queue"]},
    ],
}


def mutant(removed: str = "send", *, sid: str = "Send", role: str = "sender") -> Mutant:
    return Mutant(role=role, sid=sid, kind="Action", removed=removed, document={})


def explanation(*removed: str, sid: str = "Send", role: str = "sender") -> Explanation:
    return Explanation(roles=(role,), sid=sid, removed=removed, reason="because")


def test_each_action_and_then_each_resource_is_removed_once() -> None:
    removed = [(found.sid, found.removed) for found in mutants_of("sender", POLICY)]
    assert removed == [
        ("Write", "put"),
        ("Write", "update"),
        ("Send", "send"),
        ("Write", "a"),
        ("Write", "b"),
    ]


def test_a_mutant_lacks_one_thing_and_keeps_the_rest() -> None:
    without_put, *_ = mutants_of("sender", POLICY)
    write, send = without_put.document["Statement"]
    assert write == POLICY["Statement"][0] | {"Action": ["update"]}
    assert send == POLICY["Statement"][1]


def test_a_statement_with_nothing_left_goes_as_a_whole() -> None:
    found = {each.removed: each.document["Statement"] for each in mutants_of("sender", POLICY)}
    assert found["send"] == POLICY["Statement"][:1]


def test_permissions_about_a_key_are_left_to_the_table_of_who_asks_for_it() -> None:
    about_key = {"Sid": "Key", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["key"]}
    document = POLICY | {"Statement": [*POLICY["Statement"], about_key]}
    assert [str(found) for found in mutants_of("sender", document)] == [
        str(found) for found in mutants_of("sender", POLICY)
    ]


def test_the_policy_itself_stays_as_it_is() -> None:
    before = repr(POLICY)
    list(mutants_of("sender", POLICY))
    assert repr(POLICY) == before


def test_a_survivor_without_an_explanation_is_reported() -> None:
    [complaint] = complaints([mutant()], [], [])
    assert complaint == "survives without an explanation: sender: Send without send"


def test_a_survivor_with_an_explanation_is_not_reported() -> None:
    assert complaints([mutant()], [], [explanation()]) == []


def test_an_explanation_is_about_its_own_role_statement_and_removals_only() -> None:
    about = explanation("send")
    assert about.covers(mutant("sqs:send"))
    assert not about.covers(mutant("receive"))
    assert not about.covers(mutant(sid="Other"))
    assert not about.covers(mutant(role="other"))


def test_an_explained_mutant_that_is_killed_is_reported() -> None:
    [complaint] = complaints([], [mutant()], [explanation()])
    assert complaint == "is explained as a survivor, but was killed: sender: Send without send"


def test_an_explanation_of_nothing_is_reported() -> None:
    [complaint] = complaints([], [mutant()], [explanation(sid="Gone")])
    assert complaint == "explains no mutant: Gone of sender"


def test_every_explanation_has_a_reason() -> None:
    assert all(explanation.reason for explanation in read_explanations())


def resources(*roles: str, **others: Any) -> dict[str, Any]:
    policies = {role: {"name": f"{role}-dev", "policy": json.dumps(POLICY)} for role in roles}
    return {"aws_iam_role": {}, "aws_iam_role_policy": policies, **others}


def test_a_stack_with_the_known_roles_is_taken_on() -> None:
    pairs = {("Write", "put"), ("Write", "update"), ("Send", "send")}
    assert allowed_by(resources(*ROLES), suffix="dev") == dict.fromkeys(ROLES, pairs)


@pytest.mark.parametrize(
    ("stack", "named"),
    [
        (resources(*ROLES, "newcomer"), "newcomer"),
        (resources(*ROLES[1:]), ROLES[0]),
        (
            resources(*ROLES, aws_iam_role_policy_attachment={"a": {}}),
            "aws_iam_role_policy_attachment",
        ),
    ],
    ids=["a role more", "a role less", "another way to permissions"],
)
def test_a_stack_with_permissions_that_a_run_would_miss_is_refused(
    stack: dict[str, Any], named: str
) -> None:
    with pytest.raises(RuntimeError, match=f"differ in {named}$"):
        allowed_by(stack, suffix="dev")
