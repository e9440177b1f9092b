"""What the books must be, told from the audit trail alone; it shares no code with what writes.

Amounts are integers in minor units of their currency.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

type Record = Mapping[str, Any]
"""An audit record as it is stored, in plain Python."""

type Item = Mapping[str, Any]
"""A payment or an operation as it is stored, in plain Python."""

PROCESSOR: Final = "processor"
CLIENT: Final = "client"
REFUNDS_PENDING: Final = "refunds_pending"


class Unit(NamedTuple):
    """What amounts are counted in: a currency, and its decimals when the payment was accepted."""

    currency: str
    exponent: int

    def text(self, amount_minor: int) -> str:
        """Write an amount, e.g. ``-99.99``.

        >>> Unit("USD", 2).text(-9999), Unit("JPY", 0).text(500)
        ('-99.99', '500')
        """
        digits = f"{abs(amount_minor):0{self.exponent + 1}}"
        whole = len(digits) - self.exponent
        fraction = f".{digits[whole:]}" if self.exponent else ""
        return f"{'-' if amount_minor < 0 else ''}{digits[:whole]}{fraction}"


class Fault(NamedTuple):
    """Something that does not hold, and the payment, batch or currency that it is about."""

    about: str
    what: str

    def __str__(self) -> str:
        return f"{self.about}: {self.what}"


class Posting(NamedTuple):
    """An amount that moves from one account to another."""

    debit: str
    credit: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step does: which accounts its amount is posted to, and which sums it changes.

    ``amount`` has the sums that change by the step's amount, ``rest`` those that change by what a
    capture releases beside.
    """

    debit: str = ""
    credit: str = ""
    amount: Mapping[str, int] = field(default_factory=dict)
    rest: Mapping[str, int] = field(default_factory=dict)


SUMS: Final = (
    "authorized",
    "captured",
    "captures_pending",
    "capturable",
    "releases_pending",
    "released",
    "refunded",
    "refunds_pending",
    "refundable",
)

_STEPS: Final = {
    ("payment", "PROCESSING", "COMPLETED"): _Step(
        PROCESSOR, CLIENT, {"authorized": 1, "captured": 1, "refundable": 1}
    ),
    ("payment", "PROCESSING", "AUTHORIZED"): _Step(amount={"authorized": 1, "capturable": 1}),
    ("refund", None, "PENDING"): _Step(
        CLIENT, REFUNDS_PENDING, {"refundable": -1, "refunds_pending": 1}
    ),
    ("refund", None, "IN_REVIEW"): _Step(
        CLIENT, REFUNDS_PENDING, {"refundable": -1, "refunds_pending": 1}
    ),
    ("refund", "IN_REVIEW", "FAILED"): _Step(
        REFUNDS_PENDING, CLIENT, {"refunds_pending": -1, "refundable": 1}
    ),
    ("refund", "PENDING", "COMPLETED"): _Step(
        REFUNDS_PENDING, PROCESSOR, {"refunds_pending": -1, "refunded": 1}
    ),
    ("refund", "PENDING", "FAILED"): _Step(
        REFUNDS_PENDING, CLIENT, {"refunds_pending": -1, "refundable": 1}
    ),
    ("refund", "COMPLETED", "FAILED"): _Step(PROCESSOR, CLIENT, {"refunded": -1, "refundable": 1}),
    ("capture", None, "PENDING"): _Step(
        amount={"capturable": -1, "captures_pending": 1},
        rest={"capturable": -1, "releases_pending": 1},
    ),
    ("capture", "PENDING", "COMPLETED"): _Step(
        PROCESSOR,
        CLIENT,
        {"captures_pending": -1, "captured": 1, "refundable": 1},
        {"releases_pending": -1, "released": 1},
    ),
    ("capture", None, "COMPLETED"): _Step(
        PROCESSOR,
        CLIENT,
        {"capturable": -1, "captured": 1, "refundable": 1},
        {"capturable": -1, "released": 1},
    ),
    ("capture", "PENDING", "FAILED"): _Step(
        amount={"captures_pending": -1, "capturable": 1},
        rest={"releases_pending": -1, "capturable": 1},
    ),
    ("cancel", None, "PENDING"): _Step(amount={"capturable": -1, "releases_pending": 1}),
    ("cancel", "PENDING", "COMPLETED"): _Step(amount={"releases_pending": -1, "released": 1}),
    ("cancel", "PENDING", "FAILED"): _Step(amount={"releases_pending": -1, "capturable": 1}),
}
"""The steps that move money or hold it; any other step moves nothing.

An authorisation and a reserved capture move no money, so they change sums and post nothing.
"""

_ENDS_OF_ROWS: Final = ("COMPLETED", "FAILED", "AUTHORIZED", "CANCELED")
"""What a row of a batch is counted as, once, when its payment or its refund gets there first."""

