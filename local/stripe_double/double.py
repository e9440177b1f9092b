"""One request through Stripe's layers, in the documented order, and the clock that tests move."""

import copy
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from threading import Lock
from typing import Any, Final

from local.stripe_double.account import API_VERSION, Account, Object
from local.stripe_double.errors import StripeError, invalid
from local.stripe_double.faults import HTML, Fault, Faults, NoAnswer, Plan
from local.stripe_double.forms import (
    EXPAND,
    FLAG,
    INTEGER,
    METADATA,
    PAGING,
    TEXT,
    Pairs,
    Parameter,
    checked,
    one_of,
)
from local.stripe_double.keys import Kept, Keys
from local.stripe_double.pages import page

TEST_KEY: Final = "sk_test_of_the_double"
"""The key that the double takes unless it is told another."""

_CONFIRMATION: Final[Mapping[str, Parameter]] = {
    "off_session": FLAG,
    "error_on_requires_action": FLAG,
    "payment_method": TEXT,
}


type Run = Callable[[Account, str, Mapping[str, Any]], Object]
"""Carries a request out: on an account, for the id in its path, with its checked form."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint: what it is called here, where it is, the parameters it takes, what it does."""

    name: str
    method: str
    path: re.Pattern[str]
    parameters: Mapping[str, Parameter]
    run: Run


def _operation(
    name: str, endpoint: str, parameters: Mapping[str, Parameter], run: Run
) -> Operation:
    method, _, path = endpoint.partition(" ")
    pattern = re.compile(path.replace("{id}", "([^/]+)"))
    return Operation(name, method, pattern, {**parameters, **EXPAND}, run)


OPERATIONS: Final = (
    _operation(
        "create",
        "POST /v1/payment_intents",
        {
            "amount": Parameter("integer", required=True),
            "currency": Parameter(required=True),
            "capture_method": one_of("automatic", "automatic_async", "manual"),
            "confirm": FLAG,
            "customer": TEXT,
            "description": TEXT,
            "metadata": METADATA,
            "payment_method_types": Parameter("list", choices=frozenset({"card"})),
            **_CONFIRMATION,
        },
        lambda account, _, form: account.create_intent(form),
    ),
    _operation(
        "list",
        "GET /v1/payment_intents",
        {"customer": TEXT, "created": Parameter("range"), **PAGING},
        lambda account, _, form: page(
            "/v1/payment_intents", map(account.intent, list(account.intents)), form
        ),
    ),
    _operation(
        "get",
        "GET /v1/payment_intents/{id}",
        {},
        lambda account, intent, _: account.intent(intent),
    ),
    _operation("confirm", "POST /v1/payment_intents/{id}/confirm", _CONFIRMATION, Account.confirm),
    _operation(
        "cancel",
        "POST /v1/payment_intents/{id}/cancel",
        {
            "cancellation_reason": one_of(
                "abandoned", "duplicate", "fraudulent", "requested_by_customer"
            )
        },
        Account.cancel,
    ),
    _operation(
        "capture",
        "POST /v1/payment_intents/{id}/capture",
        {"amount_to_capture": INTEGER, "metadata": METADATA},
        Account.capture,
    ),
    _operation(
        "refund",
        "POST /v1/refunds",
        {
            "payment_intent": Parameter(required=True),
            "amount": INTEGER,
            "metadata": METADATA,
            "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
        },
        lambda account, _, form: account.create_refund(form),
    ),
    _operation(
        "list_refunds",
        "GET /v1/refunds",
        {"payment_intent": TEXT, "created": Parameter("range"), **PAGING},
        lambda account, _, form: page(
            "/v1/refunds", map(account.refund, list(account.refunds)), form
        ),
    ),
    _operation(
        "get_refund", "GET /v1/refunds/{id}", {}, lambda account, refund, _: account.refund(refund)
    ),
    _operation(
        "get_charge", "GET /v1/charges/{id}", {}, lambda account, charge, _: account.charge(charge)
    ),
    _operation(
        "events",
        "GET /v1/events",
        {"type": TEXT, **PAGING},
        lambda account, _, form: page("/v1/events", account.events, form),
    ),
    _operation(
        "customer",
        "POST /v1/customers",
        {"description": TEXT, "email": TEXT, "name": TEXT, "metadata": METADATA},
        lambda account, _, form: account.create_customer(form),
    ),
    _operation(
        "attach",
        "POST /v1/payment_methods/{id}/attach",
        {"customer": Parameter(required=True)},
        Account.attach,
    ),
)
"""The endpoints of the double, by the names that faults strike at."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. The names of ``headers`` are in lower case."""

    method: str
    path: str
    pairs: Pairs
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; ``cut`` says that only half of its body arrives."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


