"""Every path of the batch workflow, in a second interpreter."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from lib.workflows import batch
from tests.unit.workflows.interpreter import (
    ARNS,
    FUNCTION,
    MESSAGING,
    Answer,
    Outcome,
    World,
    raised,
    refused,
    run,
)

BATCH = {"batch_id": "batch_1", "bucket": "files", "key": "a.csv", "version_id": "v1"}
INPUT = {"batch": BATCH, "size": 1000}
DEFINITION = json.loads(json.dumps(batch.definition(FUNCTION, MESSAGING, ARNS)))

COLUMNS = ["payment_id", "amount", "currency"]
RANGES = [{"start": 0, "end": 400}, {"start": 400, "end": 800}, {"start": 800, "end": 1000}]
STARTED = {"event_type": "batch.started", "batch": {"batch_id": "batch_1"}}
ENDED = {"event_type": "batch.completed", "batch": {"batch_id": "batch_1"}}
GIVEN_UP = {"event_type": "batch.failed", "batch": {"batch_id": "batch_1"}}

PLANNED = {"planned": True, "ranges": RANGES, "columns": COLUMNS, "notification": STARTED}
REFUSED = {"planned": True, "ranges": [], "columns": None, "notification": STARTED}
SETTLED = {"settled": True, "notification": ENDED}

ROOM = {"wait_seconds": 0}

OUTAGE = raised("ServiceUnavailable")


def open_still(wait_seconds: int, shards: int = 0) -> dict[str, Any]:
    return {
        "settled": False,
        "wait_seconds": wait_seconds,
        "reported": {"shards": shards, "files": shards},
    }


def carried(**answers: Sequence[Answer]) -> tuple[Outcome, World]:
    usual: dict[str, Sequence[Answer]] = {
        "plan": [PLANNED],
        "range": [ROOM],
        "follow": [SETTLED],
        "fail": [{"notification": GIVEN_UP}],
    }
    world = World(usual | answers)
    return run(DEFINITION, INPUT, world), world


def announced(world: World) -> list[str]:
    types = [call["type"] for call in world.of("publish")]
    assert types == [call["message"]["event_type"] for call in world.of("publish")]
    return types


def test_a_file_is_planned_read_in_ranges_and_followed_to_the_end() -> None:
    outcome, world = carried()
    assert outcome.status == "SUCCEEDED"
    assert world.actions == ["plan", "publish", "range", "follow", "publish"]
    assert world.of("plan") == [{"batch": BATCH, "size": 1000, "before": None}]
    assert sorted(world.of("range"), key=lambda call: call["range"]["start"]) == [
        {"batch": BATCH, "columns": COLUMNS, "range": each} for each in RANGES
    ]
    assert world.of("follow") == [
        {"batch": BATCH, "waited_seconds": 0, "reported": {"shards": 0, "files": 0}}
    ]
    assert announced(world) == ["batch.started", "batch.completed"]
    assert world.waited == []


def test_a_huge_file_is_planned_in_several_calls_each_where_the_last_one_ended() -> None:
    first = {"planned": False, "offset": 10, "rows": 1}
    second = {"planned": False, "offset": 20, "rows": 2}
    outcome, world = carried(plan=[first, second, PLANNED])
    assert outcome.status == "SUCCEEDED"
    assert [call["before"] for call in world.of("plan")] == [None, first, second]
    assert {call["size"] for call in world.of("plan")} == {1000}
    assert len(world.of("range")) == 3


def test_a_refused_file_has_no_ranges_and_ends_well() -> None:
    outcome, world = carried(plan=[REFUSED])
    assert outcome.status == "SUCCEEDED"
    assert world.of("range") == []
    assert announced(world) == ["batch.started", "batch.completed"]


def test_a_batch_is_followed_with_the_waits_that_it_asks_for() -> None:
    """And each look knows how long the last wait was and what is reported already."""
    outcome, world = carried(
        follow=[open_still(2), open_still(4, shards=1), open_still(600, shards=2), SETTLED]
    )
    assert outcome.status == "SUCCEEDED"
    assert world.waited == [2, 4, 600]
    assert [
        (call["waited_seconds"], call["reported"]["shards"]) for call in world.of("follow")
    ] == [
        (0, 0),
        (2, 0),
        (4, 1),
        (600, 2),
    ]


def test_a_range_is_tried_again_for_itself() -> None:
    outcome, world = carried(range=[OUTAGE, refused("TooManyRequestsException"), ROOM])
    assert outcome.status == "SUCCEEDED"
    assert len(world.of("range")) == 5
    assert {call["range"]["start"] for call in world.of("range")} == {0, 400, 800}
    assert len(world.waited) == 2


def test_a_range_waits_while_the_queue_is_full() -> None:
    full = {"wait_seconds": 300}
    outcome, world = carried(range=[full, full, ROOM])
    assert outcome.status == "SUCCEEDED"
    assert len(world.of("range")) == 5
    assert world.waited == [300, 300]


def test_a_topic_that_is_away_does_not_keep_the_rows_from_their_queue() -> None:
    """The news of the start is set aside, where an alarm tells of it."""
    away: list[Answer] = [refused("InternalErrorException")] * 6
    outcome, world = carried(publish=[*away, {}])
    assert outcome.status == "SUCCEEDED"
    assert world.of("send_news") == [{"body": STARTED}]
    assert len(world.of("range")) == 3
    assert announced(world) == [*["batch.started"] * 6, "batch.completed"]


def test_rows_are_queued_even_if_neither_topic_nor_queue_takes_the_news() -> None:
    away: list[Answer] = [refused("InternalErrorException")] * 6
    outcome, world = carried(publish=[*away, {}], send_news=[refused("InternalError")])
    assert outcome.status == "SUCCEEDED"
    assert len(world.of("send_news")) == 6
    assert len(world.of("range")) == 3


def test_what_a_dead_execution_left_open_is_failed_told_and_set_aside() -> None:
    world = World({"fail": [{"notification": GIVEN_UP}]})
    error = {"Error": "Workflow.ABORTED", "Cause": "the execution batch_1 died"}
    outcome = run(DEFINITION, {**INPUT, "error": error}, world)
    assert (outcome.status, outcome.error) == ("FAILED", "Workflow.ABORTED")
    assert world.actions == ["fail", "publish", "send_message"]
    assert world.of("send_message") == [{"body": {**INPUT, "error": error}}]


@pytest.mark.parametrize("action", ["plan", "follow"])
def test_a_step_is_tried_again_after_growing_waits(action: str) -> None:
    answer: Answer = {"plan": PLANNED, "follow": SETTLED}[action]
    outcome, world = carried(**{action: [*[OUTAGE] * 8, answer]})
    assert outcome.status == "SUCCEEDED"
    assert len(world.of(action)) == 9
    assert world.waited == [2, 4, 8, 16, 32, 64, 120, 120]
    assert world.of("fail") == []


@pytest.mark.parametrize(
    ("action", "tries", "before", "error"),
    [
        ("plan", 9, [], "ServiceUnavailable"),
        ("range", 21, ["batch.started"], "States.ExceedToleratedFailureThreshold"),
        ("follow", 9, ["batch.started"], "ServiceUnavailable"),
    ],
)
def test_a_file_that_cannot_be_carried_through_is_failed_told_and_set_aside(
    action: str, tries: int, before: list[str], error: str
) -> None:
    outcome, world = carried(**{action: [OUTAGE]})
    # Names that begin with "States." are AWS's own: the interpreter gives a Fail state none of them.
    ended_with = "States.Runtime" if error.startswith("States.") else error
    assert (outcome.status, outcome.error) == ("FAILED", ended_with)
    assert len(world.of(action)) == tries
    assert world.of("fail") == [{"batch": BATCH}]
    assert announced(world) == [*before, "batch.failed"]
    (aside,) = world.of("send_message")
    assert aside["body"]["batch"] == BATCH
    assert aside["body"]["size"] == 1000
    assert aside["body"]["error"]["Error"] == error


def test_a_failure_that_cannot_be_recorded_is_still_set_aside() -> None:
    outcome, world = carried(plan=[OUTAGE], fail=[OUTAGE])
    assert (outcome.status, outcome.error) == ("FAILED", "ServiceUnavailable")
    assert len(world.of("fail")) == 9
    assert announced(world) == []
    (aside,) = world.of("send_message")
    assert aside["body"]["error"]["Error"] == "ServiceUnavailable"


def test_a_failure_that_cannot_be_announced_is_still_set_aside() -> None:
    outcome, world = carried(plan=[OUTAGE], publish=[refused("InternalErrorException")])
    assert (outcome.status, outcome.error) == ("FAILED", "ServiceUnavailable")
    assert announced(world) == ["batch.failed"] * 21
    assert len(world.of("send_message")) == 1


def test_a_batch_that_has_ended_is_never_failed_for_want_of_its_announcement() -> None:
    refusals = [refused("InternalErrorException")]
    outcome, world = carried(publish=[{}, *refusals])
    assert outcome.status == "FAILED"
    assert world.of("fail") == []
    assert announced(world) == ["batch.started", *["batch.completed"] * 21]
    (aside,) = world.of("send_message")
    assert aside["body"]["batch"] == BATCH


def test_setting_aside_waits_for_a_queue_that_does_not_answer() -> None:
    refusals: list[Answer] = [refused("InternalError")] * 20
    outcome, world = carried(plan=[OUTAGE], send_message=[*refusals, {}])
    assert (outcome.status, outcome.error) == ("FAILED", "ServiceUnavailable")
    assert len(world.of("send_message")) == 21
    assert world.waited[8:] == [min(2 * 2**attempt, 300) for attempt in range(20)]
