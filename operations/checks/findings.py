"""What a check of ``payments doctor`` answers, and what a look that failed is told as."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from lib.config import StackConfig

type Clients = Callable[[str, str], Any]
"""Makes the boto3 client of a service in a region."""


class Level(StrEnum):
    """How much a finding endangers a deployment."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    UNSEEN = "not seen"
    """It could not be looked at, so nobody knows."""


def must(config: StackConfig) -> Level:
    """Return the level of what a protected environment must have and another one should have."""
    return Level.FAULT if config.profile.deletion_protection else Level.WARNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found; unless it is ``OK``, why that matters and the command that fixes it."""

    about: str
    level: Level
    found: str
    why: str = ""
    fix: str = ""


UNREADABLE: Final = (
    *(BotoCoreError, ClientError, ResponseParserError),
    *(AttributeError, LookupError, TypeError, ValueError),
)
"""What a call that fails raises, and what an answer of another shape than AWS's leads to."""

_DENIED = frozenset({"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an answer; 0 if it has none."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def code_of(error: ClientError) -> str:
    """Return AWS's code of an error, empty if it has none."""
    return error.response.get("Error", {}).get("Code", "")


def ok(about: str, found: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(about=about, level=Level.OK, found=found)


def reason_of(error: Exception) -> str:
    """Put what a call raised into one line."""
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        words = f"{error.operation_name}: {told.get('Code', '')}: {told.get('Message', '')}"
    elif isinstance(error, BotoCoreError):
        words = str(error)
    else:
        words = f"the answer is not as expected ({type(error).__name__}: {error})"
    return " ".join(words.split())


def unseen(about: str, error: Exception, *, by_hand: str, permission: str = "") -> Finding:
    """Return the finding of a check that could not be made.

    Args:
        about: what was to be looked at.
        error: one of ``UNREADABLE``.
        by_hand: the command with which a person can look.
        permission: the IAM action that the check needs, if any.
    """
    code = code_of(error) if isinstance(error, ClientError) else ""
    needed = f"; it needs {permission}" if code in _DENIED and permission else ""
    return not_known(about, f"{reason_of(error)}{needed}", by_hand=by_hand)


def not_known(about: str, reason: str, *, by_hand: str) -> Finding:
    """Return the finding of a check that could not be made for this reason."""
    return Finding(
        about=about,
        level=Level.UNSEEN,
        found=f"could not look: {reason}",
        why="What nobody has looked at can still fail in the middle of a deployment.",
        fix=by_hand,
    )


def look(
    about: str,
    client: Callable[[], Any],
    way: Callable[[Any], Finding],
    *,
    by_hand: str,
    permission: str,
) -> Finding:
    """Make one check of AWS; if it cannot be made, return a finding that says so.

    Args:
        about: what is looked at.
        client: makes the boto3 client.
        way: the check.
        by_hand: the command with which a person can look.
        permission: the IAM action that the check needs.
    """
    try:
        return way(client())
    except UNREADABLE as error:
        return unseen(about, error, by_hand=by_hand, permission=permission)
