"""What the synthesised stack allows, and which of its roles a run knows."""

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.iam_mutants.mutants import Document

ROLES: Final = (
    "api-handler",
    "batch-processor",
    "payment-processor",
    "event-publisher",
    "payment-workflow",
    "payment-batch-workflow",
    "payment-sweep",
)
WAYS: Final = frozenset({"aws_iam_role", "aws_iam_role_policy"})
"""How the stack gives permissions: a role with a policy of its own."""


def allowed_by(
    resources: Mapping[str, Mapping[str, Any]], *, suffix: str
) -> dict[str, set[tuple[str, str]]]:
    """Return statement and action of everything that a stack's resources allow, by role.

    Raises:
        RuntimeError: the roles are not those that a run knows, or get permissions in a way that no
            run looks at.
    """
    allowed = {
        policy["name"].removesuffix(f"-{suffix}"): pairs(json.loads(policy["policy"]))
        for policy in resources["aws_iam_role_policy"].values()
    }
    ways = {kind for kind in resources if kind.startswith("aws_iam_")}
    if unknown := (allowed.keys() ^ set(ROLES)) | (ways - WAYS):
        raise RuntimeError(f"the stack and this run differ in {', '.join(sorted(unknown))}")
    return allowed


def pairs(document: Document) -> set[tuple[str, str]]:
    """Return each statement's name with each of its actions."""
    return {
        (statement["Sid"], action)
        for statement in document["Statement"]
        for action in statement["Action"]
    }
