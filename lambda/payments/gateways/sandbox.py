"""A sandbox in which every path of a payment can be walked; it charges nobody."""

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol

from payments.core.faults import GatewayBusy, GatewayUnavailable
from payments.core.payment import Failure, Payment
from payments.gateways.failures import CARD_DECLINED, EXPIRED_CARD, INSUFFICIENT_FUNDS
from payments.gateways.port import (
    CANCELLED,
    Approved,
    ChargeOutcome,
    Declined,
    Pending,
    Prepared,
    Verdict,
)


class ChargeLedger(Protocol):
    """The sandbox's memory of what it did, by payment id."""

    def count_attempt(self, payment_id: str) -> int:
        """Count one call to charge and return how many there have been, from 1."""
        ...

    def decide(self, payment: Payment, verdict: Verdict) -> Verdict:
        """Keep the first verdict on a payment; return the one that is kept."""
        ...

    def verdict(self, payment_id: str) -> Verdict | None:
        """Return the verdict that is kept on a payment."""
        ...


class SandboxAmount(StrEnum):
    """What a magic amount makes the sandbox do, besides declining."""

    UNAVAILABLE_ONCE = "unavailable once"
    ANSWER_LOST_ONCE = "answer lost once"
    DOWN = "down"
    SLOW = "slow"
    BUSY_ONCE = "busy once"
    PENDING_ONCE = "pending once"


DECLINED_AMOUNTS: Final[dict[int, Failure]] = {
    40001: INSUFFICIENT_FUNDS,
    40002: CARD_DECLINED,
    40003: EXPIRED_CARD,
    40004: Failure("suspected_fraud", "The charge was stopped as suspected fraud."),
}
"""Amounts in minor units of any currency that the sandbox declines."""

TROUBLED_AMOUNTS: Final[dict[int, SandboxAmount]] = {
    50001: SandboxAmount.UNAVAILABLE_ONCE,
    50002: SandboxAmount.ANSWER_LOST_ONCE,
    50003: SandboxAmount.DOWN,
    50004: SandboxAmount.SLOW,
    50005: SandboxAmount.BUSY_ONCE,
    50006: SandboxAmount.PENDING_ONCE,
}
"""Amounts in minor units of any currency that give the sandbox trouble."""

SLOW_SECONDS: Final = 3.0


class SandboxGateway:
    """A gateway that charges nobody and behaves as the amount says.

    Any amount approves but those in :data:`DECLINED_AMOUNTS` and :data:`TROUBLED_AMOUNTS`.
    """

    def __init__(self, ledger: ChargeLedger, sleep: Callable[[float], None] = time.sleep) -> None:
        self._ledger = ledger
        self._sleep = sleep

    def prepare(self, payment: Payment) -> Prepared:
        """See :meth:`PaymentGateway.prepare`."""
        return Prepared(reference=f"sandbox_{payment.payment_id}")

    def charge(self, payment: Payment) -> ChargeOutcome:
        """See :meth:`PaymentGateway.charge`."""
        trouble = TROUBLED_AMOUNTS.get(payment.amount_minor)
        attempt = self._ledger.count_attempt(payment.payment_id) if trouble else 1
        if trouble is SandboxAmount.DOWN:
            raise GatewayUnavailable("the sandbox is down for this amount")
        if trouble is SandboxAmount.UNAVAILABLE_ONCE and attempt == 1:
            raise GatewayUnavailable("the sandbox is unavailable once for this amount")
        if trouble is SandboxAmount.BUSY_ONCE and attempt == 1:
            raise GatewayBusy("the sandbox is busy once for this amount")
        if trouble is SandboxAmount.PENDING_ONCE and attempt == 1:
            return Pending()
        if trouble is SandboxAmount.SLOW:
            self._sleep(SLOW_SECONDS)
        verdict = self._ledger.decide(payment, _verdict(payment))
        if trouble is SandboxAmount.ANSWER_LOST_ONCE and attempt == 1:
            raise GatewayUnavailable("the sandbox charged, and its answer was lost")
        return verdict

    def cancel(self, payment: Payment) -> Verdict:
        """See :meth:`PaymentGateway.cancel`."""
        return self._ledger.decide(payment, Declined(CANCELLED))

    def look_up(self, payment: Payment) -> Verdict | Prepared:
        """See :meth:`PaymentGateway.look_up`."""
        return self._ledger.verdict(payment.payment_id) or self.prepare(payment)


def _verdict(payment: Payment) -> Verdict:
    failure = DECLINED_AMOUNTS.get(payment.amount_minor)
    if failure is not None:
        return Declined(failure)
    return Approved(reference=f"sandbox_{payment.payment_id}")
