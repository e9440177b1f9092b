"""A payment gateway that keeps its promise of one charge per key, and little else."""

from dataclasses import dataclass
from random import Random
from typing import Final

from payments.core.faults import GatewayUnavailable
from payments.core.payment import Payment
from payments.gateways.port import CANCELLED, Approved, ChargeOutcome, Declined
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
    """An independent company: our faults never undo what it did."""

    def __init__(
        self, scheduler: Scheduler, faults: FaultPlan, random: Random, processes: Processes
    ) -> None:
        self.charges: list[Charge] = []
        self.calls = 0
        self._outcomes: dict[str, ChargeOutcome] = {}
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._processes = processes

    def charge(self, payment: Payment) -> ChargeOutcome:
        """See :meth:`payments.gateways.port.PaymentGateway.charge`."""
        declined = DECLINED_AMOUNTS.get(payment.amount_minor)
        approved = Approved(f"sim_{payment.payment_id}")
        verdict = approved if declined is None else Declined(declined)
        return self._answer("charge", payment, verdict)

    def cancel(self, payment: Payment) -> ChargeOutcome:
        """See :meth:`payments.gateways.port.PaymentGateway.cancel`."""
        return self._answer("cancel", payment, Declined(CANCELLED))

    def _answer(self, operation: str, payment: Payment, verdict: ChargeOutcome) -> ChargeOutcome:
        self.calls += 1
        self._processes.point()
        if self._faults.is_down("gateway", self._scheduler.now):
            self._scheduler.sleep(self._random.uniform(0.1, 10))
            raise GatewayUnavailable("the gateway is down")
        if self._faults.strikes(Fault.GATEWAY_REFUSED):
            raise GatewayUnavailable("the gateway did not get the request")
        if self._faults.strikes(Fault.GATEWAY_LATE):
            late = self._random.uniform(0, _LATEST_CHARGE_SECONDS)
            self._scheduler.call_later(late, lambda: self._decide(payment, verdict))
            raise GatewayUnavailable("the gateway works on it for too long")
        outcome = self._decide(payment, verdict)
        lost = self._faults.strikes(Fault.GATEWAY_ANSWER_LOST)
        self._processes.trace(f"gateway.{operation}", payment.payment_id, type(outcome).__name__)
        self._processes.point()
        if lost:
            raise GatewayUnavailable("the gateway's answer was lost")
        return outcome

    def _decide(self, payment: Payment, verdict: ChargeOutcome) -> ChargeOutcome:
        key = payment.payment_id
        if key not in self._outcomes:
            self._outcomes[key] = verdict
            if isinstance(verdict, Approved):
                charge = Charge(payment.payment_id, payment.amount_minor, payment.currency)
                self.charges.append(charge)
        return self._outcomes[key]