_INDEXED: Final = ("PENDING", "PROCESSING", "IN_REVIEW")
"""The statuses in which a payment is in the index of what waits, by the time of its acceptance."""

_PLACES: Final = frozenset({"open_shard", "held_shard", "time_shard", "due_shard", "due_at"})
"""Where an item stands in an index, and when it is looked at again: no record tells of that."""

_ACCEPTED: Final = (
    *("payment_id", "amount_minor", "currency", "exponent", "content_hash"),
    *("source", "correlation_id", "created_at"),
)
"""What a payment keeps from its acceptance."""

_OPTIONS: Final = (
    *("processor_customer", "processor_payment_method", "capture"),
    *("submitter_id", "submitter_name", "review"),
)
"""What it keeps where it was given."""

_OUTCOME: Final = ("failure_code", "failure_message", "gateway_reference")
"""What it keeps of what was told last."""

_GENESIS: Final = "0" * 64

UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What a damaged record raises when it is followed."""


@dataclass(slots=True)
class Rebuilt:
    """A payment and its operations as their records alone tell them, with a sentence per fault.

    ``postings`` are those that the records hold; ``opening`` those that records from before there
    were postings would hold; ``rows`` has the batch of each row that ended, and as what.
    """

    payment_id: str
    payment: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    opening: list[Posting] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    records: int = 0
    _sums: Counter[str] = field(default_factory=Counter)
    has_postings: bool = False

    @property
    def unit(self) -> Unit:
        """What the payment's amounts are counted in."""
        return _unit_of(self.payment)

    def follow(self, record: Record) -> None:
        """Follow the next record."""
        self.records += 1
        try:
            for fault in self._faults_of(record):
                self._tell(record, fault)
        except UNREADABLE as fault:
            self._tell(record, f"cannot be read: {fault!r}")

    def _tell(self, record: Record, fault: str) -> None:
        self.faults.append(Fault(self.payment_id, f"record {record.get('sequence')} {fault}"))

    def _faults_of(self, record: Record) -> Iterator[str]:
        if record["sequence"] != self.records:
            yield f"is where record {self.records} was expected"
        if record["hash"] != hash_of(record):
            yield "has another content than its hash is over"
        if record["previous_hash"] != self.payment.get("audit_hash", _GENESIS):
            yield "is not chained to the record before it"
        kind = record["kind"]
        step = _STEPS.get((kind, record.get("from"), record["to"]), _Step())
        if kind == "payment":
            self._follow_payment(record)
            amount = record["amount_minor"]
        elif kind in {"refund", "capture", "cancel"}:
            self._follow_operation(record)
            amount = record["operation_minor"]
        elif kind == "review":
            self.payment |= {"review": record["to"], "reviewer_id": record["reviewer_id"]}
            amount = 0
        else:
            yield f"is of kind {kind!r}, which this release does not know"
            amount = 0
        self.payment |= {
            "version": record["sequence"],
            "updated_at": record["at"],
            "audit_hash": record["hash"],
        }
        yield from self._post(record, step, amount)
        yield from self._count(step, amount, record.get("rest_minor", 0))

    def _follow_payment(self, record: Record) -> None:
        if not self.payment:
            accepted = (*_ACCEPTED, *(name for name in _OPTIONS if name in record))
            self.payment = {name: record[name] for name in accepted}
        status = record["to"]
        self.payment["status"] = status
        for name in _OUTCOME:
            if name in record:
                self.payment[name] = record[name]
        for name, value in (
            ("accepted_at", self.payment["created_at"] if status in _INDEXED else None),
            ("capture_before", record.get("capture_before")),
        ):
            self.payment.pop(name, None)
            if value is not None:
                self.payment[name] = value
        # An authorised payment ends its row; its capture does not end it again.
        if status in _ENDS_OF_ROWS and record.get("from") not in _ENDS_OF_ROWS:
            self._end_row(self.payment["source"], status)

    def _follow_operation(self, record: Record) -> None:
        name = f"{record['kind']}#{record['operation_id']}"
        operation = self.operations.get(name)
        if operation is None:
            operation = {
                "payment_id": record["payment_id"],
                "operation": name,
                "amount_minor": record["operation_minor"],
                "rest_minor": record.get("rest_minor", 0),
                "request_hash": record["request_hash"],
                "source": record["source"],
                "correlation_id": record["correlation_id"],
                "requested_at": record["created_at"],
                "final": bool(record["final"]),
            }
            for name_ in ("reason", "submitter_id", "submitter_name"):
                if name_ in record:
                    operation[name_] = record[name_]
            if record["to"] == "IN_REVIEW":
                operation["review"] = "required"
        if "reviewer_id" in record:
            operation["review"] = "rejected" if record["to"] == "FAILED" else "approved"
            operation["reviewer_id"] = record["reviewer_id"]
        is_tried = record["to"] not in {"PENDING", "IN_REVIEW"}
        self.operations[name] = {
            **operation,
            **{name: record[name] for name in _OUTCOME if name in record},
            "status": record["to"],
            "updated_at": record["at"],
            "attempts": record["attempt"] + 1 if is_tried else 0,
        }
        if record["to"] in _ENDS_OF_ROWS and record.get("from") in {"PENDING", "IN_REVIEW"}:
            self._end_row(operation["source"], record["to"])

    def _end_row(self, source: str, status: str) -> None:
        if source.startswith("batch:"):
            self.rows.append((source.split(":")[1], status.lower()))

    def _post(self, record: Record, step: _Step, amount: int) -> Iterator[str]:
        expected = [Posting(step.debit, step.credit, amount)] if step.debit else []
        if "postings" not in record and not self.has_postings:
            self.opening.extend(expected)
            return
        self.has_postings = True
        posted = _stored_postings(record)
        self.postings.extend(posted)
        if posted != expected:
            yield f"posts {self._told(posted)}, not {self._told(expected)}"

    def _count(self, step: _Step, amount: int, rest: int) -> Iterator[str]:
        for name, sign in step.amount.items():
            self._sums[name] += sign * amount
        for name, sign in step.rest.items():
            self._sums[name] += sign * rest
        sums = self._sums
        if sums["authorized"]:
            self.payment |= {f"{name}_minor": sums[name] for name in SUMS}
        if min(sums.values(), default=0) < 0:
            amounts = ", ".join(f"{name} {self.unit.text(sums[name])}" for name in SUMS)
            yield f"moves more than there is: {amounts} {self.unit.currency}"

    def _told(self, postings: Sequence[Posting]) -> str:
        return (
            " and ".join(
                f"{self.unit.text(each.amount_minor)} {self.unit.currency}"
                f" from {each.credit} to {each.debit}"
                for each in postings
            )
            or "nothing"
        )


