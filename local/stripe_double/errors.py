"""Stripe's errors as they appear on the wire: https://docs.stripe.com/api/errors."""

from collections.abc import Mapping
from typing import Any


class StripeError(Exception):
    """An answer that is an error. ``kept`` says whether an idempotency key keeps it."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        kept: bool = False,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.kept = kept
        told = {name: value for name, value in fields.items() if value is not None}
        self.document = {"error": {"type": kind, "message": message, **told}}


def invalid(message: str, *, status: int = 400, **fields: Any) -> StripeError:
    """Return the refusal of a request whose parameters do not hold; no key keeps it."""
    return StripeError(status, "invalid_request_error", message, **fields)


def refused(message: str, *, status: int = 400, **fields: Any) -> StripeError:
    """Return the refusal of a request that began to be carried out; its key keeps it."""
    return StripeError(status, "invalid_request_error", message, kept=True, **fields)


def missing(what: str, name: str, *, param: str, status: int = 400) -> StripeError:
    """Return the refusal of a request that names an object which is not there."""
    return refused(f"No such {what}: '{name}'", status=status, code="resource_missing", param=param)


def declined(code: str, message: str, *, decline_code: str | None, **fields: Any) -> StripeError:
    """Return a card's decline; its key keeps it."""
    return StripeError(
        402, "card_error", message, kept=True, code=code, decline_code=decline_code, **fields
    )
