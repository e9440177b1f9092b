"""A model of charging through Stripe: the real rules, gateway and client over Stripe's double.

One seed is one payment. Workers charge it, up to three at the same time, and settle it once enough
tries have failed; a third of the calls to Stripe lose the request or the answer, some arrive hours
later, Stripe keeps failures, is busy, forgets its keys after a day, and its answers are sometimes
about somebody else's payment. A worker may die between any two calls, or sleep for days. Whatever
happens, the payment must end as its money did. ``python -m tests.simulation.stripe_model --help``
runs as many as wanted.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode

import payments.gateways.stripe.gateway
import payments.gateways.stripe.intents
from local.stripe_double.double import TEST_KEY, Answer, Call, StripeDouble
from local.stripe_double.faults import Fault, NoAnswer, Plan
from payments.core.content import Content
from payments.core.faults import (
    ChargePending,
    GatewayBusy,
    GatewayRefused,
    GatewayUnavailable,
    PaymentError,
    ServiceUnavailable,
    StaleTransition,
)
from payments.core.payment import Payment, PaymentStatus, Transition
from payments.flows.charge import Charging, Witness
from payments.gateways.failures import CARD_DECLINED
from payments.gateways.port import CANCELLED, ChargeOutcome, Declined, Prepared
from payments.gateways.stripe import wire
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.gateway import StripeGateway
from payments.gateways.stripe.intents import INTENTS
from tests.simulation.scheduler import Scheduler

_START: Final = 1_767_225_600.0
_CREATED_AT: Final = "2026-01-01T00:00:00.000000Z"
_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
_ROUNDS_OF_TROUBLE: Final = 14
_ROUNDS: Final = 40
_SETTLED_AFTER: Final = 6
"""After how many tries workers settle instead of charging."""

LOST: Final = 0.35
"""The share of calls to Stripe that lose the request or the answer."""

_CARDS: Final = (
    *["pm_card_visa"] * 6,
    "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_authenticationRequired",
)
_FAILURES: Final = {
    "pm_card_visa": set[str](),
    "pm_card_visa_chargeDeclinedInsufficientFunds": {"insufficient_funds"},
    "pm_card_authenticationRequired": {"authentication_required"},
}
"""For which reasons a payment by a card may fail, beside that nobody could be reached."""

_STRIPES_OWN: Final = {
    Fault.RATE_LIMITED: 0.04,
    Fault.LOCKED: 0.02,
    Fault.FAILURE: 0.015,
    Fault.FAILURE_DONE: 0.015,
    Fault.HTML: 0.01,
    Fault.HTML_DONE: 0.01,
    Fault.CUT: 0.01,
    Fault.KEY_IN_USE: 0.01,
    Fault.UNDECIDED: 0.02,
}
"""How often Stripe itself gives trouble, of all calls."""


class Killed(BaseException):
    """A worker dies here."""


class InMemoryStore:
    """One payment, whose writes are conditional and whose answers may get lost."""

    def __init__(self, payment: Payment, point: Callable[[], None], random: Random) -> None:
        self.payment = payment
        self.calm = False
        self._point = point
        self._random = random

    def get(self, _: str) -> Payment:
        """Return the payment as it stands."""
        self._point()
        return self.payment

    def transition(self, payment: Payment, transition: Transition) -> Payment:
        """Move a payment that is still as given."""
        self._point()
        if not self.calm and self._random.random() < _UNWRITTEN:
            raise ServiceUnavailable("not written")
        if self.payment.audit_hash != payment.audit_hash:
            raise StaleTransition(self.payment)
        self.payment = payment.after(transition, f"{payment.version + 1}:{transition.to}")
        self._point()
        if not self.calm and self._random.random() < _UNWRITTEN:
            raise ServiceUnavailable("written, and not answered")
        return self.payment


_UNWRITTEN: Final = 0.05


class Model:
    """One payment's life under one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.calm = False
        self.calls = 0
        self.scheduler = Scheduler(self.random)
        self.days = 0.0
        self.double = StripeDouble(seed=seed, now=self._now)
        self._keys_sent: set[str] = set()
        self._keys_spoilt: set[str] = set()
        customer = self.double.account.create_customer({})["id"]
        self.card = self.random.choice(_CARDS)
        self._other = self.double.account.create_intent(
            {
                "amount": 9999,
                "currency": "usd",
                "customer": customer,
                "payment_method": "pm_card_visa",
                "capture_method": "automatic",
                "confirm": True,
                "off_session": True,
                "metadata": {"payment_id": "pay_other", "environment": "test"},
            }
        )["id"]
        content = Content("pay_1", 9999, "USD", 2, customer, self.card)
        accepted = Payment(
            content=content,
            status=PaymentStatus.PENDING,
            version=1,
            content_hash=content.hash,
            source="api",
            correlation_id="request-1",
            created_at=_CREATED_AT,
            updated_at=_CREATED_AT,
            audit_hash="1:PENDING",
        )
        self.accepted = accepted
        self.store = InMemoryStore(accepted, self._point, self.random)
        client = StripeClient(self._carry, self._read_key, live=False)
        self.charging = Charging(
            self.store,  # type: ignore[arg-type]  # of a store, only what charging needs
            StripeGateway(client, environment="test"),
            clock=lambda: _CREATED_AT,
        )

    def run(self) -> list[str]:
        """Take the payment to its end; return what is wrong with it, each a sentence."""
        tries = 0
        for round_ in range(_ROUNDS):
            self.calm = self.store.calm = round_ >= _ROUNDS_OF_TROUBLE
            if self.store.payment.status.is_settled and self.scheduler.is_at_rest:
                break
            workers = 1 if self.calm else self.random.choice((1, 1, 1, 2, 3))
            for _ in range(workers):
                tries += 1
                self.scheduler.spawn(f"worker {tries}", partial(self._work, tries))
            self.scheduler.run_until_idle(self.random.choice((60.0, _HOUR, 3 * _DAY)))
            self.days += self.random.choice((0.0, 0.0, 60.0, _HOUR, 40 * _HOUR))
        # Whatever is still under way arrives, and changes nothing any more.
        self.calm = self.store.calm = True
        self.scheduler.run_until_idle()
        self.scheduler.close()
        found = [f"{name} crashed: {error!r}" for name, error in self.scheduler.crashes]
        return found + self._violations()

    def _work(self, number: int) -> None:
        witness = Witness(actor="worker", request_id=f"request-{number}", attempt=number)
        try:
            if number > _SETTLED_AFTER and self.random.random() < 0.7:
                self.charging.settle("pay_1", witness)
            elif self.random.random() < 0.3:
                # As a message tells it: the payment as it was accepted.
                self.charging.charge(self.accepted, witness)
            else:
                self.charging.charge_by_id("pay_1", witness)
        except (
            GatewayUnavailable,
            GatewayBusy,
            GatewayRefused,
            ChargePending,
            ServiceUnavailable,
            Killed,
        ):
            return

    def _violations(self) -> list[str]:
        payment = self.store.payment
        money = self.double.account.money().get("pay_1", [])
        found = []
        if len(money) > 1:
            found.append(f"charged {len(money)} times")
        if not payment.status.is_settled:
            found.append(f"still {payment.status}")
        if payment.status is PaymentStatus.FAILED and money:
            found.append("failed, and money was taken")
        if payment.status is PaymentStatus.COMPLETED:
            taken = [(each["payment_intent"], each["captured"], each["currency"]) for each in money]
            if taken != [(payment.gateway_reference, 9999, "usd")]:
                found.append(f"completed as {payment.gateway_reference}, and taken was {taken}")
        if payment.failure is not None:
            allowed = _FAILURES[self.card] | {CANCELLED.code}
            if payment.failure.code not in allowed:
                found.append(f"failed by {self.card} for {payment.failure.code}")
        # A key names the payment's intent; only one that Stripe keeps a failure under is passed over.
        if len(self._keys_sent) > 1 + len(self._keys_spoilt):
            found.append(
                f"{len(self._keys_sent)} keys for its intent, {len(self._keys_spoilt)} of them spoilt"
            )
        return found

    def _now(self) -> float:
        return _START + self.scheduler.now + self.days

    def _point(self) -> None:
        """Let others go first, let time pass, or die: a place between two calls."""
        if self.calm:
            return
        chance = self.random.random()
        if chance < 0.03:
            raise Killed
        if chance < 0.06:
            self.scheduler.sleep(self.random.choice((30.0, 25 * _HOUR)))
        elif chance < 0.5:
            self.scheduler.pause()

    @staticmethod
    def _read_key(*, anew: bool = False) -> str:
        del anew
        return TEST_KEY

    def _carry(self, request: wire.Request) -> wire.Answer:
        """Carry a request to the double, or lose it, or its answer, or bring it late."""
        self.calls += 1
        if (request.method, request.path) == ("POST", INTENTS):
            self._keys_sent.add(request.headers["Idempotency-Key"])
        self._point()
        lost = not self.calm and self.random.random() < LOST
        how = self.random.choice(("request", "answer", "late")) if lost else "none"
        if how == "request":
            raise GatewayUnavailable("the request was lost")
        if how == "late":
            delay = self.random.choice((5.0, 90.0, 2 * _HOUR))
            self.scheduler.call_later(delay, lambda: self._handle(request))
            raise GatewayUnavailable("the request is under way")
        answer = self._handle(request)
        self._point()
        if answer is None or answer.cut or how == "answer":
            raise GatewayUnavailable("the answer was lost")
        if not self.calm and answer.status == 200 and self.random.random() < 0.02:
            # Somebody else's answer, such as a proxy mixes up.
            path = f"/v1/payment_intents/{self._other}"
            other = self._sent(Call("GET", path, [], _headers(request)))
            answer = other or answer
        return wire.Answer(answer.status, answer.headers, answer.body)

    def _handle(self, request: wire.Request) -> Answer | None:
        if not self.calm:
            plans = [
                Plan(fault, "confirm" if fault is Fault.UNDECIDED else "any", seconds=_HOUR)
                for fault, share in _STRIPES_OWN.items()
                if self.random.random() < share
            ]
            self.double.faults.plans = plans[:1]
        struck = len(self.double.faults.struck)
        form = parse_qsl(urlencode(request.fields))
        answer = self._sent(Call(request.method, request.path, form, _headers(request)))
        self.double.faults.plans = []
        for fault, at in self.double.faults.struck[struck:]:
            if at == "create" and fault in (Fault.FAILURE, Fault.FAILURE_DONE):
                self._keys_spoilt.add(request.headers["Idempotency-Key"])
        return answer

    def _sent(self, call: Call) -> Answer | None:
        try:
            return self.double.handle(call)
        except NoAnswer:
            return None


