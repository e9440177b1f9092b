"""``python -m benchmarks.books``: time and memory of ``books prove`` over many payments.

The tables are generated while they are read: three records a payment, and a refund with two more
for every tenth. The calls themselves take no time here; how many there are is counted instead.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from operations.ledger import Ledger
from operations.proving import Prover
from payments.aws.items import serialize
from payments.aws.operations import _operation_item
from payments.aws.payments import payment_item
from payments.core.audit import GENESIS, AuditRecord, record_hash
from payments.core.operation import OperationStatus
from payments.core.payment import PaymentStatus
from tests.unit.trails import Trail

REFUNDED_OF: Final = 10
PAGE: Final = 1000
"""Items of one page: a megabyte holds about as many records."""

type Wire = dict[str, Any]


class Stored(NamedTuple):
    """One payment as three tables hold it."""

    payment: Wire
    records: list[Wire]
    operations: list[Wire]


def _trail(*, refunded: bool) -> Trail:
    trail = Trail(PaymentStatus.PROCESSING, PaymentStatus.COMPLETED)
    if refunded:
        trail.refund("r1", 1000, OperationStatus.COMPLETED)
    return trail


class Template(NamedTuple):
    """What payments that were made alike have in common."""

    stored: Stored
    records: list[AuditRecord]

    @classmethod
    def of(cls, trail: Trail) -> Self:
        """Return the template that a trail is."""
        stored = Stored(
            serialize(payment_item(trail.payment)),
            [serialize(record) for record in trail.records],
            [serialize(_operation_item(each)) for each in trail.operations.values()],
        )
        return cls(stored, trail.records)

    def filled(self, number: int) -> Stored:
        """Return the payment of a number, its records sealed and chained anew."""
        payment_id = f"pay_{number:09}"
        own, previous = {"payment_id": {"S": payment_id}}, GENESIS
        records = []
        for record, wire in zip(self.records, self.stored.records, strict=True):
            sealed = record_hash({**record, "payment_id": payment_id, "previous_hash": previous})
            hashes = {"previous_hash": {"S": previous}, "hash": {"S": sealed}}
            records.append({**wire, **own, **hashes})
            previous = sealed
        return Stored(
            {**self.stored.payment, **own, "audit_hash": {"S": previous}},
            records,
            [{**each, **own} for each in self.stored.operations],
        )


_TEMPLATES: Final = [Template.of(_trail(refunded=number == 0)) for number in range(REFUNDED_OF)]


class GeneratedTables:
    """Stands in for a client of DynamoDB whose tables hold so many payments."""

    def __init__(self, payments: int) -> None:
        self._payments = payments
        self.calls: Counter[str] = Counter()
        self.generating = 0.0
        self._page = lru_cache(2)(self._generate)

    def get_paginator(self, operation: str) -> "GeneratedTables._Pages":
        """Return what pages through a table, or through the items of one payment."""
        return self._Pages(self._scan if operation == "scan" else self._query)

    class _Pages(NamedTuple):
        paginate: Callable[..., Iterator[Wire]]

    def batch_get_item(self, *, RequestItems: Wire) -> Wire:  # noqa: N803 - boto3's name
        """Return the items that are asked for."""
        self.calls["BatchGetItem"] += 1
        [(table, asked)] = RequestItems.items()
        found = [self._item(key) for key in asked["Keys"]]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def _item(self, key: Wire) -> Wire:
        stored = self._stored(int(key["payment_id"]["S"][4:]))
        return (
            stored.records[int(key["sequence"]["N"]) - 1] if "sequence" in key else stored.payment
        )

    def _scan(self, *, TableName: str, **_: Any) -> Iterator[Wire]:  # noqa: N803 - boto3's name
        kind = TableName.rpartition("-")[0]
        items: list[Wire] = []
        for number in range(self._payments if kind != "processing-status" else 0):
            items.extend(self._of(kind, number))
            if len(items) >= PAGE:
                self.calls["Scan"] += 1
                yield {"Items": items}
                items = []
        self.calls["Scan"] += 1
        yield {"Items": items}

    def _query(self, **asked: Any) -> Iterator[Wire]:
        self.calls["Query"] += 1
        number = int(asked["ExpressionAttributeValues"][":id"]["S"][4:])
        yield {"Items": self._of(asked["TableName"].rpartition("-")[0], number)}

    def _of(self, kind: str, number: int) -> list[Wire]:
        if kind == "payment-operations" and number % REFUNDED_OF:
            return []
        stored = self._stored(number)
        return {
            "payments": [stored.payment],
            "audit-logs": stored.records,
            "payment-operations": stored.operations,
        }[kind]

    def _stored(self, number: int) -> Stored:
        return self._page(number // PAGE)[number % PAGE]

    def _generate(self, page: int) -> list[Stored]:
        began = time.process_time()
        numbers = range(page * PAGE, (page + 1) * PAGE)
        stored = [_TEMPLATES[number % REFUNDED_OF].filled(number) for number in numbers]
        self.generating += time.process_time() - began
        return stored


class Proved(NamedTuple):
    """What a proof took: seconds of a core, and peak memory in MiB; and what it was about."""

    payments: int
    records: int
    operations: int
    failures: int
    calls: Counter[str]
    seconds: float
    peak: float


def prove(payments: int) -> Proved:
    """Prove generated books in this process."""
    tables = GeneratedTables(payments)
    began = time.process_time()
    prover = Prover(Ledger(tables, "generated"), datetime.now(UTC))  # type: ignore[arg-type]  # stands in for it
    *_, proof = prover.prove()
    took = time.process_time() - began - tables.generating
    # Not getrusage: its peak counts the parent's memory, from before this process became its own.
    # https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
    status = Path("/proc/self/status").read_text()
    [peak] = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    books = proof.books
    counts = (books.payments, books.records, books.operations, proof.failures)
    return Proved(*counts, tables.calls, took, int(peak) / 1024)


def main() -> int:
    """Prove books of several sizes, each in a process of its own, and say what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.books", description=__doc__)
    parser.add_argument(
        "payments", type=int, nargs="*", default=[1_000, 100_000, 1_000_000], help="how many"
    )
    failures = 0
    for payments in parser.parse_args().payments:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            proved = pool.apply(prove, (payments,))
        failures += proved.failures
        calls = ", ".join(f"{count:,} {name}" for name, count in sorted(proved.calls.items()))
        sys.stdout.write(
            f"{proved.payments:,} payments, {proved.operations:,} operations,"
            f" {proved.records:,} records: {proved.failures} faults, {proved.seconds:.0f} s of a core,"
            f" {proved.peak:.0f} MiB at most; {calls}\n"
        )
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
