"""What passes through the workflow of a batch, as JSON: its input, its steps and their answers.

The definition in ``lib/workflows/batch.py`` uses the same names in its paths.
"""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from payments.batches.batch import BatchDocument


class Death(TypedDict):
    """Why an execution ended, by the names that Step Functions gives."""

    Error: str
    Cause: str


class BatchInput(TypedDict):
    """What an execution starts with; ``error`` if one for the batch died, which is only failed then.

    ``size`` is in bytes.
    """

    batch: BatchDocument
    size: int
    error: NotRequired[Death]


class RangeState(TypedDict):
    """One range: bytes ``start`` to ``end`` (exclusive), from a line of the file on."""

    number: int
    start: int
    end: int
    line: int


class PlaceState(TypedDict):
    """Where a file is still unread: a byte and its line."""

    start: int
    line: int


class Notification(TypedDict):
    """The event that a batch has started or ended."""

    event_id: str
    event_type: str
    occurred_at: str
    batch: Mapping[str, Any]


class Plan(TypedDict):
    """The answer of ``plan``: the ranges so far, and whether the file was read to its end."""

    columns: list[str]
    ranges: list[RangeState]
    unread: PlaceState | None
    planned: bool
    notification: Notification


class RangeAnswer(TypedDict):
    """The answer of ``range``: in how many seconds to ask again; 0 once its rows are queued."""

    wait_seconds: int


class Reported(TypedDict):
    """How much of the rows that were not paid is reported: shards of them, and files written."""

    shards: int
    files: int


class Followed(TypedDict):
    """The answer of ``follow``.

    Until the batch is ``settled`` it says when to ask again and what is reported so far; at the end
    it has the notification.
    """

    settled: bool
    wait_seconds: NotRequired[int]
    reported: NotRequired[Reported]
    notification: NotRequired[Notification]


class Failed(TypedDict):
    """The answer of ``fail``."""

    notification: Notification


class PlanStep(TypedDict):
    """A step; ``before`` is the answer of the one before, if a file takes several."""

    action: Literal["plan"]
    batch: BatchDocument
    size: int
    before: Plan | None


class RangeStep(TypedDict):
    """A step about one range of the plan."""

    action: Literal["range"]
    batch: BatchDocument
    columns: list[str]
    range: RangeState


class FollowStep(TypedDict):
    """A step; both values are those of the answer before."""

    action: Literal["follow"]
    batch: BatchDocument
    waited_seconds: int
    reported: Reported


class FailStep(TypedDict):
    """A step after another one could not be carried through."""

    action: Literal["fail"]
    batch: BatchDocument


type Step = PlanStep | RangeStep | FollowStep | FailStep

type Answer = Plan | RangeAnswer | Followed | Failed
