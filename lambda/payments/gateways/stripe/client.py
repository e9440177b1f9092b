"""One call to Stripe: the key, the version, and which of our three errors an answer is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from payments.core.faults import GatewayBusy, GatewayRefused, GatewayUnavailable
from payments.gateways.stripe.wire import Answer, Request, Transport

API_VERSION: Final = "2026-08-26.dahlia"
"""The version that every request names, and that the tests' slice of Stripe's document has."""

READ_SECONDS: Final = 8.0
"""How long an answer may take that nobody's bank is asked for."""


class KeyReader(Protocol):
    """Reads the secret key, from memory where it is fresh enough."""

    def __call__(self, *, anew: bool = False) -> str:
        """Return the key, read again if ``anew``; raise ``GatewayRefused`` where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that says what became of a request.

    ``error`` is Stripe's error object, empty where the request was carried out; ``document`` is the
    object that was asked for, empty where there is an error.
    """

    document: Mapping[str, Any]
    error: Mapping[str, Any]
    request_id: str | None


class KeptFailure(GatewayUnavailable):
    """A failure that Stripe keeps under the request's idempotency key and repeats for a day."""


class StripeClient:
    """Calls Stripe with the key of one mode, live or test."""

    def __init__(self, transport: Transport, read_key: KeyReader, *, live: bool) -> None:
        self._transport = transport
        self._read_key = read_key
        self.live = live

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Reply:
        """Read an object. Returns and raises as :meth:`post`."""
        return self._call("GET", path, query or {}, {}, READ_SECONDS)

    def post(
        self,
        path: str,
        form: Mapping[str, str],
        *,
        key: str | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> Reply:
        """Ask for something to be done, under an idempotency key where one is needed.

        Returns:
            What became of it: done, declined, or refused for what it asks for.

        Raises:
            GatewayUnavailable: whether it was done is unknown.
            GatewayBusy: certainly not done; Stripe has too much to do.
            GatewayRefused: certainly not done; the key is missing, wrong, or of the other mode.
        """
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._call("POST", path, form, headers, read_seconds)

    def _call(
        self,
        method: Literal["GET", "POST"],
        path: str,
        fields: Mapping[str, str],
        headers: Mapping[str, str],
        read_seconds: float,
    ) -> Reply:
        def send(key: str) -> Answer:
            return self._transport(
                Request(
                    method=method,
                    path=path,
                    fields=fields,
                    headers={
                        "Authorization": f"Bearer {key}",
                        "Stripe-Version": API_VERSION,
                        **headers,
                    },
                    read_seconds=read_seconds,
                )
            )

        key = self._key(anew=False)
        answer = send(key)
        if answer.status == _UNAUTHORIZED:
            # It was not carried out, and the key may have been rolled since it was read.
            fresh = self._key(anew=True)
            if fresh != key:
                answer = send(fresh)
        return _reply(f"{method} {path}", answer)

    def _key(self, *, anew: bool) -> str:
        mode = "live" if self.live else "test"
        wanted = (f"sk_{mode}_", f"rk_{mode}_")
        key = self._read_key(anew=anew)
        if not anew and not key.startswith(wanted):
            # Somebody may have mended it since it was read.
            key = self._read_key(anew=True)
        if not key.startswith(wanted):
            raise GatewayRefused(f"the processor's key is not a secret or restricted {mode} key")
        return key


_UNAUTHORIZED: Final = 401
_OUR_FAULT: Final = frozenset({401, 403})
_BUSY: Final = 429
_OK: Final = 200
_TOLD: Final = frozenset({400, 402, 404})
"""The statuses of answers that say that a request was not carried out, and why."""


def _reply(asked: str, answer: Answer) -> Reply:
    """Return what an answer says, or raise the error that it is."""
    request_id = answer.headers.get("request-id")
    document = _document(answer.body)
    error = document.get("error")
    error = error if isinstance(error, dict) else {}
    # Stripe's own message may name a customer or a payment method, which no log may hold.
    words = [error.get("type"), error.get("code"), error.get("param"), request_id]
    told = f"{asked}: {answer.status} {' '.join(str(word) for word in words if word)}".rstrip()
    if answer.status == _OK and document and not error:
        return Reply(document, {}, request_id)
    if answer.status == _BUSY:
        reason = answer.headers.get("stripe-rate-limited-reason", "")
        raise GatewayBusy(f"{told} {reason}".rstrip())
    if answer.status in _OUR_FAULT:
        raise GatewayRefused(told)
    if answer.status in _TOLD and error.get("type") in _ERRORS_THAT_TELL:
        return Reply({}, error, request_id)
    if "idempotent-replayed" in answer.headers:
        raise KeptFailure(told)
    raise GatewayUnavailable(told)


_ERRORS_THAT_TELL: Final = frozenset({"card_error", "idempotency_error", "invalid_request_error"})


def _document(body: bytes) -> Mapping[str, Any]:
    """Return the body's JSON object; an empty one if it is HTML of a proxy, or cut off."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
