"""What the rig says at the terminal: each step, and how long it took."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.status import Status

HEARTBEAT = 20.0  # seconds between two signs of life where no spinner turns

console = Console(highlight=False, soft_wrap=True)


class Step:
    """A step under way; `note` tells how far it has come."""

    def __init__(self, what: str, spinner: Status | None) -> None:
        self._what = what
        self._spinner = spinner
        self._started = self._spoke = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the step has been under way."""
        return time.monotonic() - self._started

    def note(self, progress: str) -> None:
        """Say how far the step has come, without flooding a log file."""
        if self._spinner:
            self._spinner.update(f"{self._what} [dim]{progress}[/dim]")
        elif time.monotonic() - self._spoke > HEARTBEAT:
            self._spoke = time.monotonic()
            console.print(f"    {progress} after {self.seconds:.0f} s")


@contextlib.contextmanager
def step(what: str) -> Iterator[Step]:
    """Name what is about to be done, then say how long it took.

    Args:
        what: the step in words, without markup of rich's.
    """
    if console.is_terminal:
        with console.status(what) as spinner:
            under_way = Step(what, spinner)
            yield under_way
    else:
        console.print(f"  … {what}")
        under_way = Step(what, None)
        yield under_way
    console.print(f"  [green]✓[/green] {what} [dim]({under_way.seconds:.1f} s)[/dim]")
