"""The processor's key: read once in 15 minutes, and again when the processor refuses it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from payments.aws.secret import KEPT_SECONDS, Secret
from payments.core.faults import GatewayRefused, ServiceUnavailable
from tests.unit.cloud import Cloud, calls_of


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client(cloud: Cloud) -> Any:
    """The client of secrets."""
    del cloud
    made = boto3.client("secretsmanager")
    made.create_secret(Name="key")
    return made


def test_it_is_read_again_after_a_quarter_of_an_hour(client: Any) -> None:
    client.put_secret_value(SecretId="key", SecretString="one\n")
    clock = Clock()
    secret, calls = Secret(client, "key", clock=clock), calls_of(client)
    assert (secret(), secret()) == ("one", "one")
    client.put_secret_value(SecretId="key", SecretString="two")
    clock.now += KEPT_SECONDS
    assert secret() == "one"
    clock.now += 1
    assert secret() == "two"
    assert calls.count("GetSecretValue") == 2


def test_it_is_read_anew_when_that_is_asked_for(client: Any) -> None:
    client.put_secret_value(SecretId="key", SecretString="one")
    clock = Clock()
    secret = Secret(client, "key", clock=clock)
    assert secret() == "one"
    client.put_secret_value(SecretId="key", SecretString="two")
    clock.now += 1
    assert secret(anew=True) == "two"
    assert secret() == "two"


def test_ten_messages_that_begin_together_read_it_once(client: Any) -> None:
    client.put_secret_value(SecretId="key", SecretString="one")
    secret, calls, together = Secret(client, "key"), calls_of(client), Barrier(10)

    def ask(_: int) -> str:
        together.wait()
        return secret()

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(ask, range(10))) == {"one"}
    assert calls.count("GetSecretValue") == 1


def test_without_a_value_it_is_refused_until_there_is_one(client: Any) -> None:
    secret = Secret(client, "key")
    with pytest.raises(GatewayRefused, match="ResourceNotFoundException"):
        secret()
    client.put_secret_value(SecretId="key", SecretString="one")
    assert secret() == "one"


@pytest.mark.parametrize("value", ["", " \n"])
def test_an_empty_value_is_none_and_is_not_remembered(
    client: Any, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    client.put_secret_value(SecretId="key", SecretString="one")
    read = client.get_secret_value
    monkeypatch.setattr(client, "get_secret_value", lambda **_: {"SecretString": value})
    secret = Secret(client, "key")
    with pytest.raises(GatewayRefused, match="no value"):
        secret()
    monkeypatch.setattr(client, "get_secret_value", read)
    assert secret() == "one"


class _Broken:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_secret_value(self, **_: Any) -> Any:
        raise self._error


def _answer(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "…"}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_answer("AccessDeniedException"), GatewayRefused),
        (_answer("DecryptionFailure"), GatewayRefused),
        (_answer("InvalidRequestException"), GatewayRefused),
        (_answer("ThrottlingException"), ServiceUnavailable),
        (_answer("InternalServiceError"), ServiceUnavailable),
        (EndpointConnectionError(endpoint_url="https://localhost"), ServiceUnavailable),
    ],
)
def test_what_on_call_must_fix_is_told_from_what_passes(
    error: Exception, expected: type[Exception]
) -> None:
    broken: Any = _Broken(error)
    read = Secret(broken, "key")
    with pytest.raises(expected):
        read()
