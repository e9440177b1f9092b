"""A backlog at a processor that takes only so many a second; ``make pace`` works off 5,000 rows."""

from datetime import timedelta

import pytest

from payments.flows import sweep
from tests.simulation import pace
from tests.simulation.pace import Backlog, faults_of, main


def test_rows_are_paid_at_the_rate_and_nobody_is_declined() -> None:
    result = Backlog(150, 25).run()
    assert faults_of(result, 25) == []
    assert (result.busy, result.workflows) == (0, 0)


def test_a_processor_that_takes_fewer_than_agreed_declines_nobody() -> None:
    """Another environment shares the account: Stripe says 429, and the payments wait."""
    result = Backlog(60, 25, limit=10).run()
    assert result.busy > 0
    assert (dict(result.ends), result.charged) == ({"COMPLETED": 60}, 60)
    assert (result.dead, result.workflows) == (0, 0)


@pytest.mark.parametrize("allowance", [True, False])
def test_what_waits_its_turn_is_not_stuck(
    monkeypatch: pytest.MonkeyPatch,
    allowance: bool,  # noqa: FBT001
) -> None:
    """The last payment by API waits for three times as long as one may that has no turn to wait for."""
    monkeypatch.setattr(sweep, "STUCK_AFTER", timedelta(seconds=10))
    monkeypatch.setattr(pace, "_SWEEP_SECONDS", 8.0)
    result = Backlog(120, 4, by_api=True, allowance=allowance).run()
    assert result.charged == 120
    assert any(result.stuck) is not allowance


def test_the_command_tells_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--payments", "60"]) == 0
    assert "60 rows at 25 a second: {'COMPLETED': 60}" in capsys.readouterr().out
    # So few that their answers take as long as they.
    assert main(["--payments", "2", "--api"]) == 1
    assert "of 25 a second" in capsys.readouterr().out
