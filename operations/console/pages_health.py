"""The page about health, and redriving."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from operations.console.page import changes, desk, seen, show
from operations.redrive import Redriven


def health(request: Request) -> Response:
    """Show alarms, queues and dead letters."""
    return _shown(request, None)


@changes
def redrive(request: Request, _: FormData) -> Response:
    """Put dead letters back, and show what became of them."""
    return _shown(request, desk(request).redrive())


def _shown(request: Request, redriven: Redriven | None) -> Response:
    at = desk(request).health
    alarms, no_alarms = seen(at.alarms)
    queues, no_queues = seen(at.queues)
    letters, no_letters = seen(at.dead_letters)
    stuck, no_stuck = seen(at.stuck)
    return show(
        request,
        "health.html",
        alarms=alarms or [],
        firing=[alarm for alarm in alarms or [] if alarm.state == "ALARM"],
        no_alarms=no_alarms,
        queues=queues or [],
        no_queues=no_queues,
        letters=letters or [],
        no_letters=no_letters,
        stuck=stuck or [],
        no_stuck=no_stuck,
        redriven=redriven,
    )
