"""What the outside world wants of one run: payments over HTTP, batch files, and nonsense."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final

from payments.batches.batch import DRY_RUN_PREFIX
from payments.core.money import EXPONENTS, to_decimal_text
from payments.gateways.sandbox import DECLINED_AMOUNTS, TROUBLED_AMOUNTS

if TYPE_CHECKING:
    from tests.simulation.asks import Ask, Person

_CURRENCIES: Final = ("USD", "EUR", "JPY", "KWD", "CLF")
_BUSY_SECONDS: Final = 60.0
_CROWD: Final = 12
_SHARE_OF_DELETED: Final = 0.08

INVALID_BODIES: Final = (
    "",
    "[]",
    "{",
    '{"payment_id": "pay_bad", "amount": 1.005, "currency": "USD"}',
    '{"payment_id": "pay_bad", "amount": true, "currency": "usd"}',
    '{"payment_id": "pay_bad", "amount": "1", "currency": "USD", "extra": 1}',
)
INVALID_ROWS: Final = (
    "pay_bad,1.005,USD,",
    "pay bad,1,USD,",
    "pay_bad,-1,EUR,",
    "pay_bad,1",
    "pay_bad,1,234.56,USD,rent",
    'pay_bad,1,USD,"a"b',
    "pay_bad,,USD,",
)
MEMOS: Final = (
    "",
    "",
    '"a, b"',
    '"thanks\nnobody_asked,9999.00,USD,x\nbye"',
    '"\n\nnobody_asked,1,EUR,""quoted""\n"',
    '5" pipe',
)
"""What people write into the last column; none of it orders a payment."""
UNREADABLE_FILES: Final = (
    b"",
    b"payment_id,amount\npay_bad,1\n",
    b"payment_id,amount,currency\npay_bad,1,\xff\n",
    "payment_id,amount,currency\npay_bad,1,USD\n".encode("utf-16"),
)
DRY_RUNS: Final = (DRY_RUN_PREFIX, "Dry-Run/", "/dry_run/", "march/DRY RUN/")
POISON_MESSAGES: Final = ("", "[]", "not json", '{"payment_id": "pay_poison"}')


@dataclass(frozen=True, slots=True)
class Content:
    """What a payment is: its id, an amount in minor units, a currency, and when it is captured."""

    payment_id: str
    amount_minor: int
    currency: str
    capture: str = "automatic"

    @property
    def amount(self) -> str:
        """The amount as clients write it."""
        return to_decimal_text(self.amount_minor, EXPONENTS[self.currency])


@dataclass(frozen=True, slots=True)
class Submission:
    """One client that posts a payment at some time, again and again until it is answered."""

    at: float
    content: Content
    patience: int
    by: "Person | None" = None


@dataclass(frozen=True, slots=True)
class Upload:
    """One batch file: rows that are payments (content) and rows that are not (text)."""

    at: float
    key: str
    rows: tuple[Content | str, ...]
    memos: tuple[str, ...] = ()
    unreadable: bytes | None = None
    by: str | None = None
    gone_after: float | None = None
    """After how many seconds somebody deletes this version of the file, if anybody does."""

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing of it may be paid."""
        return "dry" in self.key.lower()

    @property
    def valid_rows(self) -> dict[int, Content]:
        """The rows that ask for a payment, by their lines in the file."""
        return {line: row for line, row in self._lines if isinstance(row, Content)}

    @property
    def bad_lines(self) -> list[int]:
        """The lines that are no payment."""
        return [line for line, row in self._lines if not isinstance(row, Content)]

    @property
    def _lines(self) -> list[tuple[int, Content | str]]:
        if self.unreadable is not None:
            return []
        lines, line = [], 2
        for row, memo in zip(self.rows, self.memos, strict=True):
            lines.append((line, row))
            line += 1 + (memo.count("\n") if isinstance(row, Content) else row.count("\n"))
        return lines

    @property
    def body(self) -> bytes:
        """The file."""
        if self.unreadable is not None:
            return self.unreadable
        has_captures = any(
            row.capture != "automatic" for row in self.rows if isinstance(row, Content)
        )
        lines = ["payment_id,amount,currency,memo" + (",capture" if has_captures else "")]
        for row, memo in zip(self.rows, self.memos, strict=True):
            if isinstance(row, Content):
                capture = f",{row.capture}" if has_captures else ""
                lines.append(f"{row.payment_id},{row.amount},{row.currency},{memo}{capture}")
            else:
                lines.append(row)
        return "\n".join(lines).encode()


