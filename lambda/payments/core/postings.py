"""The books: postings between accounts, kept in the records of the audit trail.

=====================================  ===================  ===================
what happened                          debit                credit
=====================================  ===================  ===================
payment charged, or captured later     ``processor``        ``client``
refund requested                       ``client``           ``refunds_pending``
refund in review rejected              ``refunds_pending``  ``client``
refund completed                       ``refunds_pending``  ``processor``
refund failed                          ``refunds_pending``  ``client``
refund taken back after it completed   ``processor``        ``client``
=====================================  ===================  ===================

``processor`` is what the processor charged for us and holds, ``client`` what we owe to who asked
for the payments, ``refunds_pending`` what is promised to customers and not paid back yet. An
authorisation, a capture that is only requested, an approval and a cancellation move no money and post
nothing.
Each posting has one debit and one credit, so the books cannot be out of balance, and the hash of
its record seals it.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from payments.core.operation import OperationKind, OperationStatus
from payments.core.payment import PaymentStatus


class Account(StrEnum):
    """Every account there is; of each, one a currency."""

    PROCESSOR = "processor"
    CLIENT = "client"
    REFUNDS_PENDING = "refunds_pending"


class Posting(NamedTuple):
    """An amount, in minor units of the record's currency, that moves between two accounts."""

    debit: Account
    credit: Account
    amount_minor: int

    def to_dict(self) -> dict[str, str | int]:
        """Return the posting as a record holds it."""
        return {
            "debit": self.debit.value,
            "credit": self.credit.value,
            "amount_minor": self.amount_minor,
        }


def postings_of(kind: str, before: str | None, to: str, amount_minor: int) -> list[Posting]:
    """Return what a step posts: nothing, unless money moved.

    Args:
        kind: the kind of its record, ``payment`` or that of an operation.
        before: the status before, ``None`` of the first record of a payment or an operation.
        to: the status after.
        amount_minor: the amount of the payment or of the operation.
    """
    accounts = _CHART.get((kind, before, to))
    return [] if accounts is None else [Posting(*accounts, amount_minor)]


_TAKEN: Final = (Account.PROCESSOR, Account.CLIENT)

_REFUND: Final = OperationKind.REFUND.value
_PENDING: Final = OperationStatus.PENDING.value
_COMPLETED: Final = OperationStatus.COMPLETED.value
_FAILED: Final = OperationStatus.FAILED.value
_IN_REVIEW: Final = OperationStatus.IN_REVIEW.value

_CHART: Final[dict[tuple[str, str | None, str], tuple[Account, Account]]] = {
    ("payment", PaymentStatus.PROCESSING.value, PaymentStatus.COMPLETED.value): _TAKEN,
    (OperationKind.CAPTURE.value, _PENDING, _COMPLETED): _TAKEN,
    # What the processor captured without us is recorded in one step.
    (OperationKind.CAPTURE.value, None, _COMPLETED): _TAKEN,
    (_REFUND, None, _PENDING): (Account.CLIENT, Account.REFUNDS_PENDING),
    (_REFUND, None, _IN_REVIEW): (Account.CLIENT, Account.REFUNDS_PENDING),
    (_REFUND, _IN_REVIEW, _FAILED): (Account.REFUNDS_PENDING, Account.CLIENT),
    (_REFUND, _PENDING, _COMPLETED): (Account.REFUNDS_PENDING, Account.PROCESSOR),
    (_REFUND, _PENDING, _FAILED): (Account.REFUNDS_PENDING, Account.CLIENT),
    (_REFUND, _COMPLETED, _FAILED): _TAKEN,
}
"""Debit and credit of each step that moves money."""
