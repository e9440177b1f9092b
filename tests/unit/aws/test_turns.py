"""Turns at the processor: never more of them a second than it takes, and none wasted."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from payments.aws.turns import Turns
from payments.core.faults import ServiceUnavailable
from tests.unit.cloud import TABLES, Cloud, calls_of


class Clock:
    """A clock that a test moves."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def turns(cloud: Cloud, clock: Callable[[], float], per_second: int = 25) -> Turns:
    return Turns(cloud.dynamodb, TABLES.processing_status, per_second=per_second, clock=clock)


def test_the_first_turn_is_now_and_the_next_ones_follow(cloud: Cloud) -> None:
    assert turns(cloud, Clock()).take(4) == pytest.approx([0.0, 0.04, 0.08, 0.12])


def test_whoever_comes_next_is_behind_those_before_wherever_they_run(cloud: Cloud) -> None:
    clock = Clock()
    one, other = turns(cloud, clock), turns(cloud, clock)
    one.take(10)
    clock.now += 0.1
    assert other.take(2) == pytest.approx([0.3, 0.34])
    assert one.take(1) == pytest.approx([0.38])


def test_turns_that_nobody_took_are_not_saved_up(cloud: Cloud) -> None:
    clock = Clock()
    giver = turns(cloud, clock)
    giver.take(5)
    clock.now += 60
    assert giver.take(2) == pytest.approx([0.0, 0.04])


@pytest.mark.parametrize("per_second", [1, 7, 25, 300])
def test_no_second_has_more_turns_than_the_processor_takes(cloud: Cloud, per_second: int) -> None:
    clock = Clock()
    giver, at = turns(cloud, clock, per_second), []
    for count in (10, 3, 10, 1, 10):
        at += [clock.now + wait for wait in giver.take(count)]
        clock.now += 0.05
    at.sort()
    for first, last in zip(at, at[per_second:], strict=False):
        assert last - first >= 1 - 1e-4


def test_a_turn_goes_to_one_of_many_that_ask_concurrently(cloud: Cloud) -> None:
    giver = turns(cloud, Clock())
    with ThreadPoolExecutor(8) as pool:
        given = sorted(wait for part in pool.map(giver.take, [5] * 8) for wait in part)
    assert given == pytest.approx([number / 25 for number in range(40)], abs=1e-3)


def test_all_messages_of_an_invocation_cost_one_write_while_others_wait(cloud: Cloud) -> None:
    giver = turns(cloud, Clock())
    giver.take(10)
    calls = calls_of(cloud.dynamodb)
    giver.take(10)
    assert calls == ["UpdateItem"]


def test_without_the_table_there_is_no_turn(cloud: Cloud) -> None:
    with pytest.raises(ServiceUnavailable):
        Turns(cloud.dynamodb, "nowhere", per_second=25).take(1)


class TestFront:
    """When those were put in line whose turn it is."""

    def test_it_is_what_was_told_last(self, cloud: Cloud) -> None:
        clock = Clock()
        line = turns(cloud, clock)
        assert line.front() is None
        line.take(10, waiting_since=clock.now - 1200.5)
        assert line.front() == datetime.fromtimestamp(clock.now - 1200.5, UTC)
        line.take(10, waiting_since=clock.now - 1100)
        assert line.front() == datetime.fromtimestamp(clock.now - 1100, UTC)

    def test_others_that_take_turns_say_nothing_of_it(self, cloud: Cloud) -> None:
        clock = Clock()
        line = turns(cloud, clock)
        line.take(1)
        assert line.front() is None
        line.take(1, waiting_since=clock.now - 5)
        line.take(1)
        assert line.front() == datetime.fromtimestamp(clock.now - 5, UTC)

    def test_a_line_at_which_nobody_works_has_none(self, cloud: Cloud) -> None:
        clock = Clock()
        line = turns(cloud, clock)
        line.take(25, waiting_since=clock.now)
        clock.now += 60
        assert line.front() is not None
        clock.now += 0.1
        assert line.front() is None

    def test_another_line_at_work_does_not_keep_it(self, cloud: Cloud) -> None:
        """While a file is paid for hours, the front of the payments by API is not an old one."""
        clock = Clock()
        line = turns(cloud, clock)
        line.take(1, waiting_since=clock.now)
        for _ in range(3):
            clock.now += 25
            line.take(10)
        assert line.front() is None

    def test_without_the_table_nobody_knows(self, cloud: Cloud) -> None:
        with pytest.raises(ServiceUnavailable):
            Turns(cloud.dynamodb, "nowhere", per_second=25).front()
