"""The payments API of one environment, called with the caller's own AWS credentials.

Every request may be sent again without harm, because one id is one payment, refund or capture. So a
request without an answer is sent again a few times. If it still has none, nobody knows whether it
arrived.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import sleep
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ProxyConnectionError,
    SSLError,
)
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from operations import clients

ATTEMPTS: Final = 4
_MOST_SECONDS: Final = 8.0
_PATIENCE: Final = (5, 35)
"""Seconds to connect and to wait for a byte; API Gateway answers within 29."""

_CERTAINLY_NOT_SENT: Final = (
    EndpointConnectionError,
    ConnectTimeoutError,
    ProxyConnectionError,
    SSLError,
)
_UNDECIDED: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Answers after which the same request is to be sent again (openapi.yaml, "When to send again")."""


class NoAnswer(Exception):
    """A request may have arrived, and nobody said what became of it."""


class NoSuchEnvironment(Exception):
    """The account and region of the credentials have no API of this environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the request was carried out, or had been before."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def replayed(self) -> bool:
        """Whether the request had been carried out before."""
        return self.headers.get("idempotent-replayed") == "true"

    def json(self) -> dict[str, Any]:
        """Return the body; an answer that is not a JSON object is told as a problem of its own."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict):
            return parsed
        told = self.body[:200].decode(errors="replace")
        return {"status": self.status, "title": "an answer that is not of this API", "detail": told}

    @property
    def problem(self) -> str:
        """What is wrong, in one line: the detail, and every fault by its field."""
        problem = self.json()
        faults = problem.get("errors")
        several = [
            f"{each.get('field')}: {each.get('message')} ({each.get('code')})"
            for each in (faults if isinstance(faults, list) else [])
            if isinstance(each, dict)
        ]
        detail = problem.get("detail") or problem.get("title") or problem.get("message") or ""
        return f"{self.status} {detail}" + (f" [{'; '.join(several)}]" if several else "")


class PaymentsApi:
    """The API at one URL, whose last segment is the stage."""

    def __init__(
        self, url: str, credentials: Credentials, region: str, *, authority: str | None = None
    ) -> None:
        """Prepare requests.

        Args:
            url: where the API is, over https.
            credentials: who asks.
            region: the region of the environment.
            authority: the file of the authority that vouches for the API, if it is not a usual one.
        """
        self.url = url.rstrip("/")
        self._credentials = credentials
        self._region = region
        self._host = urlsplit(self.url).netloc
        self._session = URLLib3Session(
            verify=authority or True,  # type: ignore[arg-type]  # a file, too
            proxies=get_environ_proxies(self.url),
            timeout=_PATIENCE,  # type: ignore[arg-type]  # to connect and to read, too
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """Send a request until it is answered, and return the answer.

        Raises:
            NoAnswer: it may have arrived, and got no answer that decides.
            BotoCoreError: it was certainly not sent, because there is no connection, for example.
        """
        url = f"{self.url}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        data = json.dumps(body).encode() if body is not None else b""
        why = ""
        for attempt in range(ATTEMPTS):
            try:
                answer = self._once(method, url, data)
            except _CERTAINLY_NOT_SENT as error:
                if not why:
                    raise
                why = str(error)
            except HTTPClientError as error:
                why = str(error)
            else:
                if answer.status not in _UNDECIDED:
                    return answer
                why = answer.problem
                if attempt < ATTEMPTS - 1:
                    sleep(_pause(attempt, answer.headers.get("retry-after")))
                continue
            if attempt < ATTEMPTS - 1:
                sleep(_pause(attempt, None))
        raise NoAnswer(why)

    def _once(self, method: str, url: str, data: bytes) -> Answer:
        headers = {"Accept": "application/json"}
        if data:
            headers["Content-Type"] = "application/json"
        request = AWSRequest(method, url, headers=headers, data=data)
        request.headers["Host"] = self._host
        # Credentials that end are renewed here, all parts of them together.
        frozen = self._credentials.get_frozen_credentials()
        SigV4Auth(frozen, "execute-api", self._region).add_auth(request)
        prepared = request.prepare()
        prepared.url = _reachable(prepared.url)
        response = self._session.send(prepared)
        return Answer(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=response.content,
        )


def _pause(attempt: int, asked: str | None) -> float:
    wanted = float(asked) if asked and asked.isdecimal() else 0.5 * 2**attempt
    return min(wanted, _MOST_SECONDS)


def _reachable(url: str) -> str:
    """Names below localhost are this machine (RFC 6761), which not every resolver knows."""
    parts = urlsplit(url)
    if (parts.hostname or "").endswith(".localhost"):
        return parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()
    return url


def find(suffix: str) -> PaymentsApi:
    """Return the API of an environment, found by its name where the caller's credentials lead.

    Raises:
        NoSuchEnvironment: there is none of this name in the account and region.
        BotoCoreError, ClientError: it cannot be asked for.
    """
    gateway = clients.apigateway()
    name = f"payment-api-{suffix}"
    for page in gateway.get_paginator("get_rest_apis").paginate():
        for api in page["items"]:
            if api["name"] == name:
                return _at(gateway, api["id"], suffix)
    raise NoSuchEnvironment(
        f"there is no {name} in {gateway.meta.region_name}: check the name of the environment,"
        " the region and the account"
    )


def _at(gateway: Any, api_id: str, suffix: str) -> PaymentsApi:
    endpoint = urlsplit(gateway.meta.endpoint_url)
    if endpoint.hostname in {"localhost", "127.0.0.1", "::1"}:
        host = f"{api_id}.execute-api.localhost:{endpoint.port}"
    else:
        # The service's own address has the domain of the partition.
        domain = str(endpoint.hostname).partition(".")[2]
        host = f"{api_id}.execute-api.{domain}"
    credentials, authority = clients.caller()
    if credentials is None:
        raise NoCredentialsError
    return PaymentsApi(
        f"https://{host}/{suffix}", credentials, gateway.meta.region_name, authority=authority
    )
