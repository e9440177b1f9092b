"""Starting, recognising and ending the emulator's process, without an emulator."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from cryptography import x509

from local import certificates, emulator, processes
from local.emulator import Emulator
from local.errors import RigError
from local.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(state=tmp_path)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    yield process
    process.kill()
    process.wait()


def _record(workspace: Workspace, *, pid: int, started: str) -> None:
    found = Emulator(pid=pid, started=started, port=4566, authority="ca.pem")
    workspace.emulator_record.write_text(json.dumps(asdict(found)))


def test_a_port_in_use_is_one_clear_message() -> None:
    with socket.socket() as other:
        other.bind((emulator.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RigError, match=f"Port {port} on 127.0.0.1 cannot be used") as told:
            emulator.require_free(port)
    assert f"make up PORT={port + 1}" in str(told.value)


def test_a_free_port_is_free() -> None:
    emulator.require_free(emulator.free_port())


def test_an_emulator_is_running_while_the_process_it_started_as_lives(
    workspace: Workspace, sleeper: subprocess.Popen[bytes]
) -> None:
    started = processes.start_time(sleeper.pid)
    assert started
    _record(workspace, pid=sleeper.pid, started=started)
    assert emulator.running(workspace) == emulator.recorded(workspace)
    sleeper.kill()
    sleeper.wait()
    assert emulator.running(workspace) is None


def test_another_process_with_the_recorded_number_is_left_alone(
    workspace: Workspace, sleeper: subprocess.Popen[bytes]
) -> None:
    _record(workspace, pid=sleeper.pid, started="some other time")
    assert emulator.running(workspace) is None
    assert emulator.stop(workspace) is False
    assert sleeper.poll() is None


def test_what_a_dead_emulator_left_behind_is_removed(workspace: Workspace) -> None:
    _record(workspace, pid=2**22 + 1, started="once")
    workspace.deployment_record.write_text("{}")
    stack = workspace.synthesised / "stacks/payments"
    stack.mkdir(parents=True)
    emulator.stop(workspace)
    assert not workspace.emulator_record.exists()
    assert not workspace.deployment_record.exists()
    assert not workspace.synthesised.exists()


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', "[]"])
def test_a_damaged_record_counts_as_none(workspace: Workspace, text: str) -> None:
    workspace.emulator_record.write_text(text)
    assert emulator.running(workspace) is None


def test_stopping_ends_the_children_too(workspace: Workspace, tmp_path: Path) -> None:
    number = tmp_path / "child.pid"
    # The child ignores the polite request, as a busy function might.
    parent = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal, time\\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\ntime.sleep(60)'])\n"
        f"pathlib.Path({str(number)!r}).write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
    while not number.exists() or not number.read_text():
        time.sleep(0.02)
    child = int(number.read_text())
    _record(workspace, pid=process.pid, started=processes.start_time(process.pid) or "")

    assert emulator.stop(workspace) is True
    assert processes.start_time(process.pid) is None
    deadline = time.monotonic() + 5
    while processes.start_time(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes.start_time(child) is None
    process.returncode = 0  # it was waited for by number


def test_one_command_at_a_time_works_in_a_workspace(workspace: Workspace) -> None:
    with (
        emulator.exclusive(workspace),
        pytest.raises(RigError, match="Another command is at work"),
        emulator.exclusive(workspace),
    ):
        pass
    with emulator.exclusive(workspace):
        pass


def test_a_program_without_our_certificate_is_not_taken_for_the_emulator(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    certificates.issue(
        authority=authority, certificate=tmp_path / "server.pem", key=tmp_path / "key.pem"
    )
    with socket.socket() as other:
        other.bind((emulator.HOST, 0))
        port = other.getsockname()[1]
        found = Emulator(pid=os.getpid(), started="", port=port, authority=str(authority))
        assert emulator.answers(found) is False


def test_the_certificate_names_every_way_to_this_machine(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    certificates.issue(authority=tmp_path / "ca.pem", certificate=tmp_path / "server.pem", key=key)
    certificate = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {
        "localhost",
        "*.localhost",
        "*.execute-api.localhost",
    }
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert key.stat().st_mode & 0o077 == 0
