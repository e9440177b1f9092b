"""The postings for other tools: in the syntax of hledger, and as JSON."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from operations.proofs import Posting, Record, Unit, postings_told

HEADING: Final = """\
; Every amount is a debit, and every negative amount a credit.
decimal-mark .
account processor        ; type:A
account client           ; type:L
account refunds_pending  ; type:L
"""
"""What a journal begins with: https://hledger.org/hledger.html#directives"""


def commodity(unit: Unit) -> str:
    """Return the directive that declares a currency and its decimals.

    >>> commodity(Unit("USD", 2)), commodity(Unit("JPY", 0))
    ('commodity 1000.00 USD', 'commodity 1000. JPY')
    """
    return f"commodity 1000.{'0' * unit.exponent} {unit.currency}"


class Entry(NamedTuple):
    """One posting, and the record that holds it.

    ``is_opening`` says that the record was written before there were postings.
    """

    at: str
    payment_id: str
    sequence: int
    kind: str
    operation_id: str | None
    status: str
    unit: Unit
    posting: Posting
    is_opening: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON shows it."""
        named = {"operation_id": self.operation_id} if self.operation_id is not None else {}
        return {
            "at": self.at,
            "payment_id": self.payment_id,
            "sequence": self.sequence,
            "kind": self.kind,
            **named,
            "status": self.status,
            "debit": self.posting.debit,
            "credit": self.posting.credit,
            "amount": self.unit.text(self.posting.amount_minor),
            "amount_minor": self.posting.amount_minor,
            "currency": self.unit.currency,
        }

    def to_hledger(self) -> str:
        """Return the entry as a transaction.

        https://hledger.org/hledger.html#transactions
        """
        what = self.kind if self.operation_id is None else f"{self.kind} {self.operation_id}"
        note = ", from before records had postings" if self.is_opening else ""
        amount = self.posting.amount_minor
        return (
            f"{self.at[:10]} * ({self.payment_id}:{self.sequence})"
            f" {self.payment_id} {what} {self.status}  ; at {self.at}{note}\n"
            f"    {self.posting.debit}  {self.unit.text(amount)} {self.unit.currency}\n"
            f"    {self.posting.credit}  {self.unit.text(-amount)} {self.unit.currency}\n"
        )


def entries(record: Record) -> Iterator[Entry]:
    """Yield an entry for each posting of a record that moved money.

    Raises:
        LookupError, TypeError, ValueError: the record is damaged.
    """
    unit = Unit(record["currency"], record["exponent"])
    for posting, is_opening in postings_told(record):
        yield Entry(
            at=record["at"],
            payment_id=record["payment_id"],
            sequence=record["sequence"],
            kind=record["kind"],
            operation_id=record.get("operation_id"),
            status=record["to"],
            unit=unit,
            posting=posting,
            is_opening=is_opening,
        )
