"""A plain HTTP client of the payments API, for Python programs on this machine."""

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from local.errors import RigError
from payments.core.payment import PaymentStatus

SETTLED = frozenset(status.value for status in PaymentStatus if status.is_settled)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the API answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


class PaymentsApi:
    """The API at one base URL. It signs nothing and follows no redirect or proxy."""

    def __init__(self, base_url: str, *, authority: str) -> None:
        self.base_url = base_url
        trust = ssl.create_default_context(cafile=authority)
        self._opener = urllib.request.OpenerDirector()
        self._opener.add_handler(urllib.request.HTTPSHandler(context=trust))

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 35.0,
    ) -> Answer:
        """Send one request and return the answer, whatever its status.

        Args:
            method: an HTTP method.
            path: the path below the stage, such as `/payments`.
            body: bytes as they are, or an object to send as JSON.
            headers: headers to add; a body is `application/json` unless they say otherwise.
            timeout: seconds without a byte before the request is given up.

        Raises:
            OSError: no answer came.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Accept": "application/json"}
        if data is not None:
            sent["Content-Type"] = "application/json"
        request = urllib.request.Request(  # noqa: S310 - the opener speaks https only
            self.base_url + path, data=data, headers=sent | dict(headers or {}), method=method
        )
        response = self._opener.open(request, timeout=timeout)
        if response is None:
            raise RigError(f"Only https is spoken here, not {self.base_url}")
        with response:
            return Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=response.read(),
            )

    def submit(self, payment: bytes | Mapping[str, object]) -> Answer:
        """POST a payment."""
        return self.request("POST", "/payments", body=payment)

    def payment(self, payment_id: str) -> Answer:
        """GET a payment."""
        return self.request("GET", f"/payments/{payment_id}")

    def final(self, payment_id: str, *, patience: float = 60.0) -> dict[str, Any]:
        """Wait until a payment is settled and return it.

        A payment that is not there yet is waited for, too: rows of a batch arrive on their own.

        Raises:
            TimeoutError: it had no final status after `patience` seconds.
        """
        return self.ended(f"/payments/{payment_id}", SETTLED, patience=patience)

    def ended(
        self, path: str, statuses: Collection[str], *, patience: float = 60.0
    ) -> dict[str, Any]:
        """Wait until what is at a path has one of some statuses, and return it.

        Raises:
            TimeoutError: it had none of them after `patience` seconds.
        """
        deadline = time.monotonic() + patience
        while True:
            answer = self.request("GET", path)
            if answer.status == 200 and answer.json()["status"] in statuses:  # noqa: PLR2004
                return answer.json()
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{path} has no final status after {patience:.0f} s; "
                    f"the last answer was {answer.status}: {answer.body.decode(errors='replace')}"
                )
            time.sleep(0.3)
