"""SDK clients for the environments of one run after another.

Making a client takes longer than a hundred calls, so they are used again; what a client remembers
between calls, its quota of retries, is filled up before.
"""

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

_EVERYTHING: Final = 10**6


class SdkPool:
    """Clients configured as ``payments.runtime`` does, each bound to the wire of the current run."""

    def __init__(self) -> None:
        self._send: Send | None = None
        self._free: dict[str, list[tuple[Any, quota.RetryQuota]]] = {}
        self._taken: list[tuple[str, Any, quota.RetryQuota]] = []
        self._session: boto3.session.Session | None = None

    def start_run(self, send: Send) -> None:
        """Take all clients back, fill their quotas, and send through another wire from now on."""
        self._send = send
        for service, client, retries in self._taken:
            retries.release(_EVERYTHING)
            self._free.setdefault(service, []).append((client, retries))
        self._taken.clear()

    def client(self, service: str) -> Any:
        """Return a client that nobody else uses in this run."""
        free = self._free.get(service)
        client, retries = free.pop() if free else self._make(service)
        self._taken.append((service, client, retries))
        return client

    def _make(self, service: Any) -> tuple[Any, quota.RetryQuota]:
        if self._session is None:
            self._session = session(region="eu-central-1")
        retries = quota.RetryQuota()
        with patch.object(quota, "RetryQuota", lambda: retries):
            client = self._session.client(service, config=_CONFIG)
        client.meta.events.register("before-send", self._dispatch)
        return client, retries

    def _dispatch(self, request: AWSPreparedRequest, **event: Any) -> AWSResponse | None:
        return self._send(request, **event) if self._send else None


_CONFIG: Final = CLIENT_CONFIG.merge(
    Config(
        signature_version=UNSIGNED,
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # the stubs lack it
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
)
