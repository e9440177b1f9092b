"""A message about a payment: one try, and what becomes of what one try cannot finish."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from payments.core.clock import utc_now
from payments.core.executions import OperationInput, PaymentInput
from payments.core.faults import (
    ChargePending,
    ExecutionsSpent,
    GatewayBusy,
    GatewayRefused,
    GatewayUnavailable,
    PaymentNotFound,
    ServiceUnavailable,
)
from payments.core.messages import Message, OperationMessage, PaymentMessage
from payments.core.payment import API, Payment, RowOutcome
from payments.core.review import NO_REVIEW, ReviewLimits
from payments.flows.charge import Charging, Witness
from payments.flows.performing import Performing
from payments.flows.ports import Store, Tally, Workflow, no_tally

LONGEST_DELAY_SECONDS: Final = 900
"""The longest that SQS can delay a message:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""

_FIRST_DELAY_SECONDS: Final = 4


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do for a message."""


@dataclass(frozen=True, slots=True)
class Again:
    """The message is sent again after a delay in seconds: the processor is busy.

    ``is_refused``: it does not accept us, and waits for somebody to fix that.
    """

    delay_seconds: int
    reason: str
    is_refused: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """Something failed on our own side; SQS delivers the message again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Left:
    """Nothing is known, and no workflow is left to ask on: the sweep does, until there is an outcome."""

    reason: str


type Verdict = Done | Again | Failed | Left


class Delivery:
    """Carries a payment through in one try, and hands to its workflow what that cannot finish."""

    def __init__(
        self,
        store: Store,
        charging: Charging,
        workflow: Workflow,
        clock: Callable[[], str] = utc_now,
        tally: Tally = no_tally,
        limits: ReviewLimits = NO_REVIEW,
    ) -> None:
        self._store = store
        self._charging = charging
        self._workflow = workflow
        self._clock = clock
        self._tally = tally
        self._limits = limits

    def deliver(self, message: PaymentMessage, witness: Witness, *, is_first: bool) -> Verdict:
        """Handle a message.

        A row of a batch whose payment id is taken, by other content or by the same payment from
        elsewhere, is recorded as conflict or duplicate.

        Args:
            message: about a payment that was accepted, or a row that is accepted hereby.
            witness: who handles it.
            is_first: whether the message was never handled before. Then the payment is taken to be
                as the message says, which saves a read; a write that finds it otherwise says so.

        Returns:
            What becomes of the message. Nobody is declined because a service is busy or away.

        Raises:
            PaymentNotFound: the message is about a payment that is not there.
        """
        return verdict(message, lambda: self._handle(message, witness, is_first=is_first))

    def _handle(self, message: PaymentMessage, witness: Witness, *, is_first: bool) -> None:
        payment = self._accepted(message, is_first=is_first)
        if payment is not None and payment.is_open:
            self._carry_through(payment, witness)

    def _carry_through(self, payment: Payment, witness: Witness) -> None:
        try:
            self._charging.charge(payment, witness)
        except ChargePending:
            self._go_on(payment)
        except GatewayUnavailable:
            try:
                self._go_on(payment)
            except ExecutionsSpent as spent:
                self._settle(payment, witness, spent)

    def _go_on(self, payment: Payment) -> None:
        given = PaymentInput(payment_id=payment.payment_id, correlation_id=payment.correlation_id)
        self._workflow.ensure_running(payment.payment_id, given)

    def _settle(self, payment: Payment, witness: Witness, spent: ExecutionsSpent) -> None:
        """Settle a payment here as its workflow would have, now that it has none any more."""
        try:
            self._charging.settle(payment.payment_id, witness)
        except (GatewayUnavailable, ChargePending):
            raise spent from None

    def _accepted(self, message: PaymentMessage, *, is_first: bool) -> Payment | None:
        """Return the payment of a message, or ``None`` if nothing is left to do."""
        request = message.request
        if request.source == API:
            if is_first and message.accepted is not None:
                return message.accepted
            stored = self._store.get(request.payment_id)
            if stored is None:
                raise PaymentNotFound(request.payment_id)
            return stored
        judged = replace(request, needs_review=self._limits.need(request.content))
        payment, created = self._store.create(judged, actor="batch", at=self._clock())
        if created:
            self._tally(payment)
        if payment.content_hash != request.content.hash:
            self._store.record_not_paid(request, RowOutcome.CONFLICT, at=self._clock())
            return None
        if payment.source != request.source:
            self._store.record_not_paid(request, RowOutcome.DUPLICATE, at=self._clock())
        return payment


class OperationDelivery:
    """Carries an operation through in one try, and hands to the workflow what that cannot finish."""

    def __init__(self, performing: Performing, workflow: Workflow) -> None:
        self._performing = performing
        self._workflow = workflow

    def deliver(self, message: OperationMessage, witness: Witness, *, is_first: bool) -> Verdict:
        """Handle a message.

        Args:
            message: about an operation that was accepted.
            witness: who handles it.
            is_first: whether the message was never handled before.

        Returns:
            What becomes of the message.

        Raises:
            OperationNotFound, PaymentNotFound: there is no such operation.
        """
        return verdict(message, lambda: self.carry_out(message, witness, is_first=is_first))

    def carry_out(self, message: OperationMessage, witness: Witness, *, is_first: bool) -> None:
        """Try once, and leave to the workflow what that cannot finish.

        Raises:
            GatewayBusy, GatewayRefused, ServiceUnavailable: try again later.
            OperationNotFound, PaymentNotFound: there is no such operation.
        """
        try:
            self._performing.perform(message.which, witness, is_first=is_first)
        except (GatewayUnavailable, ChargePending):
            payment_id, kind, operation_id = message.which
            given = OperationInput(
                payment_id=payment_id,
                operation=kind.value,
                operation_id=operation_id,
                correlation_id=message.correlation_id,
            )
            self._workflow.ensure_running(message.which.name, given)


def verdict(message: Message, handle: Callable[[], None]) -> Verdict:
    """Handle a message and say what becomes of it: a busy service declines nobody."""
    try:
        handle()
    except (GatewayBusy, GatewayRefused) as error:
        return Again(
            delay_seconds(message.tries),
            f"{type(error).__name__}: {error}",
            isinstance(error, GatewayRefused),
        )
    except ExecutionsSpent as spent:
        return Left(f"{type(spent).__name__}: {spent}")
    except ServiceUnavailable as error:
        return Failed(f"{type(error).__name__}: {error}")
    return Done()


def delay_seconds(tries: int) -> int:
    """Return after how many seconds to try again: longer each time, and scattered."""
    most = min(LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2 ** min(tries, 10))
    return random.randint(1, most)
