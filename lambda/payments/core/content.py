"""What somebody asks to be paid: the fields that make two requests the same payment."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, Self

from payments.core.money import to_decimal_text

type Capture = Literal["automatic", "manual"]
"""When the money is taken: with the charge, or later, when somebody asks for it."""


class Content(NamedTuple):
    """The fields of a payment, already valid.

    ``amount_minor`` is in minor units of ``currency`` (ISO 4217), which had ``exponent`` decimals
    when the payment was accepted: what was accepted stays readable when the list changes.
    ``processor_customer`` and ``processor_payment_method`` are ids at the processor. A tuple,
    because a large file makes millions of them.
    """

    payment_id: str
    amount_minor: int
    currency: str
    exponent: int
    processor_customer: str | None = None
    processor_payment_method: str | None = None
    capture: Capture = "automatic"

    @property
    def amount(self) -> str:
        """The amount as a decimal string with the currency's own decimals."""
        return to_decimal_text(self.amount_minor, self.exponent)

    @property
    def hash(self) -> str:
        """SHA-256 of what makes two requests the same payment.

        A field that was added later counts only where it is given, so that the hashes of older
        payments stay the same.
        """
        content = f"{self.payment_id}\n{self.amount_minor}\n{self.currency}"
        content += "".join(f"\n{name}={value}" for name, value in self.options.items())
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def is_basic(self) -> bool:
        """Whether all optional fields have their defaults."""
        return self[_FIRST_OPTION:] == _NO_OPTIONS

    @property
    def options(self) -> dict[str, str]:
        """The optional fields whose values differ from their defaults."""
        if self.is_basic:
            return {}
        fields = zip(self._fields[_FIRST_OPTION:], self[_FIRST_OPTION:], _NO_OPTIONS, strict=True)
        return {name: str(value) for name, value, default in fields if value != default}

    @property
    def cells(self) -> dict[str, str]:
        """The fields that are given, by the names of their columns in a file."""
        given = {"payment_id": self.payment_id, "amount": self.amount, "currency": self.currency}
        return given | self.options

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as they are stored and queued: flat, strings and integers."""
        payment_id, amount_minor, currency, exponent, *_ = self
        return {
            "payment_id": payment_id,
            "amount_minor": amount_minor,
            "currency": currency,
            "exponent": exponent,
            **self.options,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returned, among other fields; it was checked before."""
        defaults = cls._field_defaults
        return cls(
            **{
                name: document.get(name, defaults[name]) if name in defaults else document[name]
                for name in cls._fields
            }
        )


class RefundContent(NamedTuple):
    """What a row of a file asks to be refunded, already valid in form.

    ``amount`` is decimal text: only the payment knows its currency, and how many decimals that has.
    """

    payment_id: str
    refund_id: str
    amount: str
    reason: str | None = None

    @property
    def cells(self) -> dict[str, str]:
        """The fields that are given, by the names of their columns."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as they are stored and queued."""
        return self.cells

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returned, among other fields; it was checked before."""
        return cls(**{name: document[name] for name in cls._fields if name in document})


type RowContent = Content | RefundContent
"""What a row of a file asks for."""

_FIRST_OPTION: Final = len(Content._fields) - len(Content._field_defaults)
_NO_OPTIONS: Final = tuple(Content._field_defaults.values())


class HasContent:
    """Gives access to the fields of the content that an object is about."""

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
