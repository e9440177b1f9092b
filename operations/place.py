"""Where a command's environment is: in AWS, as the shell's settings say, or on this machine."""

import os
from urllib.parse import urlsplit

from lib.config import LOCAL
from local import emulator, surroundings
from local.deployment import configuration
from local.errors import RigError
from local.workspace import Workspace


def enter(suffix: str | None) -> None:
    """Point this process at the local cloud if that is the environment, as ``make env`` does.

    A shell that leads to this machine already keeps its settings: its keys may be another person's.

    Raises:
        RigError: the local cloud does not run.
    """
    if suffix != LOCAL or leads_to_this_machine():
        return
    workspace = Workspace()
    found = emulator.running(workspace)
    if found is None:
        raise RigError("The local cloud is not running: run make up first.")
    surroundings.forget_aws(os.environ)
    os.environ.update(
        surroundings.aws_access(
            endpoint=found.endpoint, authority=workspace.authority, region=workspace.region
        )
        | configuration(workspace)
    )


def leads_to_this_machine() -> bool:
    """Say whether the settings of the shell lead AWS clients to this machine."""
    host = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname
    return host in {"localhost", "127.0.0.1", "::1"}
