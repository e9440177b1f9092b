"""The arguments that all commands share, and what their exit codes mean."""

import argparse
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from lib.config import is_suffix

DONE: Final = 0
"""It was done, or is as it should be."""

NO: Final = 1
"""It was answered, and the answer is no: not there, refused, declined, or something does not hold."""

FAILED: Final = 2
"""It could not be asked: usage, settings, credentials or connection. Nothing was changed."""

UNKNOWN: Final = 3
"""It was sent and has no answer: ``payments resume`` sends it again, which is safe."""

INTERRUPTED: Final = 130
"""A person interrupted it."""

type Commands = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse has no public name for it
type Run = Callable[[argparse.Namespace], int]


def add_command(
    commands: Commands, name: str, run: Run, help_: str, *, description: str | None = None
) -> argparse.ArgumentParser:
    """Add a command that ``run`` carries out; ``--env`` and ``--json`` may stand behind it, too."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=help_, description=description or f"{help_[0].upper()}{help_[1:]}."
    )
    add_common(command, default=argparse.SUPPRESS)
    command.set_defaults(run=run)
    return command


def add_group(commands: Commands, name: str, help_: str) -> Commands:
    """Add a command that has commands of its own."""
    group: argparse.ArgumentParser = commands.add_parser(
        name, help=help_, description=f"{help_[0].upper()}{help_[1:]}."
    )
    add_common(group, default=argparse.SUPPRESS)
    return group.add_subparsers(title="commands", required=True, metavar="COMMAND")


def add_common(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    """Let a parser ask for the environment and for JSON."""
    parser.add_argument(
        "--env",
        default=default,
        type=_suffix,
        metavar="SUFFIX",
        help="the environment, such as prod, or local for the cloud on this machine"
        " (default: $ENVIRONMENT_SUFFIX)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=default if default == argparse.SUPPRESS else False,
        help="print the result as one JSON document",
    )


def _suffix(text: str) -> str:
    if not is_suffix(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of an environment, such as prod")
    return text


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Let a command be run by a program, without the question that a person is asked."""
    parser.add_argument("--yes", action="store_true", help="do not ask before money moves")


def moment(text: str) -> datetime:
    """Read a time with its zone.

    Raises:
        argparse.ArgumentTypeError: it is none, or has no zone.
    """
    with suppress(ValueError):
        read = datetime.fromisoformat(text)
        if read.tzinfo is not None:
            return read.astimezone(UTC)
    raise argparse.ArgumentTypeError(
        f"{text!r} is no time with a time zone, such as 2026-03-12T19:00Z"
    )
