"""What may go wrong with one request, by script."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Fault(StrEnum):
    """One way in which a request or its answer gets lost, or Stripe says something else."""

    REFUSE = "refuse"
    """The connection ends before anything is done."""
    LOSE = "lose"
    """It is done, and the connection ends without an answer."""
    LATE = "late"
    """It is done and answered after ``seconds``, its object and its key being held meanwhile."""
    CUT = "cut"
    """It is done, and half of the answer's body comes."""
    HTML = "html"
    """A proxy says 503 in HTML, and nothing is done."""
    HTML_DONE = "html_done"
    """A proxy says 503 in HTML, and it is done."""
    FAILURE = "failure"
    """A kept 500, and nothing is done."""
    FAILURE_DONE = "failure_done"
    """A kept 500, and it is done."""
    RATE_LIMITED = "rate_limited"
    """429 with the limit's name."""
    LOCKED = "locked"
    """429 of an object that another request holds, without a limit's name."""
    KEY_IN_USE = "key_in_use"
    """409: another request under the same key is at work."""
    FORBIDDEN = "forbidden"
    """403: the key lacks a permission."""
    UNDECIDED = "undecided"
    """A confirmed intent is ``processing``, and decided after ``seconds`` of the double's clock."""
    OTHER_ANSWER = "other_answer"
    """The answer's object has other values, those of ``change``."""


@dataclass(slots=True)
class Plan:
    """A fault that strikes the next ``times`` requests it matches.

    ``at`` is an operation (:data:`local.stripe_double.double.OPERATIONS`) or ``any``, and
    ``payment_id`` the metadata of what is asked about.
    """

    fault: Fault
    at: str = "any"
    payment_id: str | None = None
    times: int = 1
    seconds: float = 0.0
    reason: str = "endpoint-rate"
    change: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, operation: str, payment_id: str | None) -> bool:
        """Return whether it strikes a request."""
        return (
            self.times > 0
            and self.at in ("any", operation)
            and self.payment_id in (None, payment_id)
        )


class NoAnswer(Exception):
    """The connection ends without an answer."""


class Faults:
    """The faults that are planned, the first one first."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.struck: list[tuple[Fault, str]] = []

    def strike(self, operation: str, payment_id: str | None) -> Plan | None:
        """Return the plan that strikes a request, counted as struck."""
        for plan in self.plans:
            if plan.matches(operation, payment_id):
                plan.times -= 1
                self.struck.append((plan.fault, operation))
                return plan
        return None


HTML: Final = b"<html><body><h1>503 Service Unavailable</h1></body></html>"
