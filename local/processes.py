"""Telling processes apart, so that only the one we started is ever ended."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

PROC = Path("/proc")


def start_time(pid: int) -> str | None:
    """Return a token for when process `pid` started, None if there is no such process.

    A number is used again after its process ended; number and token together are not. A zombie
    counts as ended.
    """
    # A child of this very process stays a zombie until somebody asks for its end.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    if (PROC / "self" / "stat").exists():
        return _start_time_from_proc(pid)
    return _start_time_from_ps(pid)


def _start_time_from_proc(pid: int) -> str | None:
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold anything; state is field 3 and start time field 22.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else f"{_boot_id()}/{fields[19]}"


def _boot_id() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _start_time_from_ps(pid: int) -> str | None:
    listed = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)],
        capture_output=True,
        check=False,
        env=os.environ | {"LC_ALL": "C", "TZ": "UTC"},
        text=True,
    )
    state, _, started = listed.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def end_group(pid: int, *, started: str, patience: float = 10.0) -> None:
    """End process `pid` and the rest of its process group, and wait until they are gone.

    Does nothing when the process with this number is not the one that started at `started`.

    Args:
        pid: leader of a process group of its own.
        started: what `start_time` said when it was launched.
        patience: seconds before asking is over and killing begins.
    """
    if start_time(pid) != started:
        return
    os.killpg(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while start_time(pid) == started and time.monotonic() < deadline:
        time.sleep(0.05)
    # Its children, and the process itself if it would not listen.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    while start_time(pid) == started:
        time.sleep(0.05)
