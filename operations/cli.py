"""``payments``: one command line for everybody who works with payments, on AWS and on this machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from local.errors import RigError
from operations import (
    audit,
    batch,
    books,
    clients,
    doctor,
    look,
    money,
    place,
    processor,
    redrive,
    republish,
    review,
    screen,
    trace,
)
from operations.api import NoAnswer, NoSuchEnvironment
from operations.batch import Refused
from operations.batches import NotABatch, Standstill
from operations.failures import tell
from operations.options import (
    DONE,
    FAILED,
    INTERRUPTED,
    NO,
    UNKNOWN,
    Commands,
    add_command,
    add_common,
)
from operations.screen import NobodyToAsk

_HELP: Final = f"""
exit codes:
  {DONE}    it was done, or all is as it should be
  {NO}    the answer is no: not there, refused, failed, or something does not hold
  {FAILED}    it could not be asked: usage, settings, credentials, connection; nothing was changed
  {UNKNOWN}    it was sent and has no answer: payments resume sends the same again, which is safe
  {INTERRUPTED}  a person interrupted it

Credentials and region are those of the AWS CLI: AWS_PROFILE, AWS_REGION and so on.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (``operations.options``)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.env is None and options.run is not doctor.run:
        parser.error("name the environment: --env dev, or export ENVIRONMENT_SUFFIX=dev")
    try:
        place.enter(options.env)
        code: int = options.run(options)
    except (NobodyToAsk, NoSuchEnvironment, NotABatch, RigError) as error:
        screen.complain(error)
        return FAILED
    except (Refused, Standstill) as error:
        screen.complain(error)
        return NO
    except NoAnswer as error:
        screen.complain(f"{options.env!r} gave no answer: {error}")
        return FAILED
    except clients.AWS_FAILURES as error:
        return tell(f"{options.env!r} cannot be asked", error)
    except KeyboardInterrupt:
        screen.complain("Interrupted.")
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="payments",
        description="Pay, look, give back, review, and keep the payment system well.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_common(parser, default=os.environ.get("ENVIRONMENT_SUFFIX") or None)
    commands: Commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for part in (
        *(money, look, batch, review, trace, audit, books),
        *(redrive, republish, processor, doctor),
    ):
        part.add_to(commands)
    dashboard_ = add_command(commands, "dashboard", _dashboard, "draw the dashboard as a picture")
    dashboard_.add_argument(
        "--picture", metavar="FILE", help="where to (default: docs/dashboard.png)"
    )
    console_ = add_command(
        commands, "console", _console, "serve the console, a local web page, to your browser"
    )
    console_.add_argument("--port", type=int, default=0, help="where to (default: any free port)")
    console_.add_argument("--no-browser", action="store_true", help="only print the address")
    return parser


def _console(options: argparse.Namespace) -> int:
    from operations.console import command  # noqa: PLC0415

    return command.run(options)


def _dashboard(options: argparse.Namespace) -> int:
    # Drawing takes matplotlib, whose import takes longer than most commands do.
    from operations import dashboard  # noqa: PLC0415

    return dashboard.run(options)


if __name__ == "__main__":
    sys.exit(main())
