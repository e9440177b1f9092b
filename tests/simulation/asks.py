"""What clients ask of a payment after it was accepted: refunds, captures, cancellations, decisions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from payments.core.money import EXPONENTS, to_decimal_text
from payments.gateways.sandbox_operations import (
    CAPTURED_INSTEAD,
    REFUSED_AMOUNTS,
    TROUBLED_OPERATIONS,
)
from tests.simulation.scenario import Content, Scenario, Upload

_SHARE_OF_MANUAL: Final = 0.4
_SHARE_OF_ASKED: Final = 0.85
_BUSY_SECONDS: Final = 90.0
_LATER_SECONDS: Final = (600.0, 6 * 3600.0)
_DAYS_LATER: Final = (1.1, 4.5)
"""On which days clients come back, when most of it is over."""

_SHARE_OF_RACES: Final = 0.3
_RACE_SECONDS: Final = 10.0
_SHARE_DECIDED: Final = 0.8

_MAGIC_AMOUNTS: Final = (*REFUSED_AMOUNTS, *TROUBLED_OPERATIONS, CAPTURED_INSTEAD)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as API Gateway names who signed a request."""

    user: str
    arn: str


ALICE: Final = Person("AIDAALICE", "arn:aws:iam::123456789012:user/alice")
ALICE_AS_SUPPORT: Final = Person(
    "AROASUPPORT:Alice", "arn:aws:sts::123456789012:assumed-role/support/Alice"
)
BOB: Final = Person("AIDABOB", "arn:aws:iam::123456789012:user/bob")
CAROL: Final = Person("AROASUPPORT:carol", "arn:aws:sts::123456789012:assumed-role/support/carol")
PEOPLE: Final = (ALICE, ALICE_AS_SUPPORT, BOB, CAROL)


@dataclass(frozen=True, slots=True)
class Ask:
    """One client that asks something of a payment at some time, until it is answered.

    Attributes:
        at: when, in seconds since the start of the run, or of a later day.
        payment_id: of which payment.
        verb: ``refunds``, ``captures``, ``cancel`` or ``review``: the end of the path.
        body: what is sent, as JSON text.
        patience: how often it is sent at most.
        by: who signs it; nobody, if nobody does.
        day: on which later day; ``None`` is the first.
    """

    at: float
    payment_id: str
    verb: str
    body: str
    patience: int
    by: Person | None = None
    day: float | None = None

    @property
    def operation_id(self) -> str | None:
        """The client's own id of the operation; a cancellation has none."""
        document = json.loads(self.body)
        given: str | None = document.get("refund_id") or document.get("capture_id")
        return given

    @property
    def meaning(self) -> tuple[Any, ...]:
        """What makes two requests under one id the same."""
        document = json.loads(self.body)
        return document.get("amount"), document.get("reason"), document.get("final", True)

    @property
    def kind(self) -> str:
        """The operation's kind."""
        return self.verb.removesuffix("s")


def make_some_manual(random: Random, scenario: Scenario) -> None:
    """Let some payments of a scenario be captured later."""
    ids = sorted({each.content.payment_id for each in scenario.submissions})
    manual = {each for each in ids if random.random() < _SHARE_OF_MANUAL}

    def changed(content: Content) -> Content:
        return replace(content, capture="manual") if content.payment_id in manual else content

    scenario.submissions = [
        replace(each, content=changed(each.content)) for each in scenario.submissions
    ]
    scenario.uploads = [_with_rows(each, changed) for each in scenario.uploads]


def _with_rows(upload: Upload, changed: Any) -> Upload:
    rows = tuple(changed(row) if isinstance(row, Content) else row for row in upload.rows)
    return replace(upload, rows=rows)


def draw_asks(random: Random, scenario: Scenario, *, sandbox: bool) -> list[Ask]:
    """Draw what clients ask of the payments of a scenario: few ids and amounts, much contention."""
    asks: list[Ask] = []
    first = {each.content.payment_id: each for each in reversed(scenario.submissions)}
    for _, submission in sorted(first.items()):
        if random.random() < _SHARE_OF_ASKED:
            asks.extend(_asks_of(random, submission.content, submission.at, sandbox=sandbox))
    return asks


def _asks_of(random: Random, content: Content, accepted_at: float, *, sandbox: bool) -> list[Ask]:
    asks: list[Ask] = []
    if content.capture == "manual":
        asks.extend(_captures(random, content, accepted_at, sandbox=sandbox))
    if random.random() < 0.2:
        body = random.choice(("{}", "{}", '{"reason": "stolen"}'))
        asks.extend(_several(random, content, "cancel", [body], accepted_at))
    bodies = [_refund(random, content, sandbox=sandbox) for _ in range(random.randint(1, 5))]
    asks.extend(_several(random, content, "refunds", bodies, accepted_at))
    return asks


