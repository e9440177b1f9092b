"""``payments console``: serve the console to one browser on this machine."""

import argparse
import socket
import webbrowser
from typing import Final

import uvicorn

from operations import screen
from operations.console.app import console
from operations.console.desk import open_desk
from operations.console.security import Session
from operations.options import DONE

HOST: Final = "127.0.0.1"


def run(options: argparse.Namespace) -> int:
    """Serve until a person interrupts it."""
    desk = open_desk(options.env)
    with socket.create_server((HOST, options.port)) as listening:
        session = Session(f"{HOST}:{listening.getsockname()[1]}")
        screen.say(f"The console of {desk.suffix}, as {desk.who}:")
        screen.say(session.door, "bold")
        screen.say("This address opens one browser, once. Ctrl-C ends the console.")
        if not options.no_browser:
            webbrowser.open(session.door)
        server(desk_app=console(desk, session)).run(sockets=[listening])
    return DONE


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