class StripeDouble:
    """One account behind Stripe's API.

    Args:
        seed: what ids are drawn from.
        now: the time that the double's clock starts from, and runs with; seconds since 1970.
        sleep: how to wait where an answer is late.
        key: the account's secret key, ``sk_test_…`` or ``sk_live_…``.
        rate: requests a second that each endpoint takes; ``None`` for any number.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        key: str = TEST_KEY,
        rate: float | None = None,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._moved = 0.0
        self._random = Random(seed)
        self._lock = Lock()
        self._idempotency = Keys()
        self._buckets: dict[str, tuple[float, float]] = {}
        self._held: set[str] = set()
        self.key = key
        self.rate = rate
        self.faults = Faults()
        self.requests = 0
        self.account = Account(self.clock, self._random, live="_live_" in key)

    def clock(self) -> float:
        """Return the double's time, in seconds since 1970."""
        return self._now() + self._moved

    def move_clock(self, seconds: float) -> None:
        """Move the clock on: keys are forgotten, holds expire, refunds are decided."""
        self._moved += seconds

    def handle(self, call: Call) -> Answer:
        """Answer one request.

        Raises:
            NoAnswer: the connection ends without one.
        """
        request_id = f"req_{self._random.getrandbits(64):016x}"
        headers = {"request-id": request_id, "stripe-version": API_VERSION}
        key = call.headers.get("idempotency-key") if call.method == "POST" else None
        if key is not None:
            headers["idempotency-key"] = key
        with self._lock:
            self.requests += 1
            operation, target = _matching(call)
            plan = None if operation is None else self._struck(operation, target, call.pairs)
            if plan is not None and plan.fault is Fault.REFUSE:
                raise NoAnswer
            if plan is not None and plan.fault is Fault.HTML:
                return Answer(503, {"content-type": "text/html"}, HTML)
            try:
                self._admit(call, operation, plan)
                assert operation is not None  # noqa: S101 - _admit refuses a request without
                kept = None
                if key is not None:
                    kept = self._idempotency.begin(key, call.path, call.pairs, self.clock())
            except StripeError as error:
                return _answer(error.status, error.document, {**headers, **error.headers})
            if kept is not None:
                headers["idempotent-replayed"] = "true"
                answer = _answer(kept.status, kept.document, headers)
                return _on_the_wire(answer, plan)
        status, document = self._carried_out(operation, target, call, key, plan)
        if plan is not None and plan.fault is Fault.OTHER_ANSWER:
            document = {**document, **plan.change}
        return _on_the_wire(_answer(status, document, headers), plan)

    def _struck(self, operation: Operation, target: str | None, pairs: Pairs) -> Plan | None:
        payment_id = dict(pairs).get("metadata[payment_id]")
        about = self.account.intents.get(target or dict(pairs).get("payment_intent", ""))
        if payment_id is None and about is not None:
            payment_id = about["metadata"].get("payment_id")
        return self.faults.strike(operation.name, payment_id)

    def _admit(self, call: Call, operation: Operation | None, plan: Plan | None) -> None:
        """Refuse a request before its key is looked at: nothing of it is kept."""
        scheme, _, sent = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not sent:
            raise invalid("You did not provide an API key.", status=401)
        if sent != self.key:
            raise invalid(f"Invalid API Key provided: {sent[:8]}****", status=401)
        if call.headers.get("stripe-version") != API_VERSION:
            raise invalid(f"This double speaks the API version {API_VERSION} alone.")
        if operation is None:
            raise invalid(f"Unrecognized request URL ({call.method}: {call.path}).", status=404)
        fault = None if plan is None else plan.fault
        if fault is Fault.FORBIDDEN:
            raise invalid("The provided key does not have the required permissions.", status=403)
        if plan is not None and fault is Fault.RATE_LIMITED:
            raise _rate_limited(plan.reason)
        if self._is_over(operation.name):
            raise _rate_limited("endpoint-rate")
        if fault is Fault.LOCKED:
            raise _locked()
        if fault is Fault.KEY_IN_USE:
            raise invalid(
                "There is currently another in-progress request using this Idempotent Key.",
                status=409,
                code="idempotency_key_in_use",
            )

    def _is_over(self, endpoint: str) -> bool:
        """Return whether an endpoint has no request left in its bucket; take one otherwise."""
        if self.rate is None:
            return False
        left, since = self._buckets.get(endpoint, (self.rate, self.clock()))
        left = min(self.rate, left + (self.clock() - since) * self.rate)
        self._buckets[endpoint] = (left if left < 1 else left - 1, self.clock())
        return left < 1

    def _carried_out(
        self,
        operation: Operation,
        target: str | None,
        call: Call,
        key: str | None,
        plan: Plan | None,
    ) -> tuple[int, Object]:
        """Validate and carry out a request, and keep what its key shall keep."""
        try:
            with self._holding(target if call.method == "POST" else None):
                if plan is not None and plan.fault is Fault.LATE:
                    self._sleep(plan.seconds)
                with self._lock:
                    status, document = self._executed(operation, target, call.pairs, plan)
                    if key is not None:
                        self._idempotency.keep(key, Kept(status, document))
                    return status, document
        except StripeError as error:
            with self._lock:
                if key is not None and error.kept:
                    self._idempotency.keep(key, Kept(error.status, error.document))
                elif key is not None:
                    self._idempotency.forget(key)
            return error.status, error.document

    @contextmanager
    def _holding(self, target: str | None) -> Iterator[None]:
        """Hold an object; another request that wants it meanwhile is refused."""
        if target is None:
            yield
            return
        with self._lock:
            if target in self._held:
                raise _locked()
            self._held.add(target)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(target)

    def _executed(
        self, operation: Operation, target: str | None, pairs: Pairs, plan: Plan | None
    ) -> tuple[int, Object]:
        form = checked(pairs, operation.parameters)
        fault = None if plan is None else plan.fault
        if fault is Fault.FAILURE:
            return 500, _FAILURE
        try:
            if plan is not None and fault is Fault.UNDECIDED:
                done = self.account.confirm(target or "", form, decided_after=plan.seconds)
            else:
                done = operation.run(self.account, target or "", form)
        except StripeError:
            if fault is Fault.FAILURE_DONE:
                return 500, _FAILURE
            raise
        if fault is Fault.FAILURE_DONE:
            return 500, _FAILURE
        expanded = self._expanded(done, form.get("expand", []))
        return 200, copy.deepcopy(expanded)

    def _expanded(self, done: Object, names: Iterable[str]) -> Object:
        for name in names:
            if name != "latest_charge" or done.get("object") != "payment_intent":
                raise invalid(f"This property cannot be expanded ({name}).", param="expand")
            charge = self.account.charges.get(done["latest_charge"] or "")
            done = {**done, "latest_charge": charge}
        return done


