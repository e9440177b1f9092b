"""A payment gateway that keeps its promise of one charge per reference, and little else."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from payments.core.faults import GatewayBusy, GatewayUnavailable
from payments.core.payment import Payment
from payments.gateways.port import (
    CANCELLED,
    Approved,
    ChargeOutcome,
    Declined,
    Pending,
    Prepared,
    Verdict,
)
from payments.gateways.sandbox import DECLINED_AMOUNTS
from tests.simulation.faults import Fault, FaultPlan
from tests.simulation.processes import Processes
from tests.simulation.scheduler import Scheduler

_LATEST_CHARGE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Charge:
    """Money that was taken from somebody."""

    payment_id: str
    amount_minor: int
    currency: str


class SimulatedGateway:
    """An independent company: our faults never undo what it did.

    It knows a charge by the reference that it gave out, and nothing else of our payments.
    """

    def __init__(
        self, scheduler: Scheduler, faults: FaultPlan, random: Random, processes: Processes
    ) -> None:
        self.charges: list[Charge] = []
        self.verdicts: dict[str, Verdict] = {}
        """What it decided, by payment id."""
        self.unanswered: set[str] = set()
        """Ids of the payments of which some question got no answer."""
        self.misuses: list[str] = []
        """What it was asked that no caller may ask."""
        self.calls = 0
        self._prepared: dict[str, Charge] = {}
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._processes = processes

    def prepare(self, payment: Payment) -> Prepared:
        """See :meth:`payments.gateways.port.PaymentGateway.prepare`."""
        reference = f"sim_{payment.payment_id}"
        charge = Charge(payment.payment_id, payment.amount_minor, payment.currency)

        def work() -> Prepared:
            known = self._prepared.setdefault(reference, charge)
            if known != charge:
                self.misuses.append(f"{known} is prepared, and was prepared again as {charge}")
            return Prepared(reference)

        return self._answer("prepare", payment.payment_id, work)

    def charge(self, payment: Payment) -> ChargeOutcome:
        """See :meth:`payments.gateways.port.PaymentGateway.charge`."""
        prepared = self._prepared[payment.gateway_reference or ""]
        declined = DECLINED_AMOUNTS.get(prepared.amount_minor)
        approved = Approved(payment.gateway_reference or "")
        verdict = approved if declined is None else Declined(declined)
        if self._faults.strikes(Fault.GATEWAY_PENDING):
            return self._answer("charge", prepared.payment_id, Pending)
        return self._answer("charge", prepared.payment_id, lambda: self._decide(prepared, verdict))

    def cancel(self, payment: Payment) -> ChargeOutcome:
        """See :meth:`payments.gateways.port.PaymentGateway.cancel`."""
        prepared = self._prepared[payment.gateway_reference or ""]
        verdict = Declined(CANCELLED)
        return self._answer("cancel", prepared.payment_id, lambda: self._decide(prepared, verdict))

    def look_up(self, payment: Payment) -> ChargeOutcome | Prepared:
        """See :meth:`payments.gateways.port.PaymentGateway.look_up`."""
        prepared = self._prepared[payment.gateway_reference or ""]
        known = self.verdicts.get(prepared.payment_id)
        return known or Prepared(payment.gateway_reference or "")

    def _answer[T](self, operation: str, payment_id: str, work: Callable[[], T]) -> T:
        try:
            return self._try(operation, payment_id, work)
        except GatewayUnavailable:
            self.unanswered.add(payment_id)
            raise

    def _try[T](self, operation: str, payment_id: str, work: Callable[[], T]) -> T:
        self.calls += 1
        self._processes.point()
        if self._faults.is_down("gateway", self._scheduler.now):
            self._scheduler.sleep(self._random.uniform(0.1, 10))
            raise GatewayUnavailable("the gateway is down")
        if self._faults.strikes(Fault.GATEWAY_REFUSED):
            raise GatewayUnavailable("the gateway did not get the request")
        if self._faults.strikes(Fault.GATEWAY_BUSY):
            raise GatewayBusy("the gateway has too much to do")
        if self._faults.strikes(Fault.GATEWAY_LATE):
            late = self._random.uniform(0, _LATEST_CHARGE_SECONDS)
            self._scheduler.call_later(late, lambda: work() and None)
            raise GatewayUnavailable("the gateway works on it for too long")
        outcome = work()
        lost = self._faults.strikes(Fault.GATEWAY_ANSWER_LOST)
        self._processes.trace(f"gateway.{operation}", payment_id, type(outcome).__name__)
        self._processes.point()
        if lost:
            raise GatewayUnavailable("the gateway's answer was lost")
        return outcome

    def _decide(self, charge: Charge, verdict: Verdict) -> Verdict:
        if charge.payment_id not in self.verdicts:
            self.verdicts[charge.payment_id] = verdict
            if isinstance(verdict, Approved):
                self.charges.append(charge)
        return self.verdicts[charge.payment_id]
