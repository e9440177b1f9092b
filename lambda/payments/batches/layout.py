"""What the rows of a file ask for: its columns, and what checks them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from payments.core.content import Content, RefundContent, RowContent
from payments.core.faults import FieldError
from payments.core.fields import (
    FIELDS,
    OPTIONAL_FIELDS,
    REFUND_FIELDS,
    REFUND_OPTIONS,
    ProcessorNeeds,
    check_fields,
    check_refund,
)

type Check[C] = Callable[
    [str, str, str, Mapping[str, str], ProcessorNeeds | None], C | list[FieldError]
]
"""Checks the three fields of a row, those of its options that are given, and what is needed besides."""


@dataclass(frozen=True, slots=True)
class Layout[C: RowContent]:
    """The columns that files of one kind have.

    Attributes:
        fields: those that every file has; there are three.
        options: those that it may have besides.
        own_id: the one that makes a row what it is, and that a report leaves empty where the id is taken.
        check: returns what a row asks for, or every fault of it.
    """

    fields: tuple[str, str, str]
    options: tuple[str, ...]
    own_id: str
    check: Check[C]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.fields, *self.options)


PAYMENTS: Final[Layout[Content]] = Layout(FIELDS, OPTIONAL_FIELDS, "payment_id", check_fields)
"""A file of payments."""

REFUNDS: Final[Layout[RefundContent]] = Layout(
    REFUND_FIELDS, REFUND_OPTIONS, "refund_id", check_refund
)
"""A file of refunds."""
