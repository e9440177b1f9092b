"""The signed client: what is asked again, what is certain, and where an environment's API is."""

from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import EndpointConnectionError, HTTPClientError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

from operations import api, clients
from operations.api import NoAnswer, NoSuchEnvironment, PaymentsApi

URL = "https://a1.execute-api.eu-west-1.amazonaws.com/test"
DOWN = EndpointConnectionError(endpoint_url=URL)
SLOW = ReadTimeoutError(endpoint_url=URL)


class Response:
    """What botocore's session answers with."""

    def __init__(
        self, status: int, headers: dict[str, str] | None = None, body: str = "{}"
    ) -> None:
        self.status_code = status
        self.headers = headers or {}
        self.content = body.encode()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Answer with these, one after the other; returns what was sent, and how long was waited."""
    requests: list[Any] = []
    pauses: list[float] = []

    def prepare(*replies: Response | Exception) -> tuple[list[Any], list[float]]:
        remaining = list(replies)

        def send(_: object, request: Any) -> Response:
            requests.append(request)
            reply = remaining.pop(0)
            if isinstance(reply, Exception):
                raise reply
            return reply

        monkeypatch.setattr(URLLib3Session, "send", send)
        monkeypatch.setattr(api, "sleep", pauses.append)
        return requests, pauses

    return prepare


def client(url: str = URL) -> PaymentsApi:
    return PaymentsApi(url, Credentials("AKIAEXAMPLE", "a-secret", "a-token"), "eu-west-1")


def test_a_request_is_signed_for_the_api_with_the_callers_key(sent: Any) -> None:
    [requests, _] = sent(Response(200))
    assert client().request("POST", "/payments", body={"a": 1}).status == 200
    [request] = requests
    signature = request.headers["Authorization"]
    assert "Credential=AKIAEXAMPLE/" in signature
    assert "/eu-west-1/execute-api/aws4_request" in signature
    assert request.headers["X-Amz-Security-Token"] == "a-token"
    assert request.url == f"{URL}/payments"
    assert request.body == b'{"a": 1}'


def test_a_name_below_localhost_is_this_machine_and_signed_as_the_name(sent: Any) -> None:
    [requests, _] = sent(Response(200))
    client("https://a1.execute-api.localhost:4566/local").request(
        "GET", "/payments", query={"b": "x y&"}
    )
    [request] = requests
    assert request.url == "https://127.0.0.1:4566/local/payments?b=x%20y%26"
    assert request.headers["Host"] == "a1.execute-api.localhost:4566"


@pytest.mark.parametrize(
    "undecided", [SLOW, HTTPClientError(error="cut"), Response(429), Response(500), Response(503)]
)
def test_what_does_not_decide_is_asked_again(sent: Any, undecided: Response | Exception) -> None:
    [requests, pauses] = sent(undecided, undecided, Response(202))
    assert client().request("POST", "/payments", body={}).status == 202
    assert len(requests) == 3
    assert pauses == [0.5, 1.0]


def test_the_pause_is_the_one_that_was_asked_for_and_never_endless(sent: Any) -> None:
    busy = [Response(503, {"Retry-After": wait}) for wait in ("2", "3600", "soon")]
    [_, pauses] = sent(*busy, Response(200))
    client().request("GET", "/payments")
    assert pauses == [2.0, 8.0, 2.0]


def test_no_answer_after_all_tries_is_unknown(sent: Any) -> None:
    [requests, _] = sent(SLOW, Response(500), DOWN, SLOW)
    with pytest.raises(NoAnswer):
        client().request("POST", "/payments", body={})
    assert len(requests) == 4


def test_what_could_not_be_sent_at_all_is_certain(sent: Any) -> None:
    sent(DOWN)
    with pytest.raises(EndpointConnectionError):
        client().request("POST", "/payments", body={})


@pytest.mark.parametrize("status", [200, 202, 400, 401, 403, 404, 409])
def test_what_decides_is_asked_once(sent: Any, status: int) -> None:
    [requests, _] = sent(Response(status))
    assert client().request("POST", "/payments", body={}).status == status
    assert len(requests) == 1


@pytest.mark.parametrize("body", ["", "<html>", "[]", '"x"', "\x00"])
def test_an_answer_of_something_else_is_told(sent: Any, body: str) -> None:
    sent(Response(403, body=body))
    answer = client().request("GET", "/payments")
    assert "403" in answer.problem


class Gateway:
    """An API Gateway with two environments, on two pages."""

    def __init__(self, endpoint: str) -> None:
        self.meta = self
        self.endpoint_url = endpoint
        self.region_name = "eu-west-1"

    def get_paginator(self, _: str) -> "Gateway":
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [
            {"items": [{"id": "a0", "name": "payment-api-prod"}]},
            {"items": [{"id": "a1", "name": "payment-api-test"}]},
        ]


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("https://apigateway.eu-west-1.amazonaws.com", URL),
        ("https://127.0.0.1:4566", "https://a1.execute-api.localhost:4566/test"),
        (
            "https://apigateway.cn-north-1.amazonaws.com.cn",
            "https://a1.execute-api.cn-north-1.amazonaws.com.cn/test",
        ),
    ],
)
def test_an_api_is_found_by_the_name_of_its_environment(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, url: str
) -> None:
    monkeypatch.setattr(clients, "apigateway", lambda: Gateway(endpoint))
    monkeypatch.setattr(clients, "caller", lambda: (Credentials("a", "b"), None))
    assert api.find("test").url == url
    with pytest.raises(NoSuchEnvironment, match="payment-api-none"):
        api.find("none")
