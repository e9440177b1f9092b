"""What the gate says of a plan, in sentences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from release.gate.plan import Change
from release.gate.policies import (
    Grant,
    UnreadablePolicyError,
    grants,
    open_to_anybody,
    uncovered,
)
from release.gate.safeguards import GUARDS, KEPT, POLICIES, SAFEGUARDS, at


class Verdict(StrEnum):
    """What follows from a finding."""

    REFUSED = "refused"
    """The plan is not applied."""
    SECOND_PERSON = "second person"
    """Somebody other than the author looks at it first."""
    NOTED = "noted"
    """Told, so that nothing happens silently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a plan would do."""

    verdict: Verdict
    address: str
    sentence: str


def judge(changes: Sequence[Change]) -> list[Finding]:
    """Return all that is to be said of a plan, the worst first."""
    findings = [finding for change in changes for finding in _judge(change, changes)]
    if created := sum(change.creates for change in changes):
        findings.append(
            Finding(
                verdict=Verdict.NOTED,
                address="",
                sentence=f"{created} resource{'s are' if created > 1 else ' is'} created.",
            )
        )
    order = list(Verdict)
    return sorted(findings, key=lambda finding: order.index(finding.verdict))


def _judge(change: Change, changes: Sequence[Change]) -> Iterator[Finding]:
    yield from _ending(change, changes)
    yield from _settings(change)
    yield from _policies(change)
    if change.type in _ALARMS:
        yield from _alarm(change)
    if change.type == "aws_dynamodb_table":
        yield from _indexes(change)
    if change.type == "aws_lambda_permission" and not _ends_for_good(change):
        yield _say(
            Verdict.SECOND_PERSON,
            change,
            f"{change.after.get('principal', 'A service')} may newly invoke "
            f"{change.after.get('function_name', 'a function')}, for "
            f"{change.after.get('source_arn', 'a source that is known only after the apply')}.",
        )
    if change.type in _OTHER_PERMISSIONS and not _ends_for_good(change):
        yield _say(
            Verdict.SECOND_PERSON,
            change,
            f"{_what(change)} gives permissions in a way that this gate does not read.",
        )
    if change.actions == ("update",):
        yield _say(
            Verdict.NOTED, change, f"{_what(change)} is changed: {', '.join(_changed(change))}."
        )


def _ending(change: Change, changes: Sequence[Change]) -> Iterator[Finding]:
    if not change.ends:
        return
    if change.type in KEPT:
        word, loss = KEPT[change.type]
        how = _how_it_ends(change)
        yield _say(Verdict.REFUSED, change, f"The {word} {change.name} would be {how}: {loss}.")
    elif change.type in _ALARMS:
        if (
            not any(
                other.type == change.type and other.creates and other.name == change.name
                for other in changes
            )
            and not change.replaces
        ):
            yield _say(
                Verdict.REFUSED,
                change,
                f"The alarm {change.name} would be lost: nobody would be told of what it watches.",
            )
    elif change.type in GUARDS and not change.replaces:
        owner_ends = change.type == "aws_iam_role_policy" and _role_ends(change, changes)
        yield _say(
            Verdict.NOTED if owner_ends else Verdict.REFUSED,
            change,
            f"{_what(change)} would be {_how_it_ends(change)}"
            + (" with its role." if owner_ends else f": {GUARDS[change.type]}."),
        )
    elif change.type not in POLICIES:
        verdict = Verdict.NOTED if change.type in _ROUTINE else Verdict.SECOND_PERSON
        yield _say(verdict, change, f"{_what(change)} would be {_how_it_ends(change)}.")


def _settings(change: Change) -> Iterator[Finding]:
    if change.creates or _ends_for_good(change):
        return
    for safeguard in SAFEGUARDS:
        if safeguard.type != change.type or at(change.unknown, safeguard.path) is True:
            continue
        before, after = at(change.before, safeguard.path), at(change.after, safeguard.path)
        if not safeguard.may_follow(before, after):
            yield _say(
                Verdict.REFUSED,
                change,
                f"{_what(change)} would have {safeguard.path} {_shown(after)} instead of "
                f"{_shown(before)}: {safeguard.harm}.",
            )


def _indexes(change: Change) -> Iterator[Finding]:
    if change.creates or change.ends:
        return
    before, after = (
        {index["name"]: index for index in attributes.get("global_secondary_index") or ()}
        for attributes in (change.before, change.after)
    )
    for name in sorted(before):
        keys = ("hash_key", "range_key")
        if name not in after:
            fate = "would be lost"
        elif any(before[name].get(key) != after[name].get(key) for key in keys):
            fate = "would be made anew, with other keys"
        else:
            continue
        yield _say(
            Verdict.REFUSED,
            change,
            f"The index {name} of the table {change.name} {fate}: what is running asks it.",
        )
    if len(new := sorted(after.keys() - before.keys())) > 1:
        yield _say(
            Verdict.SECOND_PERSON,
            change,
            f"The table {change.name} gets {len(new)} indexes together ({', '.join(new)}): "
            "DynamoDB makes one after the other, and each must be filled before it is used.",
        )


def _alarm(change: Change) -> Iterator[Finding]:
    if change.creates or _ends_for_good(change):
        return
    alarm = f"The alarm {change.name}"
    if change.before.get("actions_enabled") and change.after.get("actions_enabled") is False:
        yield _say(Verdict.REFUSED, change, f"{alarm} would fire and tell nobody.")
    for actions in ("alarm_actions", "ok_actions", "insufficient_data_actions"):
        if at(change.unknown, actions) is True:
            continue
        lost = set(change.before.get(actions) or ()) - set(change.after.get(actions) or ())
        if lost:
            yield _say(
                Verdict.REFUSED,
                change,
                f"{alarm} would no longer tell {', '.join(sorted(lost))} ({actions}).",
            )
    for attribute in _WHEN_IT_FIRES:
        before, after = change.before.get(attribute), change.after.get(attribute)
        if before and before != after:
            yield _say(
                Verdict.SECOND_PERSON,
                change,
                f"{alarm} would fire at other times: {attribute} is {_shown(after)} instead of "
                f"{_shown(before)}.",
            )


def _policies(change: Change) -> Iterator[Finding]:
    for attribute in POLICIES.get(change.type, ()):
        if _ends_for_good(change):
            if change.type in KEPT or change.type in GUARDS or change.type == "aws_iam_role":
                continue
            yield _say(Verdict.REFUSED, change, f"{_what(change)} would be deleted.")
            continue
        if change.unknown.get(attribute) is True:
            # A policy that AWS makes up where none is given says nothing about ours.
            if change.before.get(attribute) or change.type not in KEPT:
                yield _say(
                    Verdict.SECOND_PERSON,
                    change,
                    f"What {_what(change)} would allow is known only after the apply, since it "
                    "names something that is yet to be made: read it in the code.",
                )
            continue
        try:
            before = grants(change.before.get(attribute))
            after = grants(change.after.get(attribute))
        except UnreadablePolicyError as error:
            yield _say(Verdict.REFUSED, change, f"{_what(change)} cannot be judged: {error}.")
            continue
        yield from _compared(change, before, after)


def _compared(change: Change, before: Sequence[Grant], after: Sequence[Grant]) -> Iterator[Finding]:
    what = _what(change)
    if before and not after:
        yield _say(Verdict.REFUSED, change, f"{what} would be emptied.")
        return
    for grant in uncovered(after, before, effect="Allow"):
        if open_to_anybody(grant):
            yield _say(
                Verdict.REFUSED,
                change,
                f"{what} would let anybody in the world {grant.action}, without a condition.",
            )
    for sentence in _grouped(uncovered(before, after, effect="Deny")):
        yield _say(Verdict.REFUSED, change, f"{what} would no longer deny {sentence}.")
    for sentence in _grouped(uncovered(after, before, effect="Allow")):
        yield _say(Verdict.SECOND_PERSON, change, f"{what} would newly allow {sentence}.")
    # A role that may do less harms nobody else; a key or a queue that trusts less may end a service.
    verdict = Verdict.NOTED if change.type in _ROLES else Verdict.SECOND_PERSON
    for sentence in _grouped(uncovered(before, after, effect="Allow")):
        yield _say(verdict, change, f"{what} would no longer allow {sentence}.")


def _grouped(found: Iterable[Grant]) -> list[str]:
    """Return a sentence's end for all actions on one resource under the same conditions."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for grant in found:
        inverted = f" (turned around: {', '.join(sorted(grant.inverted))})" * bool(grant.inverted)
        where = (grant.principal, grant.resource, _conditions(grant.conditions), inverted)
        groups.setdefault(where, []).append(grant.action)
    return [
        f"{', '.join(sorted(actions))}"
        + (f" on {resource}" if resource else "")
        + (f" to {principal}" if principal else "")
        + (f" if {conditions}" if conditions else "")
        + inverted
        for (principal, resource, conditions, inverted), actions in groups.items()
    ]


