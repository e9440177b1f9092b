"""What earlier releases wrote and handed on is understood today, and today's is by them.

Each step of each recording runs again: the account holds what it held, the function of today gets
the event of then. What comes of it must have all that the release's own code would look for: its
workflows in the answer, its readers in items and messages (after a rollback), its clients in the
answers of the API. Where it has not, change the code so that both releases can live with it; a
recording changes no more once its release is tagged (docs/production.md).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.releases.account import KEYS, Account, State, account
from tests.releases.record import RELEASES, Step, missing

RECORDINGS: Final = sorted(RELEASES.glob("[0-9]*/*.json"))
OUTCOMES: Final = frozenset(
    {"event_type", "kind", "planned", "raised", "settled", "status", "statusCode", "type"}
)
"""Whatever is called like this has the same value as then."""


class Incompatible(Exception):
    """The code of today does something that the release would not understand, or not what it did."""


def steps(recording: Path) -> list[Step]:
    found: list[Step] = json.loads(recording.read_text())
    return found


def replay(recorded: list[Step]) -> None:
    """Run the steps of a recording again.

    Raises:
        Incompatible: something is not as it was; the message says where.
    """
    with account() as opened:
        for number, step in enumerate(recorded, 1):
            where = f"step {number} ({step['does']})"
            opened.load(step["before"])
            opened.now = datetime.fromisoformat(step["now"])
            answer = opened.invoke(step["function"], step["event"])
            keeps(f"{where}: answer", step["answer"], answer)
            _keeps_messages(where, step["sent"], opened.sent())
            _keeps_items(where, step["after"], opened)
            # The next step begins with what the release wrote, not with what was written now.
            opened.load(step["after"])


def keeps(where: str, then: Any, now: Any, name: str = "") -> None:
    """Check that a document has all that it had: the same names, with values of the same types.

    Raises:
        Incompatible: something is missing, or another outcome.
    """
    if isinstance(then, str) and isinstance(now, str) and then.startswith("{"):
        return keeps(where, json.loads(then), json.loads(now))
    if type(then) is not type(now):
        raise Incompatible(f"{where} is {now!r}, and was {then!r}")
    if isinstance(then, Mapping):
        if missing := then.keys() - now.keys():
            raise Incompatible(f"{where} has no {', '.join(sorted(missing))} any more: {now}")
        for each, value in then.items():
            # An attribute of an item is an outcome as much as its type's value is.
            keeps(f"{where}.{each}", value, now[each], name if name in OUTCOMES else each)
    elif isinstance(then, list):
        if len(then) != len(now):
            raise Incompatible(f"{where} has {len(now)} entries, and had {len(then)}")
        for number, (old, new) in enumerate(zip(then, now, strict=True)):
            keeps(f"{where}[{number}]", old, new)
    elif name in OUTCOMES and then != now:
        raise Incompatible(f"{where} is {now!r}, and was {then!r}")
    return None


def _keeps_messages(where: str, then: dict[str, list[str]], now: dict[str, list[str]]) -> None:
    if then.keys() != now.keys():
        raise Incompatible(f"{where}: messages to {sorted(now)}, and then to {sorted(then)}")
    for queue, bodies in then.items():
        keeps(f"{where}: messages to {queue}", bodies, now[queue])


def _keeps_items(where: str, then: State, opened: Account) -> None:
    for table, keys in KEYS.items():
        for item in then[table]:
            key = {name: item[name] for name in keys}
            found = opened.clients.dynamodb.get_item(TableName=table, Key=key).get("Item")
            if found is None:
                raise Incompatible(f"{where}: nothing is at {key} in {table}")
            keeps(f"{where}: {table} {key}", item, found)
    for kind, names, look in (
        ("objects", ("Bucket", "Key"), opened.objects),
        ("executions", ("machine", "name"), opened.executions),
    ):
        wanted = {tuple(each[name] for name in names) for each in then[kind]}
        if wanted and (lost := wanted - {tuple(each[name] for name in names) for each in look()}):
            raise Incompatible(f"{where}: no {sorted(lost)} among the {kind}")


@pytest.mark.parametrize(
    "recording", RECORDINGS, ids=lambda file: f"{file.parent.name}-{file.stem}"
)
def test_a_recorded_release_goes_on_under_the_code_of_today(recording: Path) -> None:
    replay(steps(recording))


def test_there_is_a_recording_of_the_first_release() -> None:
    assert {file.parent.name for file in RECORDINGS} >= {"1.0.0"}


def test_a_recording_that_is_not_complete_says_what_it_lacks() -> None:
    lacking = missing(steps(RELEASES / "1.0.0/paid.json"))
    assert "payment-batch-workflow: Range" in lacking
    assert "the status IN_REVIEW" in lacking
    assert "the status COMPLETED" not in lacking


# --- an incompatible change is found


def renamed(document: Any, name: str) -> Any:
    """Rename a field wherever it is, in JSON within JSON, too."""
    if isinstance(document, str) and document.startswith("{"):
        return json.dumps(renamed(json.loads(document), name))
    if isinstance(document, dict):
        return {
            f"{each}_" if each == name else each: renamed(value, name)
            for each, value in document.items()
        }
    if isinstance(document, list):
        return [renamed(each, name) for each in document]
    return document


@dataclass(frozen=True)
class Rename:
    """A field of another name, in one part of each step that does something."""

    name: str
    part: str
    does: str = ""

    def __call__(self, step: Step) -> None:
        if not step["does"].startswith(self.does):
            return
        if self.part in KEYS:
            for state in (step["before"], step["after"]):
                state[self.part] = renamed(state[self.part], self.name)
        else:
            step[self.part] = renamed(step[self.part], self.name)


@pytest.mark.parametrize(
    ("scenario", "change"),
    [
        ("paid", Rename("amount_minor", "event", "message of")),
        ("refunded", Rename("operation_id", "event", "message of")),
        ("paid", Rename("amount_minor", "payments")),
        ("paid", Rename("sequence", "audit")),
        ("refunded", Rename("amount_minor", "operations")),
        ("filed", Rename("entity_id", "status")),
        ("answer_lost", Rename("payment_id", "event", "payment-workflow: Charge")),
        ("refunded", Rename("operation_id", "event", "payment-workflow: Perform")),
        ("filed", Rename("columns", "event", "payment-batch-workflow: Range")),
        ("filed", Rename("planned", "answer", "payment-batch-workflow: Plan")),
        ("paid", Rename("history", "answer", "GET /payments/{payment_id}")),
        ("processor_down", Rename("input", "event", "death of an execution")),
        ("declined", Rename("event_type", "event", "records of the stream")),
    ],
    ids=lambda each: each if isinstance(each, str) else f"{each.part}-{each.name}",
)
def test_a_field_that_today_is_called_otherwise_is_found(scenario: str, change: Rename) -> None:
    recorded = steps(RELEASES / "1.0.0" / f"{scenario}.json")
    for step in recorded:
        change(step)
    with pytest.raises((Incompatible, ClientError, KeyError)):
        replay(recorded)
