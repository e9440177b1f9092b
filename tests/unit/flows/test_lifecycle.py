"""A payment and what may be asked of it, in any order, over the real store."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import boto3
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from moto import mock_aws

from payments.aws.items import deserialize
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.aws.sandbox_ledger import SandboxLedger, SandboxOperationLedger
from payments.core.asking import Asked
from payments.core.audit import AuditRecord, chain_faults
from payments.core.content import Content
from payments.core.faults import (
    CaptureConflict,
    ChargePending,
    GatewayBusy,
    GatewayUnavailable,
    NotCancelable,
    NotCapturable,
    NotRefundable,
    PaymentConflict,
    RefundConflict,
)
from payments.core.operation import Operation, OperationKind, OperationStatus
from payments.core.payment import Payment, PaymentRequest, PaymentStatus
from payments.flows.charge import Charging
from payments.flows.intake import PaymentIntake
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.gateways.sandbox import SandboxGateway
from payments.gateways.sandbox_operations import TROUBLED_OPERATIONS, SandboxOperations
from tests.unit.cloud import TABLES, WITNESS, create_table

AMOUNT = 100_000
"""1,000.00 USD: enough for every amount that gives the sandbox trouble."""

AMOUNTS = st.sampled_from(
    [None, 1, 1, 10_000, 10_000, 39_999, 60_001, AMOUNT, AMOUNT + 1, *TROUBLED_OPERATIONS]
)
IDS = st.sampled_from(["a", "b"])


class Queue:
    """Takes whatever is sent."""

    def send(self, payment: Payment) -> None:
        """Take a payment."""

    def send_payments(self, payments: Iterable[Payment]) -> int:
        """Take payments, and say how many."""
        return len(list(payments))

    def send_operation(self, operation: Operation, *, tries: int = 0) -> None:
        """Take an operation."""


def text(amount_minor: int | None) -> str | None:
    return None if amount_minor is None else f"{amount_minor // 100}.{amount_minor % 100:02}"


class Account:
    """One AWS account in process for all payments, since it takes long to make one."""

    def __init__(self) -> None:
        dynamodb: Any = boto3.client("dynamodb", region_name="us-east-1")
        for name, keys in (
            (TABLES.payments, {"payment_id": "S"}),
            (TABLES.processing_status, {"entity_id": "S", "sequence": "N"}),
            (TABLES.audit_logs, {"payment_id": "S", "sequence": "N"}),
            (TABLES.operations, {"payment_id": "S", "operation": "S"}),
        ):
            create_table(dynamodb, name, keys)
        self.dynamodb = dynamodb
        self.store = PaymentStore(dynamodb, TABLES, sleep=lambda _: None)
        self.operations = OperationStore(dynamodb, TABLES, sleep=lambda _: None)
        memory = dynamodb, TABLES.processing_status
        gateway = SandboxGateway(SandboxLedger(*memory), sleep=lambda _: None)
        operations = SandboxOperations(SandboxOperationLedger(*memory))
        self.charging = Charging(self.store, gateway)
        self.performing = Performing(self.store, self.operations, operations)
        self.intake = PaymentIntake(self.store, Queue())
        self.asking = OperationIntake(self.store, self.operations, Queue())
        self._ids = itertools.count(1)

    def new_id(self) -> str:
        """Return the id of a payment that is not there yet."""
        return f"pay_{next(self._ids)}"

    def records(self, payment_id: str) -> list[AuditRecord]:
        """Return the audit trail of a payment."""
        found = self.dynamodb.query(
            TableName=TABLES.audit_logs,
            KeyConditionExpression="payment_id = :id",
            ExpressionAttributeValues={":id": {"S": payment_id}},
        )
        return [deserialize(each) for each in found["Items"]]


class Lifecycle(RuleBasedStateMachine):
    """One payment; clients that ask in any order, and again; a processor with troubles."""

    account: Account

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[tuple[OperationKind, str], Asked] = {}

    @initialize(
        capture=st.sampled_from(["automatic", "manual"]),
        is_charged=st.sampled_from([True, True, True, False]),
    )
    def submit(self, capture: Any, *, is_charged: bool) -> None:
        self.id = self.account.new_id()
        content = Content(self.id, AMOUNT, "USD", 2, capture=capture)
        self.request = PaymentRequest(content, "api", "request-1")
        payment, created = self.account.intake.submit(self.request)
        assert created
        assert payment.status is PaymentStatus.PENDING
        if is_charged:
            self.charge()

    @rule()
    def submit_again(self) -> None:
        before = self.payment()
        assert self.account.intake.submit(self.request) == (before, False)
        assert self.payment() == before

    @rule()
    def submit_something_else(self) -> None:
        before = self.payment()
        other = PaymentRequest(Content(self.id, AMOUNT + 1, "USD", 2), "api", "request-2")
        with pytest.raises(PaymentConflict) as refused:
            self.account.intake.submit(other)
        assert refused.value.stored == self.payment() == before

    @rule()
    def charge(self) -> None:
        before = self.payment()
        after = self.account.charging.charge_by_id(self.id, WITNESS)
        assert after.status.is_settled
        if before.status.is_settled:
            assert after == before

    @rule(operation_id=IDS, amount=AMOUNTS)
    def refund(self, operation_id: str, amount: int | None) -> None:
        amounts = self.payment().amounts
        fits = 0 < (amounts.refundable if amount is None else amount) <= amounts.refundable
        self._ask(OperationKind.REFUND, operation_id, amount, final=True, fits=fits)

    @rule(operation_id=IDS, amount=AMOUNTS, final=st.booleans())
    def capture(self, operation_id: str, amount: int | None, *, final: bool) -> None:
        payment = self.payment()
        left = payment.amounts.capturable
        fits = (
            payment.status is PaymentStatus.AUTHORIZED
            and 0 < (left if amount is None else amount) <= left
            and not (final and payment.amounts.captures_pending)
        )
        self._ask(OperationKind.CAPTURE, operation_id, amount, final=final, fits=fits)

    @rule()
    def cancel(self) -> None:
        before = self.payment()
        known = self.account.operations.of(self.id, OperationKind.CANCEL)
        try:
            operation, after, created = self.account.asking.cancel(self.id, "request-3")
        except NotCancelable:
            assert self.payment() == before
            return
        assert created is (operation not in known)
        if not created:
            assert after == before
        assert operation.status.is_open or after.status is PaymentStatus.CANCELED

    @precondition(lambda self: self.open())
    @rule(data=st.data())
    def perform(self, data: st.DataObject) -> None:
        self._try(data.draw(st.sampled_from(self.open())))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(list(self.asked.values())))
        before = self.payment()
        stored = self.account.operations.get(self.id, asked.kind, asked.operation_id)
        assert self._send(asked) == (stored, before, False)
        assert self.payment() == before

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "request"):
            return
        payment = self.payment()
        amounts = payment.amounts
        sums: Counter[tuple[OperationKind, OperationStatus]] = Counter()
        for each in self.account.operations.of(self.id):
            sums[each.kind, each.status] += each.amount_minor
        assert 0 <= amounts.refunded + amounts.refunds_pending <= amounts.captured
        assert amounts.captured <= amounts.authorized <= AMOUNT
        assert amounts.refunded == sums[OperationKind.REFUND, OperationStatus.COMPLETED]
        assert amounts.refunds_pending == sums[OperationKind.REFUND, OperationStatus.PENDING]
        if self.request.content.capture == "manual":
            assert amounts.captured == sums[OperationKind.CAPTURE, OperationStatus.COMPLETED]
        else:
            assert amounts.captured == (payment.status is PaymentStatus.COMPLETED) * AMOUNT
        records = self.account.records(self.id)
        assert chain_faults(self.id, records) == []
        assert len(records) == payment.version

    def teardown(self) -> None:
        """Carry every operation to its end, which each of them has."""
        for _ in range(3):
            for operation in self.open():
                self._try(operation)
        assert not self.open()

    def payment(self) -> Payment:
        """Return the payment as it stands."""
        payment = self.account.store.get(self.id)
        assert payment is not None
        return payment

    def open(self) -> list[Operation]:
        """Return the operations without an outcome."""
        return [each for each in self.account.operations.of(self.id) if each.status.is_open]

    def _ask(
        self,
        kind: OperationKind,
        operation_id: str,
        amount: int | None,
        *,
        final: bool,
        fits: bool,
    ) -> None:
        before = self.payment()
        asked = Asked(
            kind=kind,
            payment_id=self.id,
            operation_id=operation_id,
            source="api",
            correlation_id="request-2",
            amount=text(amount),
            final=final,
        )
        first = self.asked.get((kind, operation_id))
        try:
            operation, after, created = self._send(asked)
        except (NotRefundable, NotCapturable):
            assert first is None
            assert not fits
            assert self.payment() == before
        except (RefundConflict, CaptureConflict):
            assert first not in {None, asked}
            assert self.payment() == before
        else:
            assert created is (first is None)
            assert fits or not created
            assert after.version == before.version + created
            assert operation.operation_id == operation_id
            self.asked.setdefault((kind, operation_id), asked)

    def _send(self, asked: Asked) -> tuple[Operation, Payment, bool]:
        send = (
            self.account.asking.refund
            if asked.kind is OperationKind.REFUND
            else self.account.asking.capture
        )
        return send(asked)

    def _try(self, operation: Operation) -> None:
        try:
            done = self.account.performing.perform(operation.ref, WITNESS)
        except (ChargePending, GatewayBusy, GatewayUnavailable):
            assert self.account.operations.get(*operation.ref) == operation
        else:
            assert not done.status.is_open


@pytest.fixture(scope="module", autouse=True)
def account() -> Iterator[None]:
    """Give all payments one account."""
    with mock_aws():
        Lifecycle.account = Account()
        yield


Lifecycle.TestCase.settings = settings(deadline=None, max_examples=20, stateful_step_count=15)
TestLifecycle = Lifecycle.TestCase
