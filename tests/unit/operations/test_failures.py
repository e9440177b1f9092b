"""A command that cannot reach AWS says in one line which setting is to blame, and what to do."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)

from operations import clients
from operations.cli import main
from operations.failures import UnusableSettings, in_words

REPOSITORY = Path(__file__).parents[3]
ACCESS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "a-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
SPAN = ["--from", "2026-01-01T00:00Z", "--to", "2026-01-02T00:00Z"]
COMMANDS: dict[str, list[str]] = {
    "audit": ["audit", "verify"],
    "dashboard": ["dashboard"],
    "get": ["get", "pay_1"],
    "pay": ["pay", "1.00", "USD", "--yes"],
    "redrive": ["redrive"],
    "republish": ["republish", *SPAN],
    "trace": ["trace", "pay_1"],
}


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A shell without any AWS setting, of somebody without AWS files."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return monkeypatch


@pytest.fixture
def closed_port() -> int:
    """A port of this machine where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _set(shell: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        shell.setenv(name, value)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            ACCESS | {"AWS_PROFILE": "gone"},
            (
                "AWS_PROFILE names the AWS profile 'gone', which does not exist: unset AWS_PROFILE,"
                " or set it to a profile that does"
            ),
        ),
        (
            ACCESS | {"AWS_DEFAULT_PROFILE": "gone", "AWS_PROFILE": "also-gone"},
            (
                "AWS_DEFAULT_PROFILE names the AWS profile 'gone', which does not exist: unset"
                " AWS_DEFAULT_PROFILE, or set it to a profile that does"
            ),
        ),
        ({}, "no region is set: set AWS_REGION, such as AWS_REGION=us-east-1"),
        (
            ACCESS | {"AWS_DEFAULT_REGION": "us east"},
            "AWS_DEFAULT_REGION is 'us east', which is no region: set it to one, such as us-east-1",
        ),
        (
            {"AWS_REGION": "us-east-1"},
            (
                "there are no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and"
                " AWS_SECRET_ACCESS_KEY"
            ),
        ),
        (
            {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"},
            (
                "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not: set both, or unset"
                " AWS_ACCESS_KEY_ID"
            ),
        ),
        (
            ACCESS | {"AWS_ENDPOINT_URL": "localhost:4566"},
            (
                "AWS_ENDPOINT_URL is 'localhost:4566', which is no URL: unset it, or set it to one"
                " such as https://localhost:4566"
            ),
        ),
        (
            ACCESS | {"AWS_MAX_ATTEMPTS": "many"},
            (
                "invalid literal for int() with base 10: 'many'. The shell sets AWS_ACCESS_KEY_ID,"
                " AWS_DEFAULT_REGION, AWS_EC2_METADATA_DISABLED, AWS_MAX_ATTEMPTS,"
                " AWS_SECRET_ACCESS_KEY: correct or unset what is wrong"
            ),
        ),
    ],
    ids=lambda value: (
        "-".join(sorted(value.keys() - ACCESS.keys())) if isinstance(value, dict) else ""
    ),
)
def test_a_setting_that_leads_nowhere_is_named(
    command: str,
    settings: dict[str, str],
    told: str,
    shell: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _set(shell, settings)
    assert main(["--env", "test", *COMMANDS[command]]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.partition(": ")[2] == told


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_broken_configuration_file_is_named_with_the_variable_that_leads_to_it(
    variable: str, shell: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken").write_text("rubbish\n[")
    _set(shell, {"AWS_DEFAULT_REGION": "us-east-1", variable: "~/broken"})
    assert main(["--env", "test", "redrive"]) == 2
    told = capsys.readouterr().err
    assert "broken cannot be read: correct it" in told
    assert f"or unset {variable}" in told


def test_an_endpoint_where_nothing_answers_is_named_with_its_variable(
    shell: pytest.MonkeyPatch, closed_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = f"https://127.0.0.1:{closed_port}"
    _set(shell, ACCESS | {"AWS_ENDPOINT_URL_SQS": endpoint, "AWS_ENDPOINT_URL": "https://other"})
    assert main(["--env", "test", "redrive"]) == 2
    assert capsys.readouterr().err == (
        f"The dead letters of 'test' cannot be redriven: nothing answers at {endpoint}, which"
        " AWS_ENDPOINT_URL_SQS names: run make up, or unset AWS_ENDPOINT_URL_SQS\n"
    )


def test_a_command_ends_with_one_line_and_no_stack_trace(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "operations", "--env", "test", "redrive"],
        cwd=REPOSITORY,
        env={"HOME": str(tmp_path), "AWS_PROFILE": "gone", "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "unset AWS_PROFILE" in ended.stderr


def test_a_region_named_as_deployments_name_it_is_used(shell: pytest.MonkeyPatch) -> None:
    _set(shell, ACCESS | {"AWS_REGION": "eu-west-1"})
    assert clients.sqs().meta.region_name == "us-east-1", "AWS_DEFAULT_REGION comes first"
    shell.delenv("AWS_DEFAULT_REGION")
    assert clients.sqs().meta.region_name == "eu-west-1"


@pytest.mark.parametrize(
    ("error", "settings", "told"),
    [
        (
            PartialCredentialsError(
                provider="shared-credentials-file", cred_var="aws_secret_access_key"
            ),
            {},
            (
                "aws_secret_access_key is missing from the credentials (shared-credentials-file):"
                " add it, or set AWS_PROFILE to another profile"
            ),
        ),
        (
            ProxyConnectionError(proxy_url="http://user:word@proxy:1"),
            {"https_proxy": "http://user:word@proxy:1"},
            "the proxy that https_proxy names does not answer: correct or unset https_proxy",
        ),
        (
            SSLError(
                endpoint_url="https://sqs.us-east-1.amazonaws.com/q", error=OSError("no such file")
            ),
            {"AWS_CA_BUNDLE": "/gone.pem"},
            (
                "the certificate of https://sqs.us-east-1.amazonaws.com cannot be checked (no such"
                " file): set AWS_CA_BUNDLE to the file of the authority that issued it, or unset it"
                " for AWS itself"
            ),
        ),
        (
            ClientError({"Error": {"Code": "ExpiredToken", "Message": "x"}}, "GetQueueUrl"),
            ACCESS | {"AWS_SESSION_TOKEN": "a-token"},
            (
                "AWS refuses the credentials (ExpiredToken): correct or unset AWS_ACCESS_KEY_ID,"
                " AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN"
            ),
        ),
        (
            ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "x"}}, "Scan"),
            {"AWS_PROFILE": "mine"},
            "AWS refuses the credentials (InvalidClientTokenId): correct or unset AWS_PROFILE",
        ),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "not yours"}}, "Scan"),
            ACCESS,
            "An error occurred (AccessDenied) when calling the Scan operation: not yours",
        ),
        (UnusableSettings("two\nlines"), {}, "two lines"),
        (UnusableSettings("x" * 10_000), {}, "x" * 500 + "…"),
    ],
)
def test_a_failure_is_put_into_words(
    error: BotoCoreError | ClientError | UnusableSettings, settings: dict[str, str], told: str
) -> None:
    assert in_words(error, settings) == told
    for secret in ("a-secret", "a-token", "user:word"):
        assert secret not in told
