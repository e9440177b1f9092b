"""Four eyes: which payments a second person looks at, who that may be, and what they decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Self

from payments.core.content import Content
from payments.core.faults import FieldError, PaymentError
from payments.core.money import EXPONENTS, parse_amount

ENDS_AFTER: Final = timedelta(hours=72)
"""How long a payment waits for a decision; then it fails and nothing is ever charged."""

LATE_AFTER: Final = timedelta(hours=4)
"""After this long without a decision, on-call is told."""


class Review(StrEnum):
    """Where the review of a payment or a refund is that needs one."""

    REQUIRED = "required"
    APPROVED = "approved"
    REJECTED = "rejected"

    @property
    def is_decided(self) -> bool:
        """Whether somebody has decided."""
        return self is not Review.REQUIRED


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as IAM knows them.

    ``id`` is IAM's unique id, which is never used again: ``AIDA…`` of a user, ``AROA…:session`` of
    a role's session. ``name`` is who is behind it, in lower case: the user's name, or the session's,
    which IAM Identity Center sets to the person's. One person with two roles has one name.
    See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
    """

    id: str
    name: str

    @classmethod
    def of(cls, unique_id: str, arn: str = "") -> Self:
        """Return who an id stands for; the ARN tells a user's name, which no id does.

        >>> Person.of("AROAEXAMPLE:Alice@example.com")
        Person(id='AROAEXAMPLE:Alice@example.com', name='alice@example.com')
        >>> Person.of("AIDAEXAMPLE", "arn:aws:iam::123456789012:user/team/Alice")
        Person(id='AIDAEXAMPLE', name='alice')
        """
        session = unique_id.partition(":")[2]
        return cls(unique_id, (session or arn.rpartition("/")[2] or unique_id).lower())

    def is_same_as(self, other: "Person") -> bool:
        """Whether both are, as far as can be known, one person."""
        return self.id == other.id or self.name == other.name


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decides about a payment or a refund in review, and why."""

    review: Review
    by: Person
    note: str
    at: str
    request_id: str


class NotInReview(PaymentError):
    """The payment waits for no decision."""


class ReviewDecided(PaymentError):
    """There is a decision already, by somebody else or a different one; it stands."""


class OwnPayment(PaymentError):
    """Who submitted a payment may not decide about it."""


class RefundNotInReview(PaymentError):
    """The refund waits for no decision."""


class OwnRefund(PaymentError):
    """Who asked for a refund may not decide about it."""


class UnknownCaller(PaymentError):
    """The request is not signed, so nobody knows who decides."""


class ReviewLimits:
    """Above which amount something waits for a second person, by currency, in minor units."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = dict(limits)

    def need(self, content: Content) -> bool:
        """Whether a payment of this content waits for a second person.

        >>> limits = ReviewLimits.read("USD=100.00,JPY=5000")
        >>> [limits.need(Content("p", *rest)) for rest in ((10000, "USD", 2), (10001, "USD", 2))]
        [False, True]
        """
        return self.are_below(content.currency, content.amount_minor)

    def are_below(self, currency: str, amount_minor: int) -> bool:
        """Whether an amount is above the limit of its currency, if there is one."""
        limit = self._limits.get(currency)
        return limit is not None and amount_minor > limit

    @classmethod
    def read(cls, text: str) -> Self:
        """Read ``REVIEW_ABOVE``, such as ``USD=10000.00,JPY=1500000``; empty means no review.

        Raises:
            ValueError: it has an unknown currency or a malformed amount. Nothing may be charged then.
        """
        limits: dict[str, int] = {}
        for part in filter(None, text.split(",")):
            currency, _, amount = part.partition("=")
            exponent = EXPONENTS.get(currency)
            minor = None if exponent is None else parse_amount(amount, exponent, is_number=True)
            if minor is None or isinstance(minor, FieldError):
                raise ValueError(f"REVIEW_ABOVE has {part!r}")
            limits[currency] = minor
        return cls(limits)


NO_REVIEW: Final = ReviewLimits({})
"""Nothing waits for a person."""
