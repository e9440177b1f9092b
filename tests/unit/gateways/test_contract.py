"""What every processor must do behind the port, whoever it is: one suite, run over each of them.

How a processor joins it is in docs/processors.md.
"""

from dataclasses import replace

import pytest

from payments.core.amounts import Amounts
from payments.core.faults import GatewayBusy, GatewayUnavailable
from payments.core.operation import Operation, OperationKind, OperationStatus
from payments.core.payment import Payment
from payments.gateways.port import (
    Approved,
    Captured,
    Declined,
    Done,
    Pending,
    Prepared,
    Refused,
)
from tests.unit.cloud import Cloud
from tests.unit.gateways.processors import PROCESSORS, Charged, Performed, Processor

REFUND, CAPTURE, CANCEL = OperationKind.REFUND, OperationKind.CAPTURE, OperationKind.CANCEL


@pytest.fixture(params=PROCESSORS)
def processor(request: pytest.FixtureRequest, cloud: Cloud) -> Processor:
    return PROCESSORS[request.param](cloud)


def bound(processor: Processor, payment: Payment) -> Payment:
    """Return a payment as it is stored once it was prepared."""
    prepared = processor.charges.prepare(payment)
    assert isinstance(prepared, Prepared)
    return replace(payment, gateway_reference=prepared.reference)


def charged(processor: Processor, payment_id: str = "pay_1") -> Payment:
    payment = bound(processor, processor.payment(payment_id))
    assert isinstance(processor.charges.charge(payment), Approved)
    return replace(payment, amounts=Amounts.charged(payment.amount_minor))


def held(processor: Processor) -> Payment:
    """Return an authorised payment, all of which an operation has reserved."""
    payment = bound(processor, processor.payment("pay_1", capture="manual"))
    assert isinstance(processor.charges.charge(payment), Approved)
    return payment


class TestPreparing:
    """A charge is known by its reference before any money can move."""

    def test_it_moves_no_money(self, processor: Processor) -> None:
        payment = bound(processor, processor.payment("pay_1"))
        assert processor.taken(payment) == 0
        assert processor.charges.look_up(payment) == Prepared(payment.gateway_reference or "")

    def test_a_repeated_call_names_the_same_charge(self, processor: Processor) -> None:
        payment = processor.payment("pay_1")
        references = {bound(processor, payment).gateway_reference for _ in range(3)}
        assert len(references) == 1

    def test_payments_have_references_of_their_own(self, processor: Processor) -> None:
        names = [bound(processor, processor.payment(f"pay_{n}")) for n in range(3)]
        assert len({payment.gateway_reference for payment in names}) == 3


class TestCharging:
    """Once, however often it is asked for."""

    def test_it_is_approved_under_its_reference_and_stays_so(self, processor: Processor) -> None:
        payment = bound(processor, processor.payment("pay_1"))
        for _ in range(3):
            outcome = processor.charges.charge(payment)
            assert isinstance(outcome, Approved)
            assert outcome.reference == payment.gateway_reference
        assert processor.taken(payment) == 1

    def test_it_is_declined_with_a_reason_and_stays_so(self, processor: Processor) -> None:
        payment = bound(processor, processor.payment("pay_1", "declined"))
        outcomes = [processor.charges.charge(payment) for _ in range(3)]
        assert isinstance(outcomes[0], Declined)
        assert outcomes[0].failure.code == "insufficient_funds"
        assert outcomes == outcomes[:1] * 3
        assert processor.taken(payment) == 0

    @pytest.mark.parametrize("trouble", ["answer lost", "unavailable"])
    def test_no_answer_is_unknown_and_the_next_call_finds_out(
        self, processor: Processor, trouble: Charged
    ) -> None:
        payment = bound(processor, processor.payment("pay_1", trouble))
        with pytest.raises(GatewayUnavailable):
            processor.charges.charge(payment)
        assert isinstance(processor.charges.charge(payment), Approved)
        assert processor.taken(payment) == 1

    def test_a_busy_processor_did_nothing(self, processor: Processor) -> None:
        payment = bound(processor, processor.payment("pay_1", "busy"))
        with pytest.raises(GatewayBusy):
            processor.charges.charge(payment)
        assert processor.taken(payment) == 0
        assert isinstance(processor.charges.charge(payment), Approved)

    def test_what_is_undecided_is_no_outcome_until_it_is_decided(
        self, processor: Processor
    ) -> None:
        payment = bound(processor, processor.payment("pay_1", "undecided"))
        assert processor.charges.charge(payment) == Pending()
        processor.wait()
        assert isinstance(processor.charges.charge(payment), Approved)
        assert processor.taken(payment) == 1

    def test_an_authorisation_is_approved_too(self, processor: Processor) -> None:
        payment = held(processor)
        assert processor.taken(payment) == 1
        assert isinstance(processor.charges.charge(payment), Approved)
        assert processor.taken(payment) == 1


