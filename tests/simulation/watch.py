"""What must hold after each committed write, and not only at the end."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from payments.aws.payments import Tables
from payments.core.payment import LIFE, PaymentStatus
from tests.simulation.dynamodb import Item

_FIXED_OF_PAYMENT: Final = (
    "amount_minor",
    "currency",
    "exponent",
    "capture",
    "content_hash",
    "source",
    "created_at",
    "submitter_id",
    "submitter_name",
)
_MOVED_BY_OPERATIONS: Final = frozenset(
    {
        "version",
        "updated_at",
        "audit_hash",
        "authorized_minor",
        "captured_minor",
        "captures_pending_minor",
        "capturable_minor",
        "releases_pending_minor",
        "released_minor",
        "refunded_minor",
        "refunds_pending_minor",
        "refundable_minor",
    }
)
"""What may still change of a payment that is terminal: refunds go on after that."""
_FIXED_OF_OPERATION: Final = (
    "amount_minor",
    "rest_minor",
    "request_hash",
    "source",
    "requested_at",
    "final",
    "reason",
)
_STEPS: Final = frozenset(
    {
        ("PENDING", "PENDING"),
        ("PENDING", "COMPLETED"),
        ("PENDING", "FAILED"),
        ("COMPLETED", "FAILED"),
        # The sweep notes when it looks again.
        ("COMPLETED", "COMPLETED"),
    }
)


class Watch:
    """Looks at every write; ``faults`` are sentences. ``items`` returns the items of a table."""

    def __init__(self, tables: Tables, items: Callable[[str], list[Item]]) -> None:
        self.faults: list[str] = []
        self._tables = tables
        self._items = items

    def written(self, table: str, before: Item, after: Item) -> None:
        """Look at one item, before and after a write."""
        if table == self._tables.audit_logs and before:
            self.faults.append(f"audit record rewritten: {before}")
        if table == self._tables.payments:
            self._payment_written(before, after)
        if table == self._tables.operations and before:
            self._operation_written(before, after)

    def _payment_written(self, before: Item, after: Item) -> None:
        sums = {name: _number(after, f"{name}_minor") for name in ("authorized", *_SUMS)}
        if min(sums.values()) < 0 or not (
            sums["refunded"] + sums["refunds_pending"] <= sums["captured"] <= sums["authorized"]
        ):
            self.faults.append(f"{after['payment_id']['S']} has amounts that cannot be: {sums}")
        if not before:
            return
        changed = {
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        }
        was, now = PaymentStatus(before["status"]["S"]), PaymentStatus(after["status"]["S"])
        moved = was is now or now in LIFE[was].successors
        if (
            not moved
            or changed & set(_FIXED_OF_PAYMENT)
            or (was.is_terminal and changed - _MOVED_BY_OPERATIONS)
        ):
            self.faults.append(f"{before} became {after}")

    def _operation_written(self, before: Item, after: Item) -> None:
        step = (before["status"]["S"], after["status"]["S"])
        is_refund = before["operation"]["S"].startswith("refund#")
        is_returned = step[0] == "COMPLETED"
        fixed = all(before.get(name) == after.get(name) for name in _FIXED_OF_OPERATION)
        if step not in _STEPS or not fixed or (is_returned and not is_refund):
            self.faults.append(f"{before} became {after}")

    def committed(self, request: dict[str, Any]) -> None:
        """Look at the payments whose operations a transaction wrote."""
        writes = [write.get("Put", {}) for write in request.get("TransactItems", ())]
        touched = {
            write["Item"]["payment_id"]["S"]
            for write in writes
            if write.get("TableName") == self._tables.operations
        }
        if not touched:
            return
        payments = {item["payment_id"]["S"]: item for item in self._items(self._tables.payments)}
        operations = [
            item
            for item in self._items(self._tables.operations)
            if item["payment_id"]["S"] in touched
        ]
        for payment_id in sorted(touched):
            own = [item for item in operations if item["payment_id"]["S"] == payment_id]
            self.faults.extend(_disagreements(payments[payment_id], own))


_SUMS: Final = (
    "captured",
    "captures_pending",
    "capturable",
    "releases_pending",
    "released",
    "refunded",
    "refunds_pending",
    "refundable",
)


def _disagreements(payment: Item, operations: list[Item]) -> list[str]:
    """Compare the amounts of a payment with the sums of its operations."""
    sums: Counter[tuple[str, str]] = Counter()
    is_open: set[str] = set()
    for item in operations:
        kind, status = item["operation"]["S"].partition("#")[0], item["status"]["S"]
        sums[kind, status] += _number(item, "amount_minor")
        if status == "PENDING":
            is_open.add(kind)
    payment_id, authorized = payment["payment_id"]["S"], _number(payment, "authorized_minor")
    is_manual = payment.get("capture", {}).get("S") == "manual"
    expected = {
        "refunded": sums["refund", "COMPLETED"],
        "refunds_pending": sums["refund", "PENDING"],
        "captured": sums["capture", "COMPLETED"] if is_manual else authorized,
        "captures_pending": sums["capture", "PENDING"],
    }
    found = {name: _number(payment, f"{name}_minor") for name in expected}
    faults = []
    if found != expected:
        faults.append(f"{payment_id} has {found}, its operations come to {expected}")
    if {"capture", "cancel"} <= is_open:
        faults.append(f"{payment_id} is captured and cancelled at the same time")
    return faults


def _number(item: Item, name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
