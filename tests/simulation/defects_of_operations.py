"""Deliberate defects in refunds, captures, cancellations and reviews; see ``defects``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

import payments.aws.operations
import payments.aws.payments
import payments.flows.operations
from payments.aws.payments import PaymentStore
from payments.core.amounts import Amounts
from payments.core.asking import Asked, cancelable
from payments.core.faults import GatewayUnavailable
from payments.core.operation import (
    Operation,
    OperationKind,
    OperationRef,
    OperationRequest,
    OperationStatus,
)
from payments.core.payment import Failure, Payment
from payments.flows.charge import Witness
from payments.flows.performing import Performing


@contextmanager
def no_reservation() -> Iterator[None]:
    """What a refund is about is taken from what is left only once it is done."""

    def nothing(self: Amounts, _amount: int) -> Amounts:
        return self

    def completed(self: Amounts, amount: int) -> Amounts:
        return self._moved(refundable=-amount, refunded=amount)

    with (
        patch.object(Amounts, "refund_requested", nothing),
        patch.object(Amounts, "refund_failed", nothing),
        patch.object(Amounts, "refund_completed", completed),
    ):
        yield


@contextmanager
def reservation_given_back_on_no_answer() -> Iterator[None]:
    """An operation that got no answer has failed, and what it reserved is free again."""
    perform = Performing.perform

    def careless(
        self: Performing, which: OperationRef, witness: Witness, *, is_first: bool = False
    ) -> Operation:
        try:
            return perform(self, which, witness, is_first=is_first)
        except GatewayUnavailable:
            operation = self._operations.get(*which)
            if operation is None or not operation.status.is_open:
                raise
            failure = Failure("unavailable", "The processor did not answer.")
            return self._record(operation, OperationStatus.FAILED, witness, failure=failure)

    with patch.object(Performing, "perform", careless):
        yield


@contextmanager
def new_key_for_each_try() -> Iterator[None]:
    """Each try of an operation has a key of its own at the processor."""
    outcome = Performing._outcome

    def careless(self: Performing, payment: Payment, operation: Operation, **about: Any) -> Any:
        tries = getattr(self, "_tries", 0) + 1
        self._tries = tries  # type: ignore[attr-defined]  # the defect's
        if not operation.status.is_open:
            return outcome(self, payment, operation, **about)
        anew = replace(operation, operation_id=f"{operation.operation_id}-{tries}")
        return outcome(self, payment, anew, **about)

    with patch.object(Performing, "_outcome", careless):
        yield


@contextmanager
def resolved_amount_hashed() -> Iterator[None]:
    """A request for all that is left is remembered as the amount that it meant at that moment."""
    on = Asked.on

    def careless(self: Asked, payment: Payment) -> OperationRequest:
        request = on(self, payment)
        if request.amount_minor is not None:
            return request
        left = payment.amounts.refundable
        if request.kind is OperationKind.CAPTURE:
            left = payment.amounts.capturable
        return replace(request, amount_minor=left)

    with patch.object(Asked, "on", careless):
        yield


@contextmanager
def void_beside_captures() -> Iterator[None]:
    """A payment is cancelled although a capture of it is under way."""

    def careless(payment: Payment, *, has_expired: bool) -> int:
        under_way = payment.amounts.captures_pending + payment.amounts.releases_pending
        if not under_way:
            return cancelable(payment, has_expired=has_expired)
        return payment.amounts.capturable

    with patch.object(payments.flows.operations, "cancelable", careless):
        yield


@contextmanager
def late_failure_ignored() -> Iterator[None]:
    """A refund that is done is never looked at again."""
    outcome = Performing._outcome

    def careless(self: Performing, payment: Payment, operation: Operation, **about: Any) -> Any:
        if operation.status is OperationStatus.COMPLETED:
            return None
        return outcome(self, payment, operation, **about)

    with patch.object(Performing, "_outcome", careless):
        yield


@contextmanager
def approver_not_compared() -> Iterator[None]:
    """Whoever is known may decide about a payment, who submitted it as well."""
    anybody = payments.aws.payments.BY_ANOTHER.replace(
        "not_exists(submitter_id", "exists(payment_id"
    )
    with patch.object(payments.aws.payments, "BY_ANOTHER", anybody):
        yield


@contextmanager
def charged_without_decision() -> Iterator[None]:
    """Whether a payment needs a review is forgotten between its table and its charge."""
    get = PaymentStore.get

    def careless(self: PaymentStore, payment_id: str) -> Payment | None:
        payment = get(self, payment_id)
        return None if payment is None else replace(payment, review=None)

    with patch.object(PaymentStore, "get", careless):
        yield


DEFECTS: Final = (
    no_reservation,
    reservation_given_back_on_no_answer,
    new_key_for_each_try,
    resolved_amount_hashed,
    void_beside_captures,
    late_failure_ignored,
    approver_not_compared,
    charged_without_decision,
)
