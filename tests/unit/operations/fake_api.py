"""A payments API in process, for the command line and the console: it answers what a test says."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from operations.api import Answer, PaymentsApi

type Reply = tuple[int, Mapping[str, Any]] | Exception


WAITING: dict[str, Any] = {
    "data": [
        {
            "kind": "payment",
            "payment_id": "pay_1",
            "amount": "25000.00",
            "amount_minor": 2500000,
            "currency": "USD",
            "submitted_by": "alice",
            "waits_since": "2026-03-12T19:03:58.123456Z",
            "ends_at": "2026-03-15T19:03:58.123456Z",
        },
        {
            "kind": "refund",
            "payment_id": "pay_2",
            "refund_id": "re_1",
            "amount": "20000.00",
            "amount_minor": 2000000,
            "currency": "USD",
            "reason": "returned",
            "submitted_by": "bob",
            "waits_since": "2026-03-14T08:00:00.123456Z",
            "ends_at": "2026-03-17T08:00:00.123456Z",
        },
    ],
    "has_more": True,
}
"""What ``GET /reviews`` answers: a payment of Alice's and a refund of Bob's."""


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | None


@dataclass
class FakeApi:
    """Answers with ``replies``, by method and path: each once in its order, the last for ever."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = "https://a1.execute-api.eu-west-1.amazonaws.com/test"
    before: Callable[[Asked], None] = lambda _: None

    def on(self, request: str, *replies: Reply) -> "FakeApi":
        """Say what ``POST /payments``, for example, is answered with."""
        self.replies[request] = list(replies)
        return self

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """Answer as :meth:`operations.api.PaymentsApi.request` does."""
        asked = Asked(method, path, dict(query or {}), body)
        self.before(asked)
        self.asked.append(asked)
        replies = self.replies.get(f"{method} {path}", [(404, {"detail": "no such thing"})])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, Exception):
            raise reply
        status, document = reply
        headers = {name[1:]: value for name, value in document.items() if name.startswith(":")}
        shown = {name: value for name, value in document.items() if not name.startswith(":")}
        return Answer(status=status, headers=headers, body=json.dumps(shown).encode())

    @property
    def as_api(self) -> PaymentsApi:
        """The same, for who asks for the real one."""
        return self  # type: ignore[return-value]  # it has all that is used


def payment(status: str = "COMPLETED", **more: Any) -> dict[str, Any]:
    """Return a payment as the API answers it."""
    at = "2026-03-12T19:03:58.123456Z"
    return {
        "payment_id": "pay_1",
        "amount": "99.99",
        "amount_minor": 9999,
        "currency": "USD",
        "status": status,
        "created_at": at,
        "updated_at": at,
        **more,
    }
