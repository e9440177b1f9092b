"""The largest records are each written with one write unit, and the most extreme ones with two."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from payments.api.reviews import LONGEST_NOTE
from payments.aws.items import serialize
from payments.core.audit import AuditRecord
from payments.core.content import Content
from payments.core.executions import MOST_EXECUTIONS, execution_name
from payments.core.fields import LONGEST_REASON, OPTIONAL_FIELDS
from payments.core.money import MAX_EXPONENT, MAX_MINOR_UNITS
from payments.core.operation import Operation, OperationKind, OperationRequest, OperationStatus
from payments.core.payment import Failure, PaymentRequest, PaymentStatus, ProcessorAnswer
from payments.core.review import Decision, Person, Review
from payments.flows.review import REFUND_REJECTED
from payments.gateways import failures
from payments.gateways.port import CANCELLED
from payments.gateways.sandbox import DECLINED_AMOUNTS
from tests.unit.cloud import AT
from tests.unit.trails import Trail

PROCESSING, AUTHORIZED, COMPLETED, FAILED = (
    PaymentStatus.PROCESSING,
    PaymentStatus.AUTHORIZED,
    PaymentStatus.COMPLETED,
    PaymentStatus.FAILED,
)
DONE, REFUSED = OperationStatus.COMPLETED, OperationStatus.FAILED

ONE_WRITE_UNIT = 1024
"""Bytes of an item that one write unit writes, two in a transaction:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html"""


def size(value: Mapping[str, Any]) -> int:
    """Return the bytes of an attribute value.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    match value:
        case {"S": text}:
            return len(text.encode())
        case {"N": number}:
            # A byte for each two significant digits, and one more; the page says approximately,
            # so one more again.
            return (len(number) + 1) // 2 + 2
        case {"L": values}:
            return 3 + sum(1 + size(each) for each in values)
        case {"M": values}:
            return 3 + sum(1 + len(name.encode()) + size(each) for name, each in values.items())
    raise AssertionError(value)


def item_size(record: AuditRecord) -> int:
    return sum(len(name.encode()) + size(value) for name, value in serialize(record).items())


ROW: Final = f"batch_{'f' * 32}:{'9' * 18}"
"""A row, as correlation ids name it; as a source it has a prefix."""

PROCESSORS_ID: Final = 128
"""Most characters of an id at a processor that a client may name."""

STRIPES_ID: Final = 48
"""Ids of customers and payment methods at Stripe have 18 and 27 characters: with room for more."""

LONGEST_FAILURE: Final = max(
    {
        CANCELLED,
        *DECLINED_AMOUNTS.values(),
        *(each for each in vars(failures).values() if isinstance(each, Failure)),
    },
    key=lambda each: len(each.code + each.message),
)

PROCESSORS_ANSWER: Final = ProcessorAnswer("withdrawal_count_limit_exceeded", f"req_{'r' * 24}")
"""The longest decline code, and ids of requests with room for more:
https://docs.stripe.com/declines/codes"""