_FAILURE: Final[Object] = {
    "error": {"type": "api_error", "message": "An unknown error occurred on our side."}
}


def _matching(call: Call) -> tuple[Operation | None, str | None]:
    """Return the operation that a request asks for, and the id in its path."""
    for operation in OPERATIONS:
        match = operation.path.fullmatch(call.path)
        if match is not None and operation.method == call.method:
            return operation, match[1] if match.groups() else None
    return None, None


def _rate_limited(reason: str) -> StripeError:
    return invalid(
        "Request rate limit exceeded.",
        status=429,
        code="rate_limit",
        headers={"stripe-rate-limited-reason": reason},
    )


def _locked() -> StripeError:
    return invalid(
        "This object cannot be accessed right now because another API request or Stripe process"
        " is currently accessing it.",
        status=429,
        code="lock_timeout",
    )


def _answer(status: int, document: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
    body = json.dumps(document, indent=2).encode()
    return Answer(status, {**headers, "content-type": "application/json"}, body)


def _on_the_wire(answer: Answer, plan: Plan | None) -> Answer:
    """Return what arrives of an answer whose request was carried out."""
    match None if plan is None else plan.fault:
        case Fault.LOSE:
            raise NoAnswer
        case Fault.HTML_DONE:
            return Answer(503, {"content-type": "text/html"}, HTML)
        case Fault.CUT:
            half = answer.body[: len(answer.body) // 2]
            return Answer(answer.status, answer.headers, half, cut=True)
        case _:
            return answer