class TestCancelling:
    """It rules out any later charge, or tells that there is one."""

    def test_after_it_nothing_can_be_charged(self, processor: Processor) -> None:
        payment = bound(processor, processor.payment("pay_1"))
        outcome = processor.charges.cancel(payment)
        assert isinstance(outcome, Declined)
        assert processor.charges.charge(payment) == outcome
        assert processor.charges.cancel(payment) == outcome
        assert processor.charges.look_up(payment) == outcome
        assert processor.taken(payment) == 0

    @pytest.mark.parametrize("how", ["approved", "answer lost"])
    def test_it_finds_what_was_charged(self, processor: Processor, how: Charged) -> None:
        payment = bound(processor, processor.payment("pay_1", how))
        try:
            processor.charges.charge(payment)
        except GatewayUnavailable:
            assert how == "answer lost"
        assert isinstance(processor.charges.cancel(payment), Approved)
        assert processor.taken(payment) == 1

    def test_it_keeps_the_reason_of_a_decline(self, processor: Processor) -> None:
        payment = bound(processor, processor.payment("pay_1", "declined"))
        outcome = processor.charges.charge(payment)
        assert processor.charges.cancel(payment) == outcome


class TestLookingUp:
    """It says what became of a charge, and changes nothing."""

    @pytest.mark.parametrize("how", ["approved", "declined"])
    def test_it_tells_the_outcome(self, processor: Processor, how: Charged) -> None:
        payment = bound(processor, processor.payment("pay_1", how))
        outcome = processor.charges.charge(payment)
        assert [processor.charges.look_up(payment) for _ in range(2)] == [outcome] * 2
        assert processor.taken(payment) == (how == "approved")