def _conditions(conditions: Mapping[tuple[str, str], frozenset[str]]) -> str:
    return " and ".join(
        f"{key} {operator} {' or '.join(sorted(values))}"
        for (operator, key), values in sorted(conditions.items())
    )


_ALARMS: Final = frozenset({"aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm"})
_WHEN_IT_FIRES: Final = (
    *("threshold", "comparison_operator", "evaluation_periods", "datapoints_to_alarm", "period"),
    *("statistic", "extended_statistic", "metric_name", "namespace", "dimensions", "metric_query"),
    *("treat_missing_data", "alarm_rule"),
)
_ROLES: Final = frozenset({"aws_iam_role", "aws_iam_role_policy", "aws_iam_policy"})
_OTHER_PERMISSIONS: Final = frozenset(
    {
        *("aws_iam_access_key", "aws_iam_group_policy", "aws_iam_group_policy_attachment"),
        *("aws_iam_policy_attachment", "aws_iam_role_policy_attachment", "aws_iam_user_policy"),
        *("aws_iam_role_policies_exclusive", "aws_iam_user_policy_attachment", "aws_kms_grant"),
        *("aws_lambda_function_url", "aws_lambda_layer_version_permission", "aws_s3_bucket_acl"),
    }
)
_ROUTINE: Final = frozenset({"aws_api_gateway_deployment", "aws_lambda_layer_version"})
"""What every deployment makes anew."""


def _ends_for_good(change: Change) -> bool:
    return change.ends and not change.replaces


def _role_ends(change: Change, changes: Sequence[Change]) -> bool:
    return any(
        other.type == "aws_iam_role"
        and _ends_for_good(other)
        and other.before.get("name") == change.before.get("role")
        for other in changes
    )


def _how_it_ends(change: Change) -> str:
    if change.replaces:
        because = f", because of {', '.join(change.causes)}" if change.causes else ""
        return f"replaced{because}"
    return "forgotten by Terraform" if "forget" in change.actions else "deleted"


def _changed(change: Change) -> list[str]:
    names = change.before.keys() | change.after.keys() | change.unknown.keys()
    return sorted(
        name
        for name in names
        if change.before.get(name) != change.after.get(name) or change.unknown.get(name) is True
    )


def _what(change: Change) -> str:
    kind = change.type.removeprefix("aws_").replace("_", " ")
    return f"the {kind} {change.name}"


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    return ("off", "on")[value] if isinstance(value, bool) else repr(value)


def _say(verdict: Verdict, change: Change, sentence: str) -> Finding:
    sentence = sentence[0].upper() + sentence[1:]
    return Finding(verdict=verdict, address=change.address, sentence=sentence)