def _headers(request: wire.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


# --- what the code would do if somebody had written it carelessly


@contextmanager
def reference_not_remembered() -> Iterator[None]:
    """Each charge makes an intent of its own, under the payment's key."""
    charge = StripeGateway.charge

    def careless(self: StripeGateway, payment: Payment) -> ChargeOutcome:
        made = self.prepare(replace(payment, gateway_reference=None))
        if isinstance(made, Declined):
            return made
        return charge(self, replace(payment, gateway_reference=made.reference))

    with patch.object(StripeGateway, "charge", careless):
        yield


@contextmanager
def no_fence() -> Iterator[None]:
    """Settling looks, and does not rule out a charge that is still under way."""

    def careless(self: StripeGateway, payment: Payment) -> ChargeOutcome:
        found = self.look_up(payment)
        return Declined(CANCELLED) if isinstance(found, Prepared) else found

    with patch.object(StripeGateway, "cancel", careless):
        yield


def _taken_for_a_decline(error: type[PaymentError], word: str) -> AbstractContextManager[object]:
    charge = StripeGateway.charge

    def careless(self: StripeGateway, payment: Payment) -> ChargeOutcome:
        try:
            return charge(self, payment)
        except error as raised:
            if word in str(raised):
                return Declined(CARD_DECLINED)
            raise

    return patch.object(StripeGateway, "charge", careless)


def kept_500_taken_for_a_failure() -> AbstractContextManager[object]:
    """A failure on Stripe's side is taken to say that nothing was charged."""
    return _taken_for_a_decline(GatewayUnavailable, " 500 ")


def busy_taken_for_a_decline() -> AbstractContextManager[object]:
    """A 429 is taken for a decline."""
    return _taken_for_a_decline(GatewayBusy, " 429 ")


@contextmanager
def answer_not_compared() -> Iterator[None]:
    """An answer is believed, whatever it is about."""

    def careless(*_: object) -> None:
        return

    with (
        patch.object(payments.gateways.stripe.intents, "compare", careless),
        patch.object(payments.gateways.stripe.gateway, "compare", careless),
    ):
        yield


@contextmanager
def key_with_a_changing_part() -> Iterator[None]:
    """The key of an intent counts the tries."""
    post = StripeClient.post
    tries = count()

    def careless(
        self: StripeClient, path: str, form: Any, *, key: str | None = None, **more: Any
    ) -> Any:
        changing = None if key is None else f"{key}:{next(tries)}"
        return post(self, path, form, key=changing, **more)

    with patch.object(StripeClient, "post", careless):
        yield


DEFECTS: Final[dict[str, Callable[[], AbstractContextManager[object]]]] = {
    defect.__name__: defect
    for defect in (
        reference_not_remembered,
        no_fence,
        kept_500_taken_for_a_failure,
        busy_taken_for_a_decline,
        answer_not_compared,
        key_with_a_changing_part,
    )
}


@dataclass(frozen=True, slots=True)
class Result:
    """What some payments came to."""

    payments: int
    calls: int
    ends: Counter[str]
    violations: dict[int, list[str]]


def simulate(seeds: range, defect: str | None = None, *, until_found: bool = False) -> Result:
    """Run one payment for each seed; with ``until_found``, no further than the first violation."""
    ends: Counter[str] = Counter()
    violations: dict[int, list[str]] = {}
    calls = done = 0
    with DEFECTS[defect]() if defect else nullcontext():
        for seed in seeds:
            model = Model(seed)
            found = model.run()
            done += 1
            calls += model.calls
            payment = model.store.payment
            ends[payment.failure.code if payment.failure else payment.status.value] += 1
            if found:
                violations[seed] = found
                if until_found:
                    break
    return Result(done, calls, ends, violations)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if a payment ended wrongly."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.stripe_model",
        description="Charge payments through Stripe's double while everything goes wrong.",
    )
    parser.add_argument("--payments", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--defect", choices=sorted(DEFECTS), help="plant a careless change")
    options = parser.parse_args(arguments)
    since = time.monotonic()
    ends: Counter[str] = Counter()
    violations: dict[int, list[str]] = {}
    calls = 0
    portions = [
        range(first, min(first + 500, options.first + options.payments))
        for first in range(options.first, options.first + options.payments, 500)
    ]
    with ProcessPoolExecutor(options.processes) as pool:
        for result in pool.map(simulate, portions, [options.defect] * len(portions)):
            ends += result.ends
            violations |= result.violations
            calls += result.calls
    for seed, found in list(violations.items())[:20]:
        sys.stdout.write(f"seed {seed}: {'; '.join(found)}\n")
    twice = sum(any("charged" in each for each in found) for found in violations.values())
    told = ", ".join(f"{number:,} {name}" for name, number in ends.most_common())
    sys.stdout.write(
        f"{options.payments:,} payments, {calls:,} calls to Stripe in"
        f" {time.monotonic() - since:.0f} s: {told}."
        f" {twice} charged twice, {len(violations)} ended wrongly.\n"
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
