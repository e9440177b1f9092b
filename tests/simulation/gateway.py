"""A payment gateway that keeps its promise of one charge per reference, and little else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from random import Random
from typing import Final, Self
from zlib import crc32

from payments.core.faults import GatewayBusy, GatewayUnavailable
from payments.core.operation import Operation, OperationKind
from payments.core.payment import Failure, Payment
from payments.gateways.port import (
    CANCELLED,
    Approved,
    Captured,
    ChargeOutcome,
    Declined,
    Done,
    OperationOutcome,
    Pending,
    Prepared,
    Refused,
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


@dataclass(slots=True)
class Held:
    """What it holds of one charge, in minor units, and until when what is not captured yet."""

    authorized: int
    captured: int = 0
    released: int = 0
    captured_by_itself: int = 0
    expires_at: float = inf

    @property
    def left(self) -> int:
        """What can still be captured."""
        return self.authorized - self.captured - self.released


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that an operation did; ``returns_at`` is when a refund comes back, if it does."""

    name: str
    kind: str
    payment_id: str
    amount_minor: int
    returns_at: float = inf


@dataclass(frozen=True, slots=True)
class Habits:
    """What differs between processors.

    Attributes:
        share_refused: of how many operations it refuses one, by their names.
        share_returned: of how many refunds the bank sends one back, days later.
        share_captured: how often somebody captures at the processor what is authorised.
        key_life_seconds: how long it knows an idempotency key again.
        authorized_for: how long what it authorises is good for; one is drawn, 0 is not told.
    """

    share_refused: float = 0.0
    share_returned: float = 0.0
    share_captured: float = 0.0
    key_life_seconds: float = inf
    authorized_for: tuple[float, ...] = (0.0,)

    @classmethod
    def draw(cls, random: Random) -> Self:
        """Draw a processor."""
        return cls(
            share_refused=random.choice((0.0, 0.1)),
            share_returned=random.choice((0.2, 0.6)),
            share_captured=random.choice((0.0, 0.0, 0.2)),
            key_life_seconds=random.choice((2 * 3600.0, inf)),
            authorized_for=random.choice(((0.0,), (900.0, 86400.0), (0.0, 3 * 86400.0))),
        )