def rebuild(payment_id: str, records: Iterable[Record]) -> Rebuilt:
    """Rebuild a payment and its operations from the payment's records, in their order."""
    rebuilt = Rebuilt(payment_id)
    for record in records:
        rebuilt.follow(record)
    return rebuilt


@dataclass(frozen=True, slots=True)
class Examined:
    """A payment and its operations as they are stored, and as their records tell them."""

    payment: Item
    operations: Sequence[Item]
    rebuilt: Rebuilt
    faults: Sequence[Fault]


def examine(payment: Item, records: Iterable[Record], operations: Sequence[Item]) -> Examined:
    """Compare a payment and its operations, as they are stored, with their records.

    Args:
        payment: the stored payment.
        records: its records, in their order, up to the number that the payment names.
        operations: its stored operations.
    """
    payment_id = payment["payment_id"]
    rebuilt = rebuild(payment_id, records)
    faults = list(rebuilt.faults)
    told = rebuilt.payment
    if rebuilt.opening and not rebuilt.has_postings:
        # A payment of a release before stores no sums until something happens to it.
        sums = {f"{name}_minor" for name in SUMS}
        told = {name: value for name, value in told.items() if name in payment or name not in sums}
    faults.extend(Fault(payment_id, what) for what in _differences(payment, told))
    stored = {item["operation"]: item for item in operations}
    for name in sorted(stored.keys() | rebuilt.operations.keys()):
        faults.extend(
            Fault(payment_id, f"{name}: {what}")
            for what in _differences(stored.get(name, {}), rebuilt.operations.get(name, {}))
        )
    return Examined(payment, operations, rebuilt, faults)


def _differences(stored: Item, told: Item) -> Iterator[str]:
    if not stored or not told:
        yield "is stored and no record tells of it" if stored else "is told of and not stored"
        return
    for name in sorted((stored.keys() | told.keys()) - _PLACES):
        if stored.get(name) != told.get(name):
            yield f"{name} is {stored.get(name)!r}, its records say {told.get(name)!r}"


