"""Which fault struck which call: each AWS operation of the functions by each kind of fault."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from rich.table import Table

from tests.simulation.faults import Fault


class Strike(StrEnum):
    """What can go wrong with one call, as whoever makes it must bear it."""

    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    LATE = "late"
    DOUBLED = "doubled"
    THROTTLED = "throttled"
    REFUSED = "5xx"
    CONFLICT = "conflict"
    IN_PART = "in part"
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"


STRIKE_OF_FAULT: Final = {
    Fault.REQUEST_LOST: Strike.REQUEST_LOST,
    Fault.ANSWER_LOST: Strike.ANSWER_LOST,
    Fault.SERVER_ERROR_AFTER_COMMIT: Strike.ANSWER_LOST,
    Fault.LATE_COMMIT: Strike.LATE,
    Fault.THROTTLED: Strike.THROTTLED,
    Fault.OVER_QUOTA: Strike.THROTTLED,
    Fault.SERVER_ERROR: Strike.REFUSED,
    Fault.OUTAGE: Strike.REFUSED,
    Fault.CONFLICT: Strike.CONFLICT,
    Fault.PARTIAL_BATCH: Strike.IN_PART,
    Fault.TRUNCATED_BODY: Strike.IN_PART,
    Fault.STEP_LOST: Strike.REQUEST_LOST,
    Fault.STEP_ANSWER_LOST: Strike.ANSWER_LOST,
    Fault.STEP_TWICE: Strike.DOUBLED,
    Fault.PUBLISH_LOST: Strike.REQUEST_LOST,
    Fault.PUBLISH_ANSWER_LOST: Strike.ANSWER_LOST,
}
"""The kinds of faults that strike one call; a slow one still does what it is asked."""

_ANY_CALL: Final = frozenset(Strike) - {Strike.CONFLICT, Strike.IN_PART}
_WRITE: Final = _ANY_CALL | {Strike.CONFLICT}
_MANY: Final = _ANY_CALL | {Strike.IN_PART}
_TASK: Final = frozenset({Strike.REQUEST_LOST, Strike.ANSWER_LOST, Strike.REFUSED})

POSSIBLE: Final[Mapping[str, frozenset[Strike]]] = {
    "dynamodb.BatchGetItem": _ANY_CALL,
    "dynamodb.GetItem": _ANY_CALL,
    "dynamodb.PutItem": _WRITE,
    "dynamodb.Query": _ANY_CALL,
    "dynamodb.TransactWriteItems": _WRITE,
    "dynamodb.UpdateItem": _WRITE,
    "s3.GetObject": _MANY,
    "s3.PutObject": _ANY_CALL,
    "sfn.StartExecution": _ANY_CALL,
    "sns.PublishBatch": _MANY,
    "sqs.ChangeMessageVisibility": _ANY_CALL,
    "sqs.GetQueueAttributes": _ANY_CALL,
    "sqs.SendMessage": _ANY_CALL,
    "sqs.SendMessageBatch": _MANY,
    # What workflows call themselves, without a function that could be killed.
    "workflow lambda:invoke": _TASK | {Strike.DOUBLED},
    "workflow sns:publish": _TASK,
    "workflow sqs:sendMessage": _TASK,
}
"""Every AWS operation that the system makes, and what can strike it."""

type Coverage = Counter[tuple[str, Strike]]


def gaps(coverage: Coverage) -> list[str]:
    """Return the pairs that never occurred, and the operations that nobody listed."""
    missing = [
        f"{operation} was never struck: {strike}"
        for operation, strikes in POSSIBLE.items()
        for strike in Strike
        if strike in strikes and not coverage[operation, strike]
    ]
    unknown = sorted({operation for operation, _ in coverage} - set(POSSIBLE))
    return [*missing, *(f"{operation} is not in the table of operations" for operation in unknown)]


def coverage_table(coverage: Coverage) -> Table:
    """Return the counts as a table of operations and strikes; a dash is what cannot happen."""
    table = Table("operation", *(str(strike) for strike in Strike), box=None)
    for operation, strikes in POSSIBLE.items():
        counts = (
            f"{coverage[operation, strike]:,}" if strike in strikes else "–" for strike in Strike
        )
        table.add_row(operation, *counts)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
