"""The AWS emulator as a process of its own: on loopback, over TLS, with IAM enforced."""

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from local import certificates, processes, surroundings
from local.errors import RigError
from local.workspace import REPOSITORY, Workspace

HOST = "127.0.0.1"
DEFAULT_PORT = 4566
START_DEADLINE = 60.0  # seconds

# Held for as long as this process lives: Python warns of a child that is let go while it runs.
_children: list[subprocess.Popen[bytes]] = []

# A burst of connections needs more open files than the usual limit of a shell.
_WITH_ALL_FILES = 'ulimit -n "$(ulimit -H -n)" 2>/dev/null; exec "$@"'


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """A running emulator, as recorded in its workspace."""

    pid: int
    started: str
    port: int
    authority: str

    @property
    def endpoint(self) -> str:
        """URL for AWS clients.

        An IP address, because for one every SDK addresses buckets by path without being told to.
        """
        return f"https://{HOST}:{self.port}"

    def api_url(self, *, api_id: str, stage: str) -> str:
        """Return the URL of a deployed REST API for curl, which resolves *.localhost itself."""
        return f"https://{api_id}.execute-api.localhost:{self.port}/{stage}"

    def api_url_by_path(self, *, api_id: str, stage: str) -> str:
        """Return the URL of a deployed REST API for Python, whose resolver knows no *.localhost."""
        return f"{self.endpoint}/restapis/{api_id}/{stage}/_user_request_"


@contextlib.contextmanager
def exclusive(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace for one command at a time.

    Raises:
        RigError: another command is at work in it.
    """
    workspace.state.mkdir(parents=True, exist_ok=True)
    with (workspace.state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RigError(
                f"Another command is at work in {workspace.state}; wait for it to end."
            ) from None
        yield


def recorded(workspace: Workspace) -> Emulator | None:
    """Return the emulator this workspace last started, running or not."""
    try:
        return Emulator(**json.loads(workspace.emulator_record.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def running(workspace: Workspace) -> Emulator | None:
    """Return this workspace's emulator if its process is alive."""
    emulator = recorded(workspace)
    if emulator and processes.start_time(emulator.pid) == emulator.started:
        return emulator
    return None


def free_port() -> int:
    """Return a port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int) -> None:
    """Make sure that the emulator can listen on `port`.

    Raises:
        RigError: something else already does, or the system forbids it.
    """
    with socket.socket() as probe:
        # As servers do: a connection of an earlier emulator in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise RigError(
                f"Port {port} on {HOST} cannot be used: {os.strerror(error.errno or 0)}. "
                f"Stop the program that holds it, or choose another port: make up PORT={port + 1}"
            ) from error


def start(
    workspace: Workspace, *, port: int, settings: Mapping[str, str] | None = None
) -> Emulator:
    """Start an empty emulator and wait until it answers.

    Whatever an earlier emulator of this workspace left behind is removed: its state was in memory.

    Args:
        workspace: where its files go.
        port: where it listens on the loopback interface.
        settings: further environment variables that ministack reads.

    Raises:
        RigError: the port is taken, or the emulator did not come up.
    """
    require_free(port)
    forget(workspace)
    workspace.logs.mkdir(parents=True, exist_ok=True)
    scratch = workspace.emulator_data / "tmp"
    scratch.mkdir(parents=True)
    certificate, key = workspace.emulator_data / "server.pem", workspace.emulator_data / "key.pem"
    certificates.issue(authority=workspace.authority, certificate=certificate, key=key)

    log = workspace.logs / "emulator.log"
    command = [
        *("sh", "-c", _WITH_ALL_FILES, "sh"),
        # Without -P, this package's modules would be importable by their bare names.
        *(sys.executable, "-P", str(REPOSITORY / "local/emulated_aws.py")),
    ]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=workspace.emulator_data,
            env=_environment(workspace, port=port, certificate=certificate, key=key)
            | dict(settings or {}),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    _children.append(process)
    emulator = Emulator(
        pid=process.pid,
        started=processes.start_time(process.pid) or "",
        port=port,
        authority=str(workspace.authority),
    )
    workspace.emulator_record.write_text(json.dumps(asdict(emulator), indent=2) + "\n")
    try:
        _wait_until_ready(emulator, process=process, log=log)
    except BaseException:
        stop(workspace)
        raise
    return emulator


def _environment(
    workspace: Workspace, *, port: int, certificate: Path, key: Path
) -> dict[str, str]:
    data = workspace.emulator_data
    access = surroundings.aws_access(
        endpoint=f"https://{HOST}:{port}",
        authority=workspace.authority,
        region=workspace.region,
    )
    return (
        surroundings.for_emulator(os.environ)
        | access
        | {
            "AUTH": "true",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(certificate),
            "MINISTACK_SSL_KEY": str(key),
            "GATEWAY_PORT": str(port),
            "BIND_HOST": HOST,
            "MINISTACK_REGION": workspace.region,
            "HOME": str(data),
            "TMPDIR": str(data / "tmp"),
            "S3_DATA_DIR": str(data / "s3"),
            "STATE_DIR": str(data / "state"),
            # Side doors that would listen on every interface.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # At its start it removes containers it takes for its own; it shall see none.
            "DOCKER_HOST": f"unix://{data}/no-docker.sock",
            "LAMBDA_EXECUTOR": "local",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
    )


def _wait_until_ready(emulator: Emulator, *, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RigError(f"The emulator ended at once. The end of {log}:\n{tail(log)}")
        if answers(emulator):
            return
        time.sleep(0.1)
    raise RigError(
        f"The emulator gave no answer in {START_DEADLINE:.0f} s; see {log}:\n{tail(log)}"
    )


def answers(emulator: Emulator) -> bool:
    """Whether our emulator, and no other program, answers at its port.

    Its certificate tells: no other program has the key.
    """
    trust = ssl.create_default_context(cafile=emulator.authority)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    try:
        with opener.open(f"{emulator.endpoint}/_ministack/ready", timeout=5) as response:
            ready: bool = response.status == http.client.OK
            return ready
    except (OSError, http.client.HTTPException):
        return False


def tail(log: Path, *, lines: int = 30) -> str:
    """Return the last lines of a log file."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"


def stop(workspace: Workspace) -> bool:
    """Stop this workspace's emulator with all it started; False if it was not running."""
    emulator = running(workspace)
    if emulator:
        processes.end_group(emulator.pid, started=emulator.started)
        for child in _children:
            child.poll()  # so that Python knows of its end, too
    forget(workspace)
    return emulator is not None


def forget(workspace: Workspace) -> None:
    """Remove what only made sense while an emulator held its state in memory."""
    for file in (workspace.emulator_record, workspace.deployment_record, workspace.authority):
        file.unlink(missing_ok=True)
    for directory in (workspace.emulator_data, workspace.synthesised):
        shutil.rmtree(directory, ignore_errors=True)
