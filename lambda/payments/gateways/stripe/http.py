"""The wire to Stripe: urllib3, which boto3 brings along, with one attempt a call."""

import ssl
import time
from threading import Lock
from typing import Final
from urllib.parse import urlencode

import urllib3

from payments.core.faults import GatewayUnavailable
from payments.gateways.stripe.wire import Answer, Request

API_BASE: Final = "https://api.stripe.com"

CONNECT_SECONDS: Final = 3.0

_CONNECTIONS: Final = 10
"""As many as messages are handled side by side."""

_IDLE_SECONDS: Final = 20.0
"""A connection that was idle for longer is not used again.

An environment that was frozen in between does not notice that the other side has closed it, and a
request on it would end as an outcome that is unknown.
"""


class HttpTransport:
    """Carries requests to one base URL. The TLS context, which takes 20 ms, is made at the first."""

    def __init__(self, base_url: str = API_BASE) -> None:
        self._base_url = base_url
        self._lock = Lock()
        self._pool: urllib3.PoolManager | None = None
        self._last_used = 0.0

    def __call__(self, request: Request) -> Answer:
        """See :data:`payments.gateways.stripe.wire.Transport`."""
        form = urlencode(request.fields)
        url, body, headers = f"{self._base_url}{request.path}", None, dict(request.headers)
        if request.method == "POST":
            body = form.encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif form:
            url = f"{url}?{form}"
        try:
            answer = self._connections().request(
                request.method,
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=request.read_seconds),
                # The workflow repeats, counts its attempts, and waits in between.
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise GatewayUnavailable(
                f"{request.method} {request.path}: {type(error).__name__}"
            ) from error
        return Answer(
            answer.status,
            {name.lower(): value for name, value in answer.headers.items()},
            answer.data,
        )

    def _connections(self) -> urllib3.PoolManager:
        with self._lock:
            # Of the wall clock: the monotonic one may stand still while an environment is frozen.
            now = time.time()
            if self._pool is None:
                context = ssl.create_default_context()
                self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, ssl_context=context)
            elif now - self._last_used > _IDLE_SECONDS:
                self._pool.clear()
            self._last_used = now
            return self._pool
