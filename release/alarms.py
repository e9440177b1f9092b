"""Watch the alarms of an environment after a deployment: ``python -m release.alarms --env prod``.

Exit codes: 0 none fired; 1 one did; 2 they could not be looked at.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import boto3

from operations.clients import AWS_FAILURES
from operations.failures import tell

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

QUIET, FIRING = 0, 1
PAUSE_SECONDS: Final = 30.0


class NoAlarmsError(Exception):
    """The environment has no alarms, so that nothing watches it."""


def firing(client: "CloudWatchClient", environment: str) -> Iterator[tuple[str, str]]:
    """Yield name and reason of each alarm of an environment that fires now.

    Raises:
        NoAlarmsError: it has none at all.
    """
    found = 0
    for page in client.get_paginator("describe_alarms").paginate(
        AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    ):
        for alarm in [*page["MetricAlarms"], *page["CompositeAlarms"]]:
            if alarm["AlarmName"].endswith(f"-{environment}"):
                found += 1
                if alarm["StateValue"] == "ALARM":
                    yield alarm["AlarmName"], alarm.get("StateReason", "no reason is given")
    if not found:
        raise NoAlarmsError(f"{environment!r} has no alarms, so that nothing watches it")


def watch(
    look: Callable[[], Sequence[tuple[str, str]]],
    *,
    minutes: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Sequence[tuple[str, str]]:
    """Look again and again and return what fires as soon as something does; nothing in the end."""
    deadline = now() + minutes * 60
    while not (found := look()):
        if now() >= deadline:
            return []
        sleep(PAUSE_SECONDS)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release.alarms", description=__doc__)
    parser.add_argument("--env", required=True, metavar="SUFFIX", help="such as prod")
    parser.add_argument("--minutes", type=float, default=15.0, help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        client = boto3.client("cloudwatch")
        found = watch(lambda: list(firing(client, options.env)), minutes=options.minutes)
    except (*AWS_FAILURES, NoAlarmsError) as error:
        return tell(f"The alarms of {options.env!r} cannot be watched", error)
    for name, reason in found:
        print(f"{name} fires: {reason}")
    if not found:
        print(f"No alarm of {options.env!r} fired within {options.minutes:g} minutes.")
    return FIRING if found else QUIET


if __name__ == "__main__":
    sys.exit(main())