def hash_of(record: Record) -> str:
    """Return the SHA-256 over a record's own JSON: keys sorted, no spaces, without its hash."""
    content = {name: value for name, value in record.items() if name != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Balance(NamedTuple):
    """What was posted to an account of one currency."""

    unit: Unit
    account: str
    debits: int
    credits: int

    @property
    def minor(self) -> int:
        """What the debits exceed the credits by."""
        return self.debits - self.credits


class Accounts:
    """What was posted to each account, in memory that does not grow with the postings."""

    def __init__(self) -> None:
        self._debits: Counter[tuple[Unit, str]] = Counter()
        self._credits: Counter[tuple[Unit, str]] = Counter()

    def post(self, unit: Unit, posting: Posting) -> None:
        """Add a posting."""
        self._debits[unit, posting.debit] += posting.amount_minor
        self._credits[unit, posting.credit] += posting.amount_minor

    def balance(self, unit: Unit, account: str) -> Balance:
        """Return what an account stands at."""
        key = (unit, account)
        return Balance(unit, account, self._debits[key], self._credits[key])

    def __iter__(self) -> Iterator[Balance]:
        for unit, account in sorted(self._debits.keys() | self._credits.keys()):
            yield self.balance(unit, account)


class Total(NamedTuple):
    """One comparison of sums: what the books say, and what the tables say."""

    name: str
    unit: Unit
    books: int
    tables: int

    @property
    def holds(self) -> bool:
        """Whether both say the same."""
        return self.books == self.tables


@dataclass(slots=True)
class Books:
    """The sums of all that was examined, in memory that does not grow with it.

    ``accounts`` is what the records posted; ``captured``, ``refunded`` and ``pending`` are sums of
    payments and operations as they are stored. ``outcomes`` counts the ends of the rows of each batch, and
    ``ended`` has when the last of its payments changed.
    """

    payments: int = 0
    records: int = 0
    operations: int = 0
    opening: int = 0
    accounts: Accounts = field(default_factory=Accounts)
    captured: Counter[Unit] = field(default_factory=Counter)
    refunded: Counter[Unit] = field(default_factory=Counter)
    pending: Counter[Unit] = field(default_factory=Counter)
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    ended: dict[str, str] = field(default_factory=dict)

    def add(self, examined: Examined) -> None:
        """Add a payment with its operations and records."""
        payment, rebuilt = examined.payment, examined.rebuilt
        self.payments += 1
        self.records += rebuilt.records
        self.operations += len(examined.operations)
        self.opening += len(rebuilt.opening)
        for posting in (*rebuilt.opening, *rebuilt.postings):
            self.accounts.post(rebuilt.unit, posting)
        unit = _unit_of(payment)
        self.captured[unit] += _stored_captured(payment)
        self.refunded[unit] += _integer(payment.get("refunded_minor"))
        for operation in examined.operations:
            if _is_open_refund(operation):
                self.pending[unit] += _integer(operation.get("amount_minor"))
        for batch_id, outcome in rebuilt.rows:
            self.outcomes[batch_id][outcome] += 1
            changed = str(payment.get("updated_at"))
            self.ended[batch_id] = max(changed, self.ended.get(batch_id, ""))

    def totals(self) -> Iterator[Total]:
        """Yield each comparison of sums, currency by currency."""
        balances = list(self.accounts)
        for unit in sorted({balance.unit for balance in balances} | self.captured.keys()):
            captured, refunded, pending = (
                sums[unit] for sums in (self.captured, self.refunded, self.pending)
            )
            of_unit = [balance for balance in balances if balance.unit == unit]
            debits = sum(balance.debits for balance in of_unit)
            yield Total("debits = credits", unit, debits, sum(each.credits for each in of_unit))
            for name, account, right in (
                ("processor = captured - refunded", PROCESSOR, captured - refunded),
                ("client = refunded + pending - captured", CLIENT, refunded + pending - captured),
                ("refunds_pending = open refunds", REFUNDS_PENDING, -pending),
            ):
                yield Total(name, unit, self.accounts.balance(unit, account).minor, right)


def postings_told(record: Record) -> Iterator[tuple[Posting, bool]]:
    """Yield the postings of a record, and whether it was written before there were postings.

    What such a record would post follows from its step.
    """
    if "postings" in record:
        for posting in _stored_postings(record):
            yield posting, False
        return
    step = _STEPS.get((record["kind"], record.get("from"), record["to"]), _Step())
    if step.debit:
        yield Posting(step.debit, step.credit, record["amount_minor"]), True


def _stored_postings(record: Record) -> list[Posting]:
    return [Posting(**posting) for posting in record.get("postings", ())]


def _unit_of(payment: Item) -> Unit:
    return Unit(str(payment.get("currency")), _integer(payment.get("exponent")))


def _integer(value: object) -> int:
    """Return a stored number; what is damaged is told as a fault and counts as nothing."""
    return value if isinstance(value, int) else 0


def _stored_captured(payment: Item) -> int:
    if "captured_minor" in payment:
        return _integer(payment["captured_minor"])
    # A release before stored no sums.
    is_charged = payment.get("status") == "COMPLETED"
    return _integer(payment.get("amount_minor")) if is_charged else 0


def _is_open_refund(operation: Item) -> bool:
    is_refund = str(operation.get("operation")).startswith("refund#")
    return is_refund and operation.get("status") in {"PENDING", "IN_REVIEW"}