class TestOperations:
    """What comes after a charge: each once, under its own name."""

    def test_a_refund_is_done_once_and_found_again(self, processor: Processor) -> None:
        payment = charged(processor)
        refund = processor.operation(payment, REFUND, "r1")
        assert processor.operations.look_up_operation(payment, refund) is None
        outcomes = [processor.operations.refund(payment, refund) for _ in range(3)]
        assert isinstance(outcomes[0], Done)
        assert outcomes == outcomes[:1] * 3
        assert processor.operations.look_up_operation(payment, refund) == outcomes[0]
        assert processor.moved(payment) == 1

    def test_two_equal_refunds_are_two(self, processor: Processor) -> None:
        payment = charged(processor)
        for name in ("r1", "r2"):
            refund = processor.operation(payment, REFUND, name)
            assert isinstance(processor.operations.refund(payment, refund), Done)
        assert processor.moved(payment) == 2

    @pytest.mark.parametrize(("trouble", "done"), [("answer lost", 1), ("unavailable", 0)])
    def test_a_refund_without_an_answer_is_found_or_not(
        self, processor: Processor, trouble: Performed, done: int
    ) -> None:
        payment = charged(processor)
        refund = processor.operation(payment, REFUND, "r1", trouble)
        with pytest.raises(GatewayUnavailable):
            processor.operations.refund(payment, refund)
        known = processor.operations.look_up_operation(payment, refund)
        assert (isinstance(known, Done), processor.moved(payment)) == (bool(done), done)
        assert isinstance(processor.operations.refund(payment, refund), Done)
        assert processor.moved(payment) == 1

    def test_a_busy_processor_refunded_nothing(self, processor: Processor) -> None:
        payment = charged(processor)
        refund = processor.operation(payment, REFUND, "r1", "busy")
        with pytest.raises(GatewayBusy):
            processor.operations.refund(payment, refund)
        assert processor.moved(payment) == 0
        assert isinstance(processor.operations.refund(payment, refund), Done)

    def test_a_refund_that_is_refused_stays_refused(self, processor: Processor) -> None:
        payment = charged(processor)
        refund = processor.operation(payment, REFUND, "r1", "refused")
        outcomes = [processor.operations.refund(payment, refund) for _ in range(2)]
        assert isinstance(outcomes[0], Refused)
        assert outcomes == outcomes[:1] * 2
        assert processor.moved(payment) == 0

    def test_a_refund_that_is_undecided_is_decided_later(self, processor: Processor) -> None:
        payment = charged(processor)
        refund = processor.operation(payment, REFUND, "r1", "undecided")
        assert processor.operations.refund(payment, refund) == Pending()
        processor.wait()
        # As the port has it: a processor that forgets keys is asked before any later call.
        known = processor.operations.look_up_operation(payment, refund)
        known = known or processor.operations.refund(payment, refund)
        assert isinstance(known, Done)
        assert processor.moved(payment) == 1

    def test_a_refund_may_come_back_after_it_was_done(self, processor: Processor) -> None:
        payment = charged(processor)
        refund = processor.operation(payment, REFUND, "r1", "returned")
        done = processor.operations.refund(payment, refund)
        assert isinstance(done, Done)
        completed = completed_as(refund, done)
        processor.wait()
        assert isinstance(processor.operations.look_up_operation(payment, completed), Refused)

    def test_what_is_held_is_captured_once(self, processor: Processor) -> None:
        payment = held(processor)
        capture = processor.operation(payment, CAPTURE, "c1")
        assert processor.operations.look_up_operation(payment, capture) is None
        outcomes = [processor.operations.capture(payment, capture) for _ in range(3)]
        assert isinstance(outcomes[0], Done)
        assert outcomes == outcomes[:1] * 3
        assert processor.operations.look_up_operation(payment, capture) == outcomes[0]
        assert processor.moved(payment) == 1

    def test_what_is_held_is_released_once(self, processor: Processor) -> None:
        payment = held(processor)
        cancel = processor.operation(payment, CANCEL, "x1")
        assert processor.operations.look_up_operation(payment, cancel) is None
        outcomes = [processor.operations.void(payment, cancel) for _ in range(3)]
        assert isinstance(outcomes[0], Done)
        assert outcomes == outcomes[:1] * 3
        assert processor.operations.look_up_operation(payment, cancel) == outcomes[0]
        assert processor.moved(payment) == 1

    @pytest.mark.parametrize(("kind", "name"), [(CAPTURE, "c1"), (CANCEL, "x1")])
    def test_an_answer_about_what_is_held_may_get_lost(
        self, processor: Processor, kind: OperationKind, name: str
    ) -> None:
        payment = held(processor)
        operation = processor.operation(payment, kind, name, "answer lost")
        verb = {CAPTURE: processor.operations.capture, CANCEL: processor.operations.void}[kind]
        with pytest.raises(GatewayUnavailable):
            verb(payment, operation)
        assert isinstance(processor.operations.look_up_operation(payment, operation), Done)
        assert isinstance(verb(payment, operation), Done)
        assert processor.moved(payment) == 1


def completed_as(operation: Operation, done: Done) -> Operation:
    return replace(operation, status=OperationStatus.COMPLETED, gateway_reference=done.reference)


class TestAlreadyCaptured:
    """A release that comes too late is told so, with what was captured."""

    def test_stripe_tells_what_was_captured_instead(self, cloud: Cloud) -> None:
        processor = PROCESSORS["stripe"](cloud)
        payment = held(processor)
        capture = processor.operation(payment, CAPTURE, "c1")
        processor.operations.capture(payment, capture)
        cancel = processor.operation(payment, CANCEL, "x1")
        assert processor.operations.void(payment, cancel) == Captured(capture.amount_minor)
        assert processor.operations.look_up_operation(payment, cancel) == Captured(500)
