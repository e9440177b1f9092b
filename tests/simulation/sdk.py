"""SDK clients for the environments of one run after another.

Making a client takes longer than a thousand calls, so there is one a service for all runs. What a
client of boto3 remembers between calls is its quota of retries: each execution environment of a
function has quotas of its own here, as it has clients of its own on AWS.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.retries import quota

from local.clients import session
from payments.runtime.clients import CLIENT_CONFIG

if TYPE_CHECKING:
    import boto3

type Send = Callable[..., AWSResponse]


class Quotas(defaultdict[str, quota.RetryQuota]):
    """What the clients of one execution environment remember, by service."""

    def __init__(self) -> None:
        super().__init__(quota.RetryQuota)


class SdkPool:
    """Clients configured as ``payments.runtime`` does, bound to the wire of the current run."""

    def __init__(self) -> None:
        self._send: Send | None = None
        self._quotas: Callable[[], Quotas] = Quotas
        self._clients: dict[str, Any] = {}
        self._session: boto3.session.Session | None = None

    def start_run(self, send: Send, quotas: Callable[[], Quotas]) -> None:
        """Send through another wire from now on, and count retries where ``quotas`` says."""
        self._send = send
        self._quotas = quotas

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        if service not in self._clients:
            self._clients[service] = self._make(service)
        return self._clients[service]

    def _make(self, service: Any) -> Any:
        if self._session is None:
            self._session = session(region="eu-central-1")
        retries = _QuotaOfWhoCalls(lambda: self._quotas()[service])
        with patch.object(quota, "RetryQuota", lambda: retries):
            client = self._session.client(service, config=_CONFIG)
        client.meta.events.register("before-send", self._dispatch)
        # A tenth of a call's time goes into this header, which nobody reads here.
        client._user_agent_creator.to_string = lambda: "simulator"
        return client

    def _dispatch(self, request: AWSPreparedRequest, **event: Any) -> AWSResponse | None:
        return self._send(request, **event) if self._send else None


class _QuotaOfWhoCalls:
    """A client's quota of retries that is another one for each environment."""

    def __init__(self, current: Callable[[], quota.RetryQuota]) -> None:
        self._current = current

    def acquire(self, amount: int) -> bool:
        return bool(self._current().acquire(amount))

    def release(self, amount: int) -> None:
        self._current().release(amount)


_CONFIG: Final = CLIENT_CONFIG.merge(
    Config(
        signature_version=UNSIGNED,
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # the stubs lack it
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
)
