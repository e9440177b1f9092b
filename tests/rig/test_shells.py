"""`eval "$(make env)"` in real shells: afterwards AWS means the local cloud, whatever it meant."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local import surroundings
from local.clients import Clients
from local.emulator import Emulator

SHELLS = [each for each in ("sh", "bash", "dash", "zsh", "ksh") if shutil.which(each)]
ENDPOINT = "https://127.0.0.1:4600"
VARIABLES = surroundings.aws_access(
    endpoint=ENDPOINT, authority=Path("/some where/it's/ca.pem"), region="eu-west-1"
)
INTERFERING = {
    "AWS_PROFILE": "gone",
    "AWS_DEFAULT_PROFILE": "gone, too",
    "AWS_ENDPOINT_URL": "https://elsewhere.example",
    "AWS_ENDPOINT_URL_S3": "https://elsewhere.example",
    "AWS_ENDPOINT_URL_SQS": "no URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_SESSION_TOKEN": "a token\nAWS_PAGER=in two lines",
    "AWS_MAX_ATTEMPTS": "many",
    "AWS_STS_REGIONAL_ENDPOINTS": "rubbish",
    "AWS_DEFAULT_REGION": "us east",
    "AWS_A;B": "a name that no shell can have",
    "BOTOCORE_EXPERIMENTAL__PLUGINS": "gone=gone",
}
HARMLESS = {"AWS_PAGER": "less", "AWS_DEFAULT_OUTPUT": "table", "AWS_CLI_AUTO_PROMPT": "on"}
# What a command does first, and what it would then speak to.
PROGRAM = """
import boto3
for service in ("s3", "sqs", "sts"):
    client = boto3.client(service)
    print(client.meta.endpoint_url, client.meta.region_name)
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A shell's variables with all that could interfere, two broken files included."""
    broken = tmp_path / "broken"
    broken.write_text("rubbish\n[")
    (tmp_path / ".aws").mkdir()
    for name in ("config", "credentials"):
        (tmp_path / ".aws" / name).write_text("rubbish\n[")
    files = {"AWS_CONFIG_FILE": str(broken), "AWS_SHARED_CREDENTIALS_FILE": str(broken)}
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **files, **INTERFERING, **HARMLESS}


def _ran(shell: str, commands: str, machine: dict[str, str]) -> list[str]:
    ran = subprocess.run(
        [shell, "-eu", "-c", commands],
        env=machine,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_client_of_the_shell_speaks_to_the_local_cloud(
    shell: str, machine: dict[str, str]
) -> None:
    commands = surroundings.shell_commands(VARIABLES, machine)
    program = f"{shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)}"
    told = _ran(shell, f"eval {shlex.quote(commands)}\n{program}", machine)
    assert told == [f"{ENDPOINT} eu-west-1"] * 3


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_has_what_was_set_and_nothing_that_interferes(
    shell: str, machine: dict[str, str]
) -> None:
    commands = surroundings.shell_commands(VARIABLES, machine)
    shown = " ".join(f'"${{{name}-unset}}"' for name in (*VARIABLES, *HARMLESS, "AWS_PROFILE"))
    told = _ran(shell, f"eval {shlex.quote(commands)}\nprintf '%s\\n' {shown}", machine)
    assert told == [*VARIABLES.values(), *HARMLESS.values(), "unset"]


def test_what_is_printed_serves_another_shell_as_well(machine: dict[str, str]) -> None:
    commands = surroundings.shell_commands(VARIABLES, {})
    others = {name: machine[name] for name in ("PATH", "HOME", "AWS_PROFILE", "AWS_SESSION_TOKEN")}
    program = f"{shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)}"
    told = _ran("sh", f"eval {shlex.quote(commands)}\n{program}", others)
    assert told == [f"{ENDPOINT} eu-west-1"] * 3


def test_a_command_for_on_call_is_started_without_what_interferes(
    machine: dict[str, str],
) -> None:
    given = surroundings.for_operations(machine) | VARIABLES
    assert given.keys() & INTERFERING.keys() == {"AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"}
    assert given["AWS_ENDPOINT_URL"] == ENDPOINT
    assert given.items() >= HARMLESS.items()


def test_the_rigs_own_clients_read_nothing_of_the_machine(
    machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in machine.items():
        monkeypatch.setenv(name, value)
    emulator = Emulator(pid=1, started="", port=4600, authority="/ca.pem")
    clients = Clients(emulator, region="eu-west-1")
    for client in (clients.s3, clients.sqs, clients.dynamodb, clients.functions):
        assert client.meta.endpoint_url == emulator.endpoint
        assert client.meta.region_name == "eu-west-1"


def test_a_program_forgets_the_aws_of_its_machine(machine: dict[str, str]) -> None:
    surroundings.forget_aws(machine)
    assert machine.keys() & INTERFERING.keys() == set()
    assert machine["AWS_CONFIG_FILE"] == machine["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert machine.items() >= HARMLESS.items()
