"""What the commands for on-call ask for alike."""

import argparse
import os


def add_environment(parser: argparse.ArgumentParser) -> None:
    """Let a command ask for the environment, ``options.env``; a shell's own is the default."""
    parser.add_argument(
        "--env",
        default=os.environ.get("ENVIRONMENT_SUFFIX"),
        required="ENVIRONMENT_SUFFIX" not in os.environ,
        metavar="SUFFIX",
        help="the environment, e.g. dev (default: $ENVIRONMENT_SUFFIX)",
    )
