"""Operations: what each step does to the amounts of its payment, and what its records tell."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from payments.core.amounts import Amounts
from payments.core.audit import (
    operation_record,
    record_hash,
)
from payments.core.operation import (
    STEPS,
    Operation,
    OperationChange,
    OperationKind,
    OperationStatus,
)
from payments.core.payment import Failure, PaymentStatus
from tests.unit.cloud import AT
from tests.unit.trails import REFUND, Trail, authorized, completed


class TestAmounts:
    """What is left of a payment, whatever happens to it."""

    def test_a_charged_payment_can_be_refunded_whole(self) -> None:
        assert completed().payment.amounts == Amounts(
            authorized=9999, captured=9999, refundable=9999
        )

    def test_an_authorised_payment_can_be_captured_whole(self) -> None:
        assert authorized().payment.amounts == Amounts(authorized=9999, capturable=9999)

    def test_a_payment_that_failed_has_no_amounts(self) -> None:
        assert Trail(PaymentStatus.PROCESSING, PaymentStatus.FAILED).payment.amounts == Amounts()

    def test_more_than_is_left_cannot_be_reserved(self) -> None:
        amounts = Amounts.charged(100).refund_requested(60)
        with pytest.raises(ValueError, match="do not add up"):
            amounts.refund_requested(60)

    def test_a_failed_refund_leaves_the_amounts_as_they_were(self) -> None:
        trail = completed()
        before = trail.payment.amounts
        trail.refund("r1", 100, OperationStatus.FAILED)
        assert trail.payment.amounts == before

    def test_a_refund_that_is_taken_back_can_be_asked_for_again(self) -> None:
        amounts = Amounts.charged(100).refund_requested(60).refund_completed(60)
        assert amounts.refund_returned(60) == Amounts.charged(100)

    def test_a_final_capture_releases_the_rest_and_a_failed_one_gives_all_back(self) -> None:
        held = Amounts.held(100)
        asked = held.capture_requested(60, 40)
        assert (asked.capturable, asked.captures_pending, asked.releases_pending) == (0, 60, 40)
        assert asked.capture_failed(60, 40) == held
        done = asked.capture_completed(60, 40)
        assert (done.captured, done.refundable, done.released, done.capturable) == (60, 60, 40, 0)

    def test_a_cancellation_releases_all_and_a_failed_one_gives_all_back(self) -> None:
        trail = authorized()
        trail.cancel()
        assert trail.payment.amounts == Amounts(authorized=9999, releases_pending=9999)
        trail = authorized()
        trail.cancel(OperationStatus.COMPLETED)
        assert trail.payment.amounts == Amounts(authorized=9999, released=9999)
        trail = authorized()
        trail.cancel(OperationStatus.FAILED)
        assert trail.payment.amounts == Amounts.held(9999)

    def test_sums_are_read_as_they_were_stored(self) -> None:
        amounts = Amounts.held(100).capture_requested(60, 40)
        assert Amounts.from_dict({**amounts.to_dict(), "status": "AUTHORIZED"}) == amounts


class AmountsMachine(RuleBasedStateMachine):
    """Operations in any order: what their steps allow never breaks the sums."""

    @initialize(amount=st.integers(1, 1000), is_held=st.booleans())
    def begin(self, amount: int, *, is_held: bool) -> None:
        self.amounts = Amounts.held(amount) if is_held else Amounts.charged(amount)
        self.open: list[tuple[OperationKind, OperationStatus, int, int]] = []

    @rule(kind=st.sampled_from(OperationKind), share=st.integers(1, 1000), final=st.booleans())
    def request(self, kind: OperationKind, share: int, *, final: bool) -> None:
        left = self.amounts.refundable if kind is OperationKind.REFUND else self.amounts.capturable
        amount = left if kind is OperationKind.CANCEL else min(share, left)
        rest = left - amount if kind is OperationKind.CAPTURE and final else 0
        step = STEPS[kind][None, OperationStatus.PENDING]
        self.amounts = step(self.amounts, amount, rest)
        self.open.append((kind, OperationStatus.PENDING, amount, rest))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.open) - 1))
        kind, before, amount, rest = self.open[number]
        steps = sorted(to for known, to in STEPS[kind] if known is before)
        if not steps:
            return
        to = data.draw(st.sampled_from(steps))
        # A refund that comes back late finds what was captured still there.
        self.amounts = STEPS[kind][before, to](self.amounts, amount, rest)
        self.open[number] = (kind, to, amount, rest)

    @invariant()
    def sums_are_those_of_the_operations(self) -> None:
        if not hasattr(self, "amounts"):
            return
        pending = [each for each in self.open if each[1] is OperationStatus.PENDING]
        assert self.amounts.refunds_pending == sum(
            amount for kind, _, amount, _ in pending if kind is OperationKind.REFUND
        )
        assert 0 <= self.amounts.refunded + self.amounts.refunds_pending <= self.amounts.captured
        assert self.amounts.captured <= self.amounts.authorized


TestAmountsMachine = AmountsMachine.TestCase


class TestRequests:
    """What makes two requests the same."""

    def test_the_same_request_has_the_same_hash_whoever_sends_it(self) -> None:
        again = replace(REFUND, source="batch:x:2", correlation_id="other")
        assert REFUND.hash == again.hash

    @pytest.mark.parametrize(
        "other",
        [
            {"operation_id": "r2"},
            {"payment_id": "pay_2"},
            {"amount_minor": 101},
            {"amount_minor": None},
            {"reason": "duplicate"},
            {"kind": OperationKind.CAPTURE},
            {"final": False},
        ],
    )
    def test_another_request_has_another_hash(self, other: dict[str, Any]) -> None:
        assert replace(REFUND, **other).hash != REFUND.hash

    def test_a_name_is_the_same_in_every_release_because_processors_remember_it(self) -> None:
        operation = Operation.requested(REFUND, amount_minor=1, rest_minor=0, at=AT)
        assert operation.name == "refund-32d51e29d836e50ef8487037bfdac376"

    @given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), st.sampled_from(OperationKind))
    def test_a_name_fits_processors_and_workflows_and_is_its_own(
        self, operation_id: str, kind: OperationKind
    ) -> None:
        request = replace(REFUND, kind=kind, operation_id=operation_id)
        operation = Operation.requested(request, amount_minor=1, rest_minor=0, at=AT)
        assert len(operation.name) <= 40
        assert operation.name != replace(operation, payment_id="pay_2").name
        assert operation.name != replace(operation, operation_id=f"{operation_id}x").name


class TestTrail:
    """The records of operations beside those of their payment."""

    def test_a_payment_with_its_operations_is_one_whole_chain(self) -> None:
        trail = completed()
        trail.refund("r1", 100, OperationStatus.COMPLETED)
        trail.refund("r2", 200, OperationStatus.FAILED)
        assert trail.faults == []
        assert [record["sequence"] for record in trail.records] == list(range(1, 8))

    def test_a_record_tells_of_the_operation_and_of_its_announcement(self) -> None:
        trail = completed()
        trail.refund("r1", 100, OperationStatus.COMPLETED)
        requested, done = trail.records[-2:]
        assert requested["kind"] == done["kind"] == "refund"
        assert (requested.get("from"), requested["to"]) == (None, "PENDING")
        assert (done["from"], done["to"]) == ("PENDING", "COMPLETED")
        assert requested["request_hash"] == REFUND.hash
        assert "event_type" not in requested
        assert done["event_type"] == "refund.completed"

    def test_an_operation_out_of_nowhere_is_a_fault(self) -> None:
        trail = completed()
        trail.refund("r1", 100, OperationStatus.COMPLETED)
        del trail.records[-2]
        assert any("after None" in fault for fault in trail.faults)

    def test_more_refunds_than_was_captured_are_a_fault(self) -> None:
        trail = completed()
        trail.refund("r1", 9999, OperationStatus.COMPLETED)
        record = {**trail.records[-2], "operation_id": "r2", "sequence": 6}
        record["previous_hash"] = trail.records[-1]["hash"]
        trail.records.append({**record, "hash": record_hash(record)})
        assert any("do not add up" in fault for fault in trail.faults)

    def test_a_kind_that_a_later_release_writes_does_not_break_the_chain(self) -> None:
        trail = completed()
        later = {
            "kind": "dispute",
            "payment_id": "pay_1",
            "sequence": 4,
            "previous_hash": trail.records[-1]["hash"],
            "stage": "opened",
        }
        trail.records.append({**later, "hash": record_hash(later)})
        assert trail.faults == []

    def test_a_failure_is_told_with_its_reason(self) -> None:
        trail = completed()
        operation = Operation.requested(REFUND, amount_minor=1, rest_minor=0, at=AT)
        change = OperationChange(
            to=OperationStatus.FAILED,
            at=AT,
            actor="test",
            request_id="request",
            failure=Failure("declined", "No."),
        )
        record = operation_record(
            trail.payment, operation.after(change), change, before=OperationStatus.PENDING
        )
        assert (record["failure_code"], record["event_type"]) == ("declined", "refund.failed")
