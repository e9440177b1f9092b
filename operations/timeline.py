"""What one environment knows of one payment, in the order in which it happened."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from operations.audit import AuditTrail
from payments.core.amounts import Amounts
from payments.core.audit import KIND, AuditRecord
from payments.core.content import Content
from payments.core.executions import MOST_EXECUTIONS, execution_name
from payments.core.money import to_decimal_text

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
"""What a damaged item raises when its attributes are used."""


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """One thing that happened."""

    at: datetime
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A payment as it stands, all that happened to it, and what is wrong with its audit trail.

    Whatever was damaged is named in ``faults``, and left out of ``moments`` if it has no time.
    """

    payment: Mapping[str, Any]
    moments: list[Moment]
    records: int
    faults: list[str]
    audit: list[AuditRecord]

    @property
    def amount(self) -> str:
        """Amount and currency as people write them."""
        try:
            content = Content.from_dict(self.payment)
            amount = f"{content.amount} {content.currency}"
        except _UNREADABLE:
            return "an amount that cannot be read"
        return amount

    @property
    def amounts(self) -> str:
        """What became of the money, as people write it: every sum that is not zero."""
        if "authorized_minor" not in self.payment:
            return ""
        try:
            exponent, currency = self.payment["exponent"], self.payment["currency"]
            sums = Amounts.from_dict(dict(self.payment))
            told = [
                f"{name.replace('_', ' ')} {to_decimal_text(minor, exponent)}"
                for name, minor in asdict(sums).items()
                if minor
            ]
            text = f"{', '.join(told)} {currency}"
        except _UNREADABLE:
            return "amounts that cannot be read"
        return text


class Witnesses:
    """Tables and workflow of one environment; each tells its part of a payment's story."""

    def __init__(self, trail: AuditTrail, workflows: "SFNClient", workflow_arn: str) -> None:
        self._trail = trail
        self._workflows = workflows
        self._executions = workflow_arn.replace(":stateMachine:", ":execution:")

    def timeline(self, payment_id: str) -> Timeline | None:
        """Return the whole story of a payment, or ``None`` if there is none with this id."""
        checked = self._trail.check(payment_id)
        if checked is None:
            return None
        # A step of the workflow comes before the status that it brings about, at one time.
        moments, faults = list(self._execution_moments(payment_id)), list(checked.faults)
        for record in checked.records:
            try:
                moments.extend(_told_by(record))
            except _UNREADABLE as error:
                where = f"{payment_id} record {record.get('sequence')}"
                faults.append(f"{where}: cannot be told, {type(error).__name__}: {error}")
        moments.sort(key=lambda moment: moment.at)
        return Timeline(checked.payment, moments, len(checked.records), faults, checked.records)

    def _execution_moments(self, payment_id: str) -> Iterator[Moment]:
        for number in range(1, MOST_EXECUTIONS + 1):
            name = execution_name(payment_id, number)
            try:
                pages = list(
                    self._workflows.get_paginator("get_execution_history").paginate(
                        executionArn=f"{self._executions}:{name}"
                    )
                )
            except self._workflows.exceptions.ExecutionDoesNotExist:
                return
            called = "execution" if number == 1 else f"execution {number}"
            yield from _told(called, [event for page in pages for event in page["events"]])


def _told_by(record: AuditRecord) -> Iterator[Moment]:
    """Yield the change of status that a record tells of, and its announcement if there is one."""
    at = datetime.fromisoformat(record["at"])
    if at.tzinfo is None:
        raise ValueError("its time has no time zone")
    attempt = f", attempt {record['attempt'] + 1}" if "attempt" in record else ""
    failure = f", {record['failure_code']}" if "failure_code" in record else ""
    reference = (
        f", reference {record['gateway_reference']}" if "gateway_reference" in record else ""
    )
    told = [
        f"{name} {record[field]}"
        for name, field in (("code", "processor_code"), ("request", "processor_request_id"))
        if field in record
    ]
    processor = f", the processor's {' and '.join(told)}" if told else ""
    posted = "".join(
        f", posts {to_decimal_text(posting['amount_minor'], record['exponent'])}"
        f" {record['currency']} from {posting['credit']} to {posting['debit']}"
        for posting in record.get("postings", ())
    )
    kind, what, about = record.get("kind", KIND), str(record["to"]), ""
    if kind != KIND:
        # A status of its own, and not the payment's.
        what = f"{kind} {record['to']}"
    if "operation_minor" in record:
        amount = to_decimal_text(record["operation_minor"], record["exponent"])
        about = f"{record['operation_id']}, {amount} {record['currency']}, "
    if "reviewer_name" in record:
        about += f"{record['note']!r} by {record['reviewer_name']}, "
    yield Moment(
        at,
        what,
        f"{about}by {record['actor']}{attempt}{failure}{reference}{processor}{posted};"
        f" audit record {record['sequence']}, {record['hash'][:12]}",
    )
    if "event_type" in record:
        event_id = f"{record['payment_id']}:{record['sequence']}"
        yield Moment(at, "announcement", f"{record['event_type']}, event id {event_id}")


def _told(execution: str, events: list["HistoryEventTypeDef"]) -> Iterator[Moment]:
    """Yield what a person wants to know of an execution's history."""
    state = ""
    for event in events:
        kind = event["type"]
        at = event["timestamp"].astimezone(UTC)
        if entered := event.get("stateEnteredEventDetails"):
            state = entered["name"]
            yield Moment(at, "workflow", f"{execution}: {state}")
        elif kind == "TaskFailed":
            failed = event.get("taskFailedEventDetails", {})
            yield Moment(at, "workflow", f"{execution}: {state} failed, {failed.get('error')}")
        elif kind == "TaskTimedOut":
            yield Moment(at, "workflow", f"{execution}: {state} timed out")
        elif kind.startswith("Execution"):
            yield Moment(at, "workflow", f"{execution}: {kind.removeprefix('Execution').lower()}")
