"""A request to Stripe and its answer, and what carries one to the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. ``fields`` are a form's (``metadata[payment_id]``) or a query's, in order."""

    method: Literal["GET", "POST"]
    path: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]
    read_seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. The names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


type Transport = Callable[[Request], Answer]
"""Carries one request, once; raises ``GatewayUnavailable`` where no whole answer came back."""