@dataclass(slots=True)
class Scenario:
    """All that will be asked for in one run."""

    submissions: list[Submission] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    readers: list[tuple[float, str]] = field(default_factory=list)
    nonsense: list[tuple[float, str]] = field(default_factory=list)
    poison: list[tuple[float, str]] = field(default_factory=list)
    asks: list["Ask"] = field(default_factory=list)
    """What is asked of payments later, see :mod:`tests.simulation.asks`."""

    @property
    def parts(self) -> int:
        """How many things are asked for."""
        return sum(map(len, self._lists))

    def without(self, places: Collection[int]) -> "Scenario":
        """Return the scenario without some of its parts, counted through all lists."""
        place = count()
        return Scenario(
            *([each for each in asked if next(place) not in places] for asked in self._lists)
        )

    @property
    def _lists(self) -> tuple[list[Any], ...]:
        return (
            self.submissions,
            self.uploads,
            self.readers,
            self.nonsense,
            self.poison,
            self.asks,
        )


def draw_scenario(random: Random, *, sandbox: bool, crowded: bool) -> Scenario:
    """Draw a run: few payments, much contention.

    Args:
        random: the run's one source of chance.
        sandbox: whether amounts that give the sandbox trouble may occur.
        crowded: whether there are dozens of payments.
    """
    scenario = Scenario()
    many = random.randint(20, 40) if crowded else random.randint(3, 7)
    contents = [_content(random, f"pay_{n}", sandbox=sandbox) for n in range(many)]
    for content in contents:
        start = random.uniform(0, _BUSY_SECONDS)
        for number in range(random.choice((1, 1, 2, 3))):
            # A twin at the same time, or a retry by somebody who lost track.
            at = start if random.random() < 0.6 else start + random.uniform(0, 5 * _BUSY_SECONDS)
            patience = random.choice((1, 3, 10)) if number == 0 else 3
            scenario.submissions.append(Submission(at, content, patience))
        if random.random() < 0.05:
            crowd = Submission(start, content, patience=2)
            scenario.submissions.extend([crowd] * _CROWD)
        if random.random() < 0.3:
            at = start + random.choice((0.0, random.uniform(0, _BUSY_SECONDS)))
            scenario.submissions.append(Submission(at, _rival(random, content), patience=3))
        if random.random() < 0.3:
            scenario.readers.append((start + random.uniform(0, 5), content.payment_id))
    for number in range(random.choice((0, 1, 1, 2))):
        upload = _upload(random, number, contents, sandbox=sandbox)
        scenario.uploads.append(upload)
        if random.random() < 0.15:
            # A new version of the file, with the same rows.
            at = upload.at + random.choice((0.0, random.uniform(0, 5 * _BUSY_SECONDS)))
            scenario.uploads.append(replace(upload, at=at))
    for _ in range(random.choice((0, 0, 1))):
        at = random.uniform(0, _BUSY_SECONDS)
        scenario.nonsense.append((at, random.choice(INVALID_BODIES)))
        scenario.poison.append((at, random.choice(POISON_MESSAGES)))
    return scenario


def delete_some(random: Random, scenario: Scenario) -> None:
    """Let versions of files be deleted, before or while they are read."""
    scenario.uploads = [
        replace(each, gone_after=random.choice((1.0, 30.0, 600.0)) * random.random())
        if random.random() < _SHARE_OF_DELETED
        else each
        for each in scenario.uploads
    ]


def _upload(random: Random, number: int, contents: list[Content], *, sandbox: bool) -> Upload:
    rows: list[Content | str] = [
        _content(random, f"row_{number}_{line}", sandbox=sandbox)
        for line in range(random.choice((0, 2, 4, 12)))
    ]
    rows.extend(
        content if random.random() < 0.6 else _rival(random, content)
        for content in contents
        if random.random() < 0.4
    )
    if rows and random.random() < 0.4:
        twice = random.choice(rows)
        rows.append(twice)
    rows.extend(random.sample(INVALID_ROWS, random.choice((0, 0, 1, 3))))
    random.shuffle(rows)
    key = f"b\u00e4tch+{number} %20.csv"
    if random.random() < 0.3:
        key = f"{random.choice(DRY_RUNS)}{key}"
    unreadable = random.choice(UNREADABLE_FILES) if random.random() < 0.1 else None
    memos = tuple(random.choice(MEMOS) for _ in rows)
    return Upload(random.uniform(0, _BUSY_SECONDS), key, tuple(rows), memos, unreadable)


def _content(random: Random, payment_id: str, *, sandbox: bool) -> Content:
    return Content(payment_id, _amount(random, sandbox=sandbox), random.choice(_CURRENCIES))


def _rival(random: Random, content: Content) -> Content:
    """Return other content under the same id."""
    if random.random() < 0.5:
        return replace(content, amount_minor=content.amount_minor + 1)
    others = [currency for currency in _CURRENCIES if currency != content.currency]
    return replace(content, currency=random.choice(others))


def _amount(random: Random, *, sandbox: bool) -> int:
    draw = random.random()
    if draw < 0.15:
        return random.choice(tuple(DECLINED_AMOUNTS))
    if sandbox and draw < 0.5:
        return random.choice(tuple(TROUBLED_AMOUNTS))
    return random.randint(1, 10**6)
