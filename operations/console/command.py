"""``payments console``: serve the console to one browser on this machine."""

import argparse
import contextlib
import os
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn

from operations import screen
from operations.console.app import console
from operations.console.desk import open_desk
from operations.console.security import Session
from operations.journal import state_folder
from operations.options import DONE

HOST: Final = "127.0.0.1"


def run(options: argparse.Namespace) -> int:
    """Serve until a person interrupts it."""
    desk = open_desk(options.env)
    with socket.create_server((HOST, options.port)) as listening:
        session = Session(f"{HOST}:{listening.getsockname()[1]}")
        if options.json:
            screen.document({"environment": desk.suffix, "who": desk.who, "address": session.door})
        else:
            screen.say(f"The console of {desk.suffix}, as {desk.who}:")
            screen.say(session.door, "bold")
            screen.say("This address opens one browser, once. Ctrl-C ends the console.")
        # Whoever reads this waits for the address, not for the end.
        sys.stdout.flush()
        with contextlib.ExitStack() as until_the_end:
            if not options.no_browser:
                until_the_end.enter_context(_opened(session.door))
            server(desk_app=console(desk, session)).run(sockets=[listening])
    return DONE


@contextlib.contextmanager
def _opened(door: str) -> Iterator[None]:
    """Open the browser by a file that only this user can read: everybody sees arguments of programs."""
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix="console-", suffix=".html")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f'<meta http-equiv="refresh" content="0;url={door}">')
        webbrowser.open(Path(name).as_uri())
        yield
    finally:
        Path(name).unlink()


def server(*, desk_app: object) -> uvicorn.Server:
    """Return a server that says nothing of requests, whose addresses hold ids."""
    return uvicorn.Server(
        uvicorn.Config(
            desk_app,  # type: ignore[arg-type]  # an ASGI application
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
        )
    )
