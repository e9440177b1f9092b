"""What somebody asks to be paid: the fields that make two requests the same payment."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from payments.core.money import to_decimal_text


class Content(NamedTuple):
    """The fields of a payment, already valid.

    ``amount_minor`` is in minor units of ``currency`` (ISO 4217), which had ``exponent`` decimals
    when the payment was accepted: what was accepted stays readable when the list changes. A tuple,
    because a large file makes millions of them.
    """

    payment_id: str
    amount_minor: int
    currency: str
    exponent: int

    @property
    def amount(self) -> str:
        """The amount as a decimal string with the currency's own decimals."""
        return to_decimal_text(self.amount_minor, self.exponent)

    @property
    def hash(self) -> str:
        """SHA-256 of what makes two requests the same payment: id, amount and currency."""
        content = f"{self.payment_id}\n{self.amount_minor}\n{self.currency}"
        return hashlib.sha256(content.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as they are stored and queued: flat, strings and integers."""
        return self._asdict()

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returned, among other fields; it was checked before."""
        return cls(**{name: document[name] for name in cls._fields})


class HasContent:
    """Whatever is about one content answers for its fields."""

    __slots__ = ()

    content: Content

    @property
    def payment_id(self) -> str:
        """The client's own id of the payment."""
        return self.content.payment_id

    @property
    def amount_minor(self) -> int:
        """The amount in minor units."""
        return self.content.amount_minor

    @property
    def currency(self) -> str:
        """The ISO 4217 code."""
        return self.content.currency
