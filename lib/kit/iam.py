"""Policies: the one place where permissions become JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

type Conditions = Mapping[str, Mapping[str, str | Sequence[str]]]
type Principal = Mapping[str, str | Sequence[str]]

ANYBODY: Final[Principal] = {"AWS": "*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a policy. ``principal`` is for policies of resources, not of roles."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[str] = ()
    effect: Literal["Allow", "Deny"] = "Allow"
    principal: Principal | None = None
    conditions: Conditions = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the statement as IAM spells it, without the parts that are not set."""
        document = {
            "Sid": self.sid,
            "Effect": self.effect,
            "Principal": self.principal,
            "Action": list(self.actions),
            "Resource": list(self.resources),
            "Condition": self.conditions,
        }
        return {key: value for key, value in document.items() if value}


def compact_json(document: object) -> str:
    """Return JSON as AWS stores it: with spaces, a second plan would show a change."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def policy_json(*statements: Statement) -> str:
    """Return a policy document."""
    return compact_json(
        {"Version": "2012-10-17", "Statement": [statement.to_json() for statement in statements]}
    )


def deny_plain_http(*, actions: Sequence[str], resources: Sequence[str]) -> Statement:
    """Refuse everybody who does not use TLS."""
    return Statement(
        sid="DenyPlainHttp",
        effect="Deny",
        principal=ANYBODY,
        actions=actions,
        resources=resources,
        conditions={"Bool": {"aws:SecureTransport": "false"}},
    )


# X-Ray has no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
WRITE_TRACES: Final = Statement(
    sid="WriteTraces",
    actions=("xray:PutTraceSegments", "xray:PutTelemetryRecords"),
    resources=("*",),
)
