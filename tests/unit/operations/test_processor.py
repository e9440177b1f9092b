"""The processor's key: written from standard input, never shown, and only where it belongs."""

import io
from typing import Any

import boto3
import pytest

from operations.cli import main
from operations.processor import SECRET
from tests.unit.cloud import Cloud

TEST_KEY = "rk_test_51NffrFeUfNV2Hib"
LIVE_KEY = "sk_live_51NffrFeUfNV2Hib"


@pytest.fixture
def secrets(cloud: Cloud) -> Any:
    """The client of secrets, with one for each environment, as the stack makes it: empty."""
    del cloud
    client = boto3.client("secretsmanager")
    for environment in ("dev", "staging", "prod", "production"):
        client.create_secret(Name=f"{SECRET}-{environment}")
    return client


def give(monkeypatch: pytest.MonkeyPatch, environment: str, key: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
    return main(["processor", "set-key", "--env", environment])


def stored(secrets: Any, environment: str) -> str | None:
    try:
        answer: dict[str, str] = secrets.get_secret_value(SecretId=f"{SECRET}-{environment}")
    except secrets.exceptions.ResourceNotFoundException:
        return None
    return answer["SecretString"]


@pytest.mark.parametrize(
    ("environment", "key"),
    [("dev", TEST_KEY), ("staging", TEST_KEY), ("prod", LIVE_KEY), ("production", LIVE_KEY)],
)
def test_a_key_is_stored_where_it_belongs_and_never_shown(
    secrets: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: str,
    key: str,
) -> None:
    assert main(["processor", "status", "--env", environment]) == 1
    assert give(monkeypatch, environment, key) == 0
    assert stored(secrets, environment) == key
    assert main(["processor", "status", "--env", environment]) == 0
    told = "".join(capsys.readouterr())
    assert key not in told
    assert key[8:] not in told
    assert "no key yet" in told
    assert f"{'live' if key == LIVE_KEY else 'test'} key since" in told


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ("dev", LIVE_KEY),
        ("staging", LIVE_KEY),
        ("prod", TEST_KEY),
        ("dev", ""),
        ("dev", "pk_test_51NffrFeUfNV2Hib"),
        ("dev", "whsec_51NffrFeUfNV2Hib"),
        ("dev", f"{TEST_KEY} {TEST_KEY}"),
    ],
)
def test_any_other_key_is_refused_and_not_repeated(
    secrets: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: str,
    key: str,
) -> None:
    assert give(monkeypatch, environment, key) == 1
    assert stored(secrets, environment) is None
    told = "".join(capsys.readouterr())
    assert told.startswith("Nothing was stored")
    assert not key or key not in told


@pytest.mark.parametrize("value", ["something else", LIVE_KEY])
def test_a_value_that_came_another_way_is_found_out(
    secrets: Any, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    secrets.put_secret_value(SecretId=f"{SECRET}-dev", SecretString=value)
    assert main(["processor", "status", "--env", "dev"]) == 1
    told = capsys.readouterr().out
    assert "payments wait" in told
    assert value not in told


@pytest.mark.parametrize("command", ["status", "set-key"])
def test_an_environment_without_a_secret_is_a_failure(
    secrets: Any, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    del secrets
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TEST_KEY}\n"))
    assert main(["processor", command, "--env", "devoid"]) == 2