def person(letter: str) -> Person:
    """Return a role's session with the longest name.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    return Person.of(f"AROA{letter * 17}:{letter * 64}")


def largest(*statuses: PaymentStatus, processors_id: int = STRIPES_ID) -> Trail:
    """Return a trail with the longest ids, amounts, actors and persons there are."""
    content = Content(
        "p" * 64,
        MAX_MINOR_UNITS,
        "USD",
        MAX_EXPONENT,
        processor_customer="c" * processors_id,
        processor_payment_method="m" * processors_id,
        capture="manual",
    )
    assert set(content.options) == set(OPTIONAL_FIELDS)
    execution = max(
        (execution_name(content.payment_id, number + 1) for number in range(MOST_EXECUTIONS)),
        key=len,
    )
    trail = Trail(
        request=PaymentRequest(content, f"batch:{ROW}", ROW, person("S"), needs_review=True),
        actor=f"payment-workflow-{'s' * 20}:{execution}",
        request_id="0" * 36,
    )
    trail.payment = replace(trail.payment, version=9999)
    trail.move(PaymentStatus.IN_REVIEW, attempt=999_999)
    trail.decide(Review.APPROVED, person("R"), note="n" * LONGEST_NOTE)
    for status in statuses:
        told = _outcome(status)
        if status is FAILED:
            told["processor"] = PROCESSORS_ANSWER
        trail.move(status, attempt=999_999, **told)
    return trail


def _outcome(status: PaymentStatus | OperationStatus) -> dict[str, Any]:
    """Return what a record tells of an outcome: a reason or a reference, and never both."""
    if status.value == "FAILED":
        return {"failure": LONGEST_FAILURE}
    told = {"gateway_reference": "r" * PROCESSORS_ID}
    return told | {"capture_before": AT} if status.value == "AUTHORIZED" else told


def operated(
    trail: Trail,
    kind: OperationKind,
    amount: int,
    *statuses: OperationStatus,
    reason: str = "r" * LONGEST_REASON,
) -> Trail:
    """Return a trail after the largest operation of a kind."""
    request = OperationRequest(
        kind=kind,
        payment_id=trail.payment.payment_id,
        operation_id="o" * 64,
        source=f"batch:{ROW}",
        correlation_id=ROW,
        amount_minor=amount,
        reason=reason,
    )
    rest = trail.payment.amounts.capturable - amount if kind is OperationKind.CAPTURE else 0
    operation = Operation.requested(request, amount_minor=amount, rest_minor=rest, at=AT)
    operation = trail.step(operation, OperationStatus.PENDING, before=None)
    for status in statuses:
        told = {"attempt": 999_999, **_outcome(status)}
        operation = trail.step(operation, status, before=operation.status, **told)
    return trail


def refund_in_review(*statuses: OperationStatus) -> Trail:
    """Return a trail after the largest refund that a second person decided about: a row of a file."""
    trail = largest(PROCESSING, COMPLETED)
    # A workflow neither asks for anything nor decides.
    trail.by(actor="batch")
    request = OperationRequest(
        kind=OperationKind.REFUND,
        payment_id=trail.payment.payment_id,
        operation_id="o" * 64,
        source=f"batch:{ROW}",
        correlation_id=ROW,
        reason="r" * LONGEST_REASON,
        submitter=person("S"),
    )
    refund = Operation.requested(request, amount_minor=ALL, rest_minor=0, at=AT, needs_review=True)
    refund = trail.step(refund, OperationStatus.IN_REVIEW, before=None)
    decision = Decision(Review.APPROVED, person("R"), "n" * LONGEST_NOTE, AT, "0" * 36)
    for status in statuses:
        failure = REFUND_REJECTED if status is REFUSED else None
        refund = trail.step(
            refund, status, before=refund.status, decision=decision, failure=failure
        )
    return trail


ALL, MUCH = MAX_MINOR_UNITS, MAX_MINOR_UNITS // 2


@pytest.mark.parametrize(
    "trail",
    [
        largest(PROCESSING, COMPLETED),
        largest(PROCESSING, FAILED),
        operated(largest(PROCESSING, COMPLETED), OperationKind.REFUND, ALL, DONE, REFUSED),
        operated(largest(PROCESSING, COMPLETED), OperationKind.REFUND, ALL, REFUSED),
        operated(largest(PROCESSING, AUTHORIZED), OperationKind.CAPTURE, MUCH, DONE),
        operated(largest(PROCESSING, AUTHORIZED), OperationKind.CAPTURE, MUCH, REFUSED),
        operated(largest(PROCESSING, AUTHORIZED), OperationKind.CANCEL, ALL, DONE),
    ],
)
def test_the_largest_records_are_written_with_one_unit(trail: Trail) -> None:
    assert max(sizes(trail)) < ONE_WRITE_UNIT, sizes(trail)


def test_the_longest_of_everything_is_written_with_two_units() -> None:
    """Ids at a processor that are longer than Stripe's, and a reason in no alphabet."""
    trail = operated(
        largest(PROCESSING, COMPLETED, processors_id=PROCESSORS_ID),
        OperationKind.REFUND,
        ALL,
        reason="\N{GRINNING FACE}" * LONGEST_REASON,
    )
    assert ONE_WRITE_UNIT < max(sizes(trail)) < 2 * ONE_WRITE_UNIT


@pytest.mark.parametrize("decided", [OperationStatus.PENDING, REFUSED])
def test_a_decision_about_a_refund_is_written_with_two_units_at_most(
    decided: OperationStatus,
) -> None:
    assert max(sizes(refund_in_review(decided))) < 2 * ONE_WRITE_UNIT


def sizes(trail: Trail) -> list[int]:
    return [item_size(record) for record in trail.records]