class SimulatedGateway:
    """An independent company: our faults never undo what it did.

    It knows a charge by the reference that it gave out, an operation by its key, and nothing else of
    our payments.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        random: Random,
        processes: Processes,
        *,
        habits: Habits,
        utc: Callable[[float], str],
    ) -> None:
        self.held: dict[str, Held] = {}
        """By payment id."""
        self.effects: list[Effect] = []
        self.refused: set[str] = set()
        """Names of operations that it refused."""
        self._habits = habits
        self._utc = utc
        self._keys: dict[str, float] = {}
        """When each key was used first."""
        self._undecided: dict[str, float] = {}
        """Until when it has not decided about an operation, by name."""
        self._manual: set[str] = set()
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
            if payment.content.capture == "manual":
                self._manual.add(payment.payment_id)
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
                self.verdicts[charge.payment_id] = self._hold(charge, verdict)
        return self.verdicts[charge.payment_id]

    def _hold(self, charge: Charge, approved: Approved) -> Approved:
        held = Held(charge.amount_minor)
        self.held[charge.payment_id] = held
        if charge.payment_id not in self._manual:
            held.captured = charge.amount_minor
            return approved
        seconds = self._random.choice(self._habits.authorized_for)
        held.expires_at = self._scheduler.now + (seconds or _UNTOLD_LIFE_SECONDS)
        if self._random.random() < self._habits.share_captured:
            later = self._random.uniform(0, 600)
            self._scheduler.call_later(later, lambda: self._capture_by_itself(held))
        return replace(approved, capture_before=self._utc(held.expires_at) if seconds else None)

    def _capture_by_itself(self, held: Held) -> None:
        # Somebody does it at the processor's own dashboard.
        if held.left and self._scheduler.now < held.expires_at:
            self._faults.struck[Fault.CAPTURED_ELSEWHERE] += 1
            held.captured_by_itself = held.left
            held.captured += held.left

    # --- operations

    def refund(self, payment: Payment, operation: Operation) -> OperationOutcome:
        """See :meth:`payments.gateways.port.OperationGateway.refund`."""
        return self._ask(payment, operation, self._refund)

    def capture(self, payment: Payment, operation: Operation) -> OperationOutcome:
        """See :meth:`payments.gateways.port.OperationGateway.capture`."""
        return self._ask(payment, operation, self._capture)

    def void(self, payment: Payment, operation: Operation) -> OperationOutcome | Captured:
        """See :meth:`payments.gateways.port.OperationGateway.void`."""
        charge = self._prepared[payment.gateway_reference or ""]
        work = partial(self._void, charge.payment_id, operation)
        return self._try("void", operation.name, work)

    def look_up_operation(
        self, payment: Payment, operation: Operation
    ) -> OperationOutcome | Captured | None:
        """See :meth:`payments.gateways.port.OperationGateway.look_up_operation`."""
        charge = self._prepared[payment.gateway_reference or ""]
        work = partial(self._known, charge.payment_id, operation)
        return self._try("look up", operation.name, work)

    def sent_back(self, effect: Effect) -> bool:
        """Say whether a refund has come back by now."""
        return effect.returns_at <= self._scheduler.now

    def refunded(self, payment_id: str) -> int:
        """Return what is refunded of a charge by now."""
        return sum(
            each.amount_minor
            for each in self.effects
            if each.payment_id == payment_id and each.kind == "refund" and not self.sent_back(each)
        )

    def _ask(
        self,
        payment: Payment,
        operation: Operation,
        do: Callable[[str, Operation], OperationOutcome],
    ) -> OperationOutcome:
        charge = self._prepared[payment.gateway_reference or ""]

        def work() -> OperationOutcome:
            if self._is_undecided(operation):
                return Pending()
            known = self._of(operation)
            first = self._keys.setdefault(operation.name, self._scheduler.now)
            knows_key = self._scheduler.now - first < self._habits.key_life_seconds
            if known is not None and knows_key:
                return known
            self._keys[operation.name] = self._scheduler.now
            if crc32(operation.name.encode()) % 100 < self._habits.share_refused * 100:
                return self._refuse(operation, "declined")
            return do(charge.payment_id, operation)

        def work_later() -> OperationOutcome:
            self._undecided.setdefault(
                operation.name, self._scheduler.now + self._random.uniform(1, _LATEST_DECISION)
            )
            return Pending()

        decides_later = self._faults.strikes(Fault.GATEWAY_PENDING)
        return self._try(
            operation.kind.value, operation.name, work_later if decides_later else work
        )

    def _is_undecided(self, operation: Operation) -> bool:
        return self._scheduler.now < self._undecided.get(operation.name, 0.0)

    def _of(self, operation: Operation) -> OperationOutcome | None:
        """Return the outcome that an operation has by now."""
        done = next((each for each in self.effects if each.name == operation.name), None)
        if done is not None and self.sent_back(done):
            self._faults.struck[Fault.REFUND_RETURNED] += 1
            return Refused(_SENT_BACK)
        if done is not None:
            return Done(f"op_{operation.name}")
        return Refused(_REFUSED) if operation.name in self.refused else None

    def _known(self, payment_id: str, operation: Operation) -> OperationOutcome | Captured | None:
        if self._is_undecided(operation):
            return Pending()
        held = self.held[payment_id]
        if operation.kind is OperationKind.CANCEL:
            return None if held.left else self._void(payment_id, operation)
        return self._of(operation)

    def _refund(self, payment_id: str, operation: Operation) -> OperationOutcome:
        if operation.amount_minor > self.held[payment_id].captured - self.refunded(payment_id):
            self.misuses.append(f"{operation.ref} asks for more than is left to refund")
            return self._refuse(operation, "nothing is left")
        returns_at = inf
        is_early = self._scheduler.now < _RETURNS_OF_REFUNDS_BEFORE
        if is_early and self._random.random() < self._habits.share_returned:
            returns_at = self._scheduler.now + self._random.uniform(1, _LATEST_RETURN_SECONDS)
        return self._note(operation, payment_id, returns_at)

    def _capture(self, payment_id: str, operation: Operation) -> OperationOutcome:
        held = self.held[payment_id]
        if held.captured_by_itself or self._scheduler.now >= held.expires_at:
            return self._refuse(operation, "it is too late")
        if operation.amount_minor > held.left:
            self.misuses.append(f"{operation.ref} asks for more than is left to capture")
            return self._refuse(operation, "nothing is left")
        held.captured += operation.amount_minor
        if operation.final:
            held.released += held.left
        return self._note(operation, payment_id)

    def _void(self, payment_id: str, operation: Operation) -> OperationOutcome | Captured:
        held = self.held[payment_id]
        if held.captured_by_itself:
            return Captured(held.captured_by_itself)
        held.released += held.left
        return Done(f"op_{operation.name}")

    def _note(self, operation: Operation, payment_id: str, returns_at: float = inf) -> Done:
        self.effects.append(
            Effect(
                operation.name, operation.kind.value, payment_id, operation.amount_minor, returns_at
            )
        )
        return Done(f"op_{operation.name}")

    def _refuse(self, operation: Operation, why: str) -> Refused:
        self.refused.add(operation.name)
        return Refused(Failure("refused", why))


_UNTOLD_LIFE_SECONDS: Final = 10 * 86400.0
"""How long an authorisation lasts that it says nothing about: longer than we count on."""
_LATEST_DECISION: Final = 900.0
_RETURNS_OF_REFUNDS_BEFORE: Final = 9 * 86400.0
_LATEST_RETURN_SECONDS: Final = 25 * 86400.0
_SENT_BACK: Final = Failure("account_closed", "The bank has sent the refund back.")
_REFUSED: Final = Failure("refused", "The processor has refused the operation.")