def _captures(
    random: Random, content: Content, accepted_at: float, *, sandbox: bool
) -> Sequence[Ask]:
    bodies = []
    for _ in range(random.choice((1, 1, 2, 3))):
        document: dict[str, Any] = {"capture_id": random.choice(("c1", "c1", "c2"))}
        if random.random() < 0.6:
            document["amount"] = _amount(random, content, sandbox=sandbox)
        if random.random() < 0.5:
            document["final"] = random.random() < 0.4
        bodies.append(json.dumps(document))
    return _several(random, content, "captures", bodies, accepted_at)


def _refund(random: Random, content: Content, *, sandbox: bool) -> str:
    document = {"refund_id": random.choice(("r1", "r1", "r2", "r3"))}
    if random.random() < 0.7:
        document["amount"] = _amount(random, content, sandbox=sandbox)
    if random.random() < 0.2:
        document["reason"] = "returned goods"
    return json.dumps(document)


def _amount(random: Random, content: Content, *, sandbox: bool) -> str:
    """Draw an amount of which two go into the payment, or do not, or not even one."""
    if sandbox and random.random() < 0.4:
        minor = random.choice(_MAGIC_AMOUNTS)
    else:
        share = random.choice((0.3, 0.5, 0.6, 1.0, 1.0, 1.01))
        minor = max(1, round(content.amount_minor * share))
    return to_decimal_text(minor, EXPONENTS[content.currency])


def _several(
    random: Random, content: Content, verb: str, bodies: Sequence[str], accepted_at: float
) -> list[Ask]:
    """Let each body be asked for once or more: at once, by who lost track, or on another day."""
    asks: list[Ask] = []
    for body in bodies:
        at = accepted_at + random.choice((0.0, _BUSY_SECONDS, 600.0)) * random.random()
        for number in range(random.choice((1, 1, 2, 3))):
            again = at if random.random() < 0.5 else at + random.uniform(*_LATER_SECONDS)
            asks.append(
                Ask(
                    at=at if number == 0 else again,
                    payment_id=content.payment_id,
                    verb=verb,
                    body=body,
                    patience=random.choice((1, 3, 8)),
                )
            )
        if random.random() < 0.15:
            later = random.uniform(0, 1800)
            day = random.choice(_DAYS_LATER)
            asks.append(Ask(later, content.payment_id, verb, body, patience=5, day=day))
    return asks


def draw_races(random: Random, asks: Sequence[Ask]) -> list[Ask]:
    """Draw cancellations that come while a capture is under way."""
    return [
        replace(ask, at=ask.at + random.uniform(0, _RACE_SECONDS), verb="cancel", body="{}")
        for ask in asks
        if ask.verb == "captures" and random.random() < _SHARE_OF_RACES
    ]


def draw_reviews(random: Random, scenario: Scenario, *, above: int) -> list[Ask]:
    """Let people submit the payments of a scenario, and decide about those above a limit.

    Args:
        random: the run's source of chance for this.
        scenario: whose submissions and files get somebody who signs them.
        above: the limit, in minor units of any currency.

    Returns:
        The decisions that are sent: by others, by who submitted the payment, and by nobody known.
    """
    scenario.submissions = [
        replace(each, by=random.choice((*PEOPLE, None))) for each in scenario.submissions
    ]
    scenario.uploads = [replace(each, by=random.choice(PEOPLE).user) for each in scenario.uploads]
    contents = {each.content.payment_id: each.content for each in scenario.submissions}
    for upload in scenario.uploads:
        contents |= {row.payment_id: row for row in upload.valid_rows.values()}
    return [
        ask
        for _, content in sorted(contents.items())
        if content.amount_minor > above and random.random() < _SHARE_DECIDED
        for ask in _decisions(random, content)
    ]


def _decisions(random: Random, content: Content) -> list[Ask]:
    asks: list[Ask] = []
    at = random.uniform(0, 600)
    for _ in range(random.choice((1, 2, 2, 4))):
        decision = random.choice(("approve", "approve", "reject"))
        asks.append(
            Ask(
                at=at if random.random() < 0.5 else random.uniform(0, 6 * 3600),
                payment_id=content.payment_id,
                verb="review",
                body=json.dumps({"decision": decision, "note": "looked at it"}),
                patience=random.choice((1, 3, 8)),
                by=random.choice((*PEOPLE, None)),
                day=random.choice((None, None, None, _DAYS_LATER[0])),
            )
        )
    return asks
