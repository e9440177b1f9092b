"""What the commands say at the terminal: plain words, tables, or one JSON document.

Whatever comes from a server, a file or a queue goes through :func:`visible` or :func:`text`, so that
no id, note or cell can drive the terminal or be taken for markup.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from payments.core.payment import PaymentStatus

STYLES: Final = {
    **{status.value: status.colour for status in PaymentStatus},
    "REFUSED": "red",
    "announcement": "magenta",
}
"""In which style a status is shown; what is not among them is shown plain."""


def visible(value: object) -> str:
    r"""Return a value as text of which every character can be seen.

    Control characters, escape sequences and marks that turn the direction of writing are shown as
    their escapes.

    >>> visible("pay_1\x1b[2J\u202e")
    'pay_1\\x1b[2J\\u202e'
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in str(value)
    )


def text(value: object, style: str = "") -> Text:
    """Return a value for rich, which takes nothing in it for markup."""
    return Text(visible(value), style=style)


def status(value: object) -> Text:
    """Return a status in its colour."""
    return text(value, STYLES.get(str(value), ""))


def out() -> Console:
    """Return where results go."""
    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    """Return where everything else goes: questions, progress, errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def document(value: object) -> None:
    """Print a result as JSON in ASCII, which holds no control character."""
    print(json.dumps(value, indent=2, default=str))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()
) -> Table:
    """Return a table of values; ``right`` are the columns that are aligned to the right."""
    made = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for column in made.columns:
        if column.header in right:
            column.justify = "right"
    for row in rows:
        made.add_row(*(each if isinstance(each, Text) else text(each) for each in row))
    return made


def say(message: object, style: str = "") -> None:
    """Print one line of a result."""
    out().print(text(message, style))


def complain(message: object) -> None:
    """Print one line that says what is wrong."""
    err().print(text(message, "red"))


class NobodyToAsk(Exception):
    """A question needs a person, and standard input is no terminal."""


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask before money moves; ``yes`` answers for the person.

    Raises:
        NobodyToAsk: there is no terminal, and ``yes`` was not given.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise NobodyToAsk("nobody is there to confirm: run it at a terminal, or add --yes")
    err().print(text(f"{question} [y/N] ", "bold"), end="")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@contextmanager
def progress(beginning: str) -> Iterator[Any]:
    """Show at a terminal how far something is; the value is called with each new description."""
    console = err()
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as shown:
        task = shown.add_task(beginning, total=None)
        yield lambda description: shown.update(task, description=visible(description))
