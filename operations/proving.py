"""The proof of the books: every payment and operation rebuilt, and the sums of all of them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Final

from operations.ledger import MOST_KEYS, Item, Ledger
from operations.proofs import Books, Examined, Fault, examine, rebuild

MOST_FAULTS: Final = 1000
"""How many faults are kept; the others are only counted."""

_LOOKS: Final = 3
_MOST_RECORDS: Final = 100
_KEPT: Final = timedelta(days=390)
"""How long reports of batches are kept, for certain."""

_ENDS: Final = ("completed", "failed", "authorized", "canceled")


@dataclass(slots=True)
class Proof:
    """How far a proof is, and what does not hold so far."""

    books: Books = field(default_factory=Books)
    doing: str = "payments"
    batches: int = 0
    in_motion: int = 0
    faults: list[Fault] = field(default_factory=list)
    failures: int = 0

    def tell(self, *faults: Fault) -> None:
        """Count faults, and keep the first ones."""
        self.failures += len(faults)
        self.faults.extend(faults[: MOST_FAULTS - len(self.faults)])


class Prover:
    """Proves the books of one environment, also while payments are made."""

    def __init__(self, ledger: Ledger, now: datetime) -> None:
        self._ledger = ledger
        self._kept = (now - _KEPT).isoformat()

    def prove(self) -> Iterator[Proof]:
        """Examine all there is.

        Yields:
            The running proof, so that a long walk shows progress; the last one is the result.
        """
        proof = Proof()
        yield proof
        outcomes = self._ledger.outcomes_of_rows()
        for _ in self._payments(proof):
            yield proof
        proof.doing = "records without a payment"
        for _ in self._stray_records(proof):
            yield proof
        proof.doing = "operations without a record"
        for _ in self._stray_operations(proof):
            yield proof
        proof.doing = "batches"
        self._batches(proof, outcomes)
        proof.tell(
            *(
                Fault(
                    total.unit.currency,
                    f"{total.name} does not hold: {total.unit.text(total.books)} in the books,"
                    f" {total.unit.text(total.tables)} in the tables",
                )
                for total in proof.books.totals()
                if not total.holds
            )
        )
        yield proof

    def _payments(self, proof: Proof) -> Iterator[None]:
        """Examine every payment with its records and operations."""
        for payments in batched(self._ledger.payments(), MOST_KEYS):
            # Each payment was read before its records, so they reach to where it stands.
            records = self._ledger.records_of(
                {payment["payment_id"]: _records_told(payment) for payment in payments}
            )
            for payment in payments:
                examined = self._examine(payment, records[payment["payment_id"]])
                if examined is not None:
                    proof.books.add(examined)
                    proof.tell(*examined.faults)
            yield

    def _examine(self, payment: Item, records: list[Item]) -> Examined | None:
        payment_id = payment["payment_id"]
        has_operations = any(record.get("kind") != "payment" for record in records)
        operations = self._ledger.operations_of(payment_id) if has_operations else []
        examined = examine(payment, records, operations)
        for _ in range(_LOOKS):
            if not examined.faults:
                break
            # It may have moved between the reads: what is wrong stays wrong.
            examined = examine(
                payment,
                self._ledger.all_records_of(payment_id),
                self._ledger.operations_of(payment_id),
            )
            now = self._ledger.payments_of([payment_id]).get(payment_id)
            if now == payment:
                break
            payment = now or payment
        return examined

    def _stray_records(self, proof: Proof) -> Iterator[None]:
        """Find records that belong to no payment, or that their payment does not count."""
        for keys in batched(self._ledger.record_keys(), MOST_KEYS):
            last: dict[str, int] = {}
            for payment_id, sequence in keys:
                last[payment_id] = max(sequence, last.get(payment_id, 0))
            payments = self._ledger.payments_of(last)
            for payment_id, sequence in last.items():
                payment = payments.get(payment_id)
                if payment is None:
                    proof.tell(Fault(payment_id, "has audit records and is no payment"))
                elif not _counts(payment, sequence):
                    proof.tell(Fault(payment_id, f"has a record {sequence} that it does not count"))
            yield

    def _stray_operations(self, proof: Proof) -> Iterator[None]:
        """Find operations that no record tells of."""
        for operations in batched(self._ledger.operations(), MOST_KEYS):
            names: dict[str, set[str]] = {}
            for operation in operations:
                names.setdefault(operation["payment_id"], set()).add(operation["operation"])
            for payment_id, stored in names.items():
                told = rebuild(payment_id, self._ledger.all_records_of(payment_id)).operations
                for name in sorted(stored - told.keys()):
                    proof.tell(Fault(payment_id, f"{name}: is stored and no record tells of it"))
            yield

    def _batches(self, proof: Proof, before: Mapping[str, Counter[str]]) -> None:
        """Compare what each batch reports with the payments and refunds of its rows.

        A batch whose report changed meanwhile is left for the next proof, and one whose payments
        are so old that its report may have expired is not asked for.
        """
        after = self._ledger.outcomes_of_rows()
        paid = proof.books.outcomes
        for batch_id in sorted(before.keys() | after.keys() | paid.keys()):
            reports = [
                {name: counted.get(batch_id, Counter())[name] for name in _ENDS}
                for counted in (before, after, paid)
            ]
            if reports[0] != reports[1]:
                proof.in_motion += 1
            elif reports[1] != reports[2] and proof.books.ended.get(batch_id, "~") > self._kept:
                what = ", ".join(
                    f"{name} {reports[1][name]} reported and {reports[2][name]} found"
                    for name in _ENDS
                    if reports[1][name] != reports[2][name]
                )
                proof.tell(Fault(batch_id, what))
            else:
                proof.batches += 1


def _counts(payment: Item, sequence: int) -> bool:
    version = payment.get("version")
    return isinstance(version, int) and sequence <= version


def _records_told(payment: Item) -> int:
    """Return how many records a payment says that it has; none if that cannot be so."""
    version = payment.get("version")
    return version if isinstance(version, int) and 0 < version <= _MOST_RECORDS else 0
