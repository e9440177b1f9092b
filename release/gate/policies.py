"""What policies allow and deny: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies.html.

A grant is one action on one resource for one principal, under conditions. A policy is compared with
another grant by grant. Where that cannot be decided, the answer is the cautious one: not covered.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

_NEGATIVE: Final = re.compile(r"(?:For(?:All|Any)Values:)?(?:String|Numeric|Date|Arn|)Not")
_QUALIFIED: Final = re.compile(r"For(?:All|Any)Values:|.*IfExists\Z|Null\Z")


class UnreadablePolicyError(Exception):
    """This is no policy document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One action on one resource for one principal, allowed or denied.

    ``inverted`` names what a statement turns around (NotAction, NotResource, NotPrincipal): such a
    grant is covered only by the same statement.
    """

    effect: str
    action: str
    resource: str = ""
    principal: str = ""
    conditions: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    inverted: frozenset[str] = frozenset()

    def covers(self, other: "Grant") -> bool:
        """Whether this grant holds wherever the other one holds."""
        return (
            self.effect == other.effect
            and self.inverted == other.inverted
            and (
                (self.action, self.resource, self.principal)
                == (other.action, other.resource, other.principal)
                if self.inverted
                else _matches(self.action.lower(), other.action.lower())
                and _matches(self.resource, other.resource)
                and self.principal in {other.principal, ANYBODY}
            )
            and self._holds_under(other.conditions)
        )

    def _holds_under(self, conditions: Mapping[tuple[str, str], frozenset[str]]) -> bool:
        return all(
            key in conditions and _wider_values(key[0], values, conditions[key])
            for key, values in self.conditions.items()
        )


ANYBODY: Final = "AWS:*"


def _wider_values(operator: str, wide: frozenset[str], narrow: frozenset[str]) -> bool:
    if wide == narrow:
        return True
    if _QUALIFIED.match(operator):
        return False
    return wide <= narrow if _NEGATIVE.match(operator) else wide >= narrow


def grants(policy: object) -> list[Grant]:
    """Return every grant of a policy document, given as text; none without one.

    Raises:
        UnreadablePolicyError: the text is no policy document.
    """
    if policy in ("", None):
        return []
    try:
        document: Any = json.loads(policy) if isinstance(policy, str) else policy
        statements = document.get("Statement") or []
        return [
            grant
            for statement in ([statements] if isinstance(statements, Mapping) else statements)
            for grant in _grants_of(statement)
        ]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise UnreadablePolicyError(f"it is no policy document: {error}") from error


def uncovered(wanted: Iterable[Grant], by: Iterable[Grant], *, effect: str) -> list[Grant]:
    """Return the grants of an effect that none of the others covers."""
    covering = [grant for grant in by if grant.effect == effect]
    return [
        grant
        for grant in wanted
        if grant.effect == effect and not any(other.covers(grant) for other in covering)
    ]


def open_to_anybody(grant: Grant) -> bool:
    """Whether a grant lets everybody in, and no condition keeps anybody out."""
    return grant.effect == "Allow" and grant.principal in {ANYBODY, "*:*"} and not grant.conditions


def _grants_of(statement: Mapping[str, Any]) -> Iterator[Grant]:
    conditions = {
        (operator, key.lower()): frozenset(_texts(values))
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, values in keys.items()
    }
    inverted = frozenset(
        name for name in ("NotAction", "NotResource", "NotPrincipal") if name in statement
    )
    for action in _texts(statement.get("Action", statement.get("NotAction"))):
        for resource in _texts(statement.get("Resource", statement.get("NotResource", ""))):
            for principal in _principals(statement):
                yield Grant(
                    effect=statement["Effect"],
                    action=action,
                    resource=resource,
                    principal=principal,
                    conditions=conditions,
                    inverted=inverted,
                )


def _principals(statement: Mapping[str, Any]) -> list[str]:
    named = statement.get("Principal", statement.get("NotPrincipal", ""))
    if named == "*":
        return [ANYBODY]
    if isinstance(named, str):
        return [named]
    return [f"{kind}:{each}" for kind, names in named.items() for each in _texts(names)]


def _texts(values: object) -> list[str]:
    """Return one value or several as texts; IAM writes booleans and numbers either way."""
    found = values if isinstance(values, list) else [values]
    return [
        str(value).lower() if isinstance(value, bool) else str(value)
        for value in found
        if value is not None
    ]


@cache
def _pattern(wide: str) -> re.Pattern[str]:
    # A question mark stands for one character, and so not for the asterisk of a narrower pattern.
    parts = {"*": ".*", "?": r"[^*]"}
    return re.compile("".join(parts.get(each, re.escape(each)) for each in wide), re.DOTALL)


def _matches(wide: str, narrow: str) -> bool:
    return _pattern(wide).fullmatch(narrow) is not None
