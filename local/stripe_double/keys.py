"""Idempotency keys: https://docs.stripe.com/api/idempotent_requests.

A key keeps the first answer once its request began to be carried out, a decline or a failure
included. Refused parameters, a wrong key of the account and busy answers are not kept. After a day
a key is forgotten and the same request is a new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from local.stripe_double.errors import StripeError, invalid
from local.stripe_double.forms import Pairs

KEPT_SECONDS: Final = 24 * 3600.0
MAX_LENGTH: Final = 255


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was first given."""

    status: int
    document: Mapping[str, Any]


@dataclass(slots=True)
class _Entry:
    path: str
    pairs: tuple[tuple[str, str], ...]
    since: float
    kept: Kept | None = None


class Keys:
    """The idempotency keys of one account."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def begin(self, key: str, path: str, pairs: Pairs, now: float) -> Kept | None:
        """Begin a request under a key.

        Returns:
            The answer that is kept under it; ``None`` if the request is its first.

        Raises:
            StripeError: the first request is still at work, or was another one.
        """
        if not key or len(key) > MAX_LENGTH:
            raise invalid(f"Idempotency keys have 1 to {MAX_LENGTH} characters.")
        entry = self._entries.get(key)
        if entry is not None and entry.kept is not None and now - entry.since >= KEPT_SECONDS:
            entry = None
        if entry is None:
            self._entries[key] = _Entry(path, tuple(sorted(pairs)), now)
            return None
        if (entry.path, entry.pairs) != (path, tuple(sorted(pairs))):
            raise StripeError(
                400,
                "idempotency_error",
                "Keys for idempotent requests can only be used with the same parameters and"
                f" endpoint they were first used with. Try another key than '{key}'.",
            )
        if entry.kept is None:
            raise invalid(
                "There is currently another in-progress request using this Idempotent Key.",
                status=409,
                code="idempotency_key_in_use",
            )
        return entry.kept

    def keep(self, key: str, kept: Kept) -> None:
        """Keep the answer of a request that was begun."""
        self._entries[key].kept = kept

    def forget(self, key: str) -> None:
        """Forget a request that was begun and not carried out."""
        del self._entries[key]
