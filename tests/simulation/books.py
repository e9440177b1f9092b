"""The proof of the books at the end of a run, over all that the run left in the tables."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from operations.items import plain
from operations.ledger import Item, Ledger, outcomes_of
from operations.proving import Prover
from payments.aws.payments import Tables
from tests.simulation.dynamodb import Item as WireItem

type ReadAll = Callable[[str], list[WireItem]]
"""Returns every item of a table, in wire form."""


def faults_of(read: ReadAll, tables: Tables, now: datetime) -> list[str]:
    """Return what does not hold in the books of a drained world, by the code of ``books prove``."""
    *_, proof = Prover(LedgerOfWorld(read, tables), now).prove()
    return [str(fault) for fault in proof.faults]


class LedgerOfWorld(Ledger):
    """The tables of a world that has come to rest: they are read as they are, without its wire."""

    def __init__(self, read: ReadAll, tables: Tables) -> None:
        def stored(table: str) -> list[Item]:
            return [plain(item) for item in read(table)]

        self._stored = {each["payment_id"]: each for each in stored(tables.payments)}
        self._trails = _by_payment(stored(tables.audit_logs))
        self._asked = _by_payment(stored(tables.operations))
        self._reports = outcomes_of(stored(tables.processing_status))

    def payments(self) -> Iterator[Item]:
        return iter(self._stored.values())

    def operations(self) -> Iterator[Item]:
        return (each for asked in self._asked.values() for each in asked)

    def record_keys(self) -> Iterator[tuple[str, int]]:
        return (
            (payment_id, record["sequence"])
            for payment_id, records in self._trails.items()
            for record in records
        )

    def outcomes_of_rows(self) -> dict[str, Counter[str]]:
        return self._reports

    def payments_of(self, payment_ids: Iterable[str]) -> dict[str, Item]:
        return {each: self._stored[each] for each in payment_ids if each in self._stored}

    def records_of(self, versions: Mapping[str, int]) -> dict[str, list[Item]]:
        return {each: self._trails[each][:version] for each, version in versions.items()}

    def all_records_of(self, payment_id: str) -> list[Item]:
        return self._trails[payment_id]

    def operations_of(self, payment_id: str) -> list[Item]:
        return self._asked[payment_id]


def _by_payment(items: Iterable[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item["payment_id"]].append(item)
    return found
