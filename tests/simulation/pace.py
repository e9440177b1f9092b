"""A backlog of payments at a processor that takes only so many a second.

The real function takes messages of a queue as the stack lets it, with as many invocations and
messages in each, asks Stripe's double through Stripe's gateway, and both bound themselves to one
rate. Time is virtual; an answer of Stripe's takes as long as an issuer does.
``python -m tests.simulation.pace --help`` runs as many payments as wanted.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from inspect import unwrap
from random import Random
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode

import botocore.endpoint

import payment_processor
import payments.telemetry.metrics
from lib.config import PROTECTED, STRIPE_RATE
from lib.functions.payment_processor import consumption
from local.stripe_double.double import TEST_KEY, Call, StripeDouble
from payments.aws.operations import OperationStore
from payments.aws.payments import PaymentStore
from payments.aws.queue import MessageQueue, PaymentQueues
from payments.aws.turns import Turns
from payments.aws.workflows import Workflow
from payments.core.clock import utc_text
from payments.core.content import Content
from payments.core.messages import PaymentMessage, encode_message, message_of
from payments.core.payment import API, PaymentRequest, PaymentStatus
from payments.flows.charge import Charging
from payments.flows.delivery import Delivery, OperationDelivery
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.refund_rows import RefundRowDelivery
from payments.flows.sweep import ExpirySweep, OperationSweep, PaymentSweep, RefundReviewSweep
from payments.gateways.stripe import wire
from payments.gateways.stripe.client import StripeClient
from payments.gateways.stripe.gateway import StripeGateway
from payments.gateways.stripe.operations import StripeOperations
from payments.runtime import payment_processor as payment_runtime
from payments.runtime.payment_processor import Deliveries
from payments.telemetry.logs import logger
from tests.simulation.dynamodb import InMemoryDynamoDB
from tests.simulation.faults import FaultPlan
from tests.simulation.processes import Processes
from tests.simulation.queue import Message, SimulatedQueue
from tests.simulation.quotas import RateQuotas
from tests.simulation.scheduler import Scheduler, Signal
from tests.simulation.sdk import Quotas, SdkPool
from tests.simulation.services import QueueService, WorkflowService
from tests.simulation.wire import Wire
from tests.simulation.workflow import StateMachine, payment_machine
from tests.simulation.world import KEYS, TABLES

_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH: Final = f"batch_{'0' * 32}"
_SWEEP_SECONDS: Final = 300.0
_STEPS_OF_A_PAYMENT: Final = 200

ANSWER_SECONDS: Final = {"confirm": (0.5, 2.0), "": (0.1, 0.4)}
"""How long Stripe takes to answer, at least and at most; a confirmation asks the card's issuer.

Stripe publishes no such figures: these are assumed."""


@dataclass(slots=True)
class Environment:
    """What one execution environment of the function holds."""

    deliveries: Deliveries
    sweep: PaymentSweep
    operation_sweep: OperationSweep
    expiry_sweep: ExpirySweep
    refund_review_sweep: RefundReviewSweep
    quotas: Quotas = field(default_factory=Quotas)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a backlog; seconds are virtual."""

    payments: int
    ends: Counter[str]
    charged: int
    busy: int
    """How often Stripe said that it has too much to do."""
    dead: int
    workflows: int
    stuck: tuple[int, ...]
    """How many payments each sweep found stuck."""
    seconds: float
    """From the first charge to the last."""

    @property
    def per_second(self) -> float:
        """Charges a second."""
        return (self.charged - 1) / self.seconds


class Backlog:
    """So many payments that wait, and everything that works them off.

    Args:
        payments: how many wait.
        rate: how many a second the environment asks for.
        limit: how many requests a second Stripe takes at each endpoint; ``None`` for so many, too.
        by_api: whether they were accepted by API at the beginning; else they are rows of a file.
        allowance: whether the sweep knows the rate.
    """

    def __init__(
        self,
        payments: int,
        rate: int,
        *,
        limit: int | None = None,
        by_api: bool = False,
        allowance: bool = True,
    ) -> None:
        random = Random(payments)
        self._rate, self._allowance, self._payments = rate, allowance, payments
        self._random = random
        self.scheduler = Scheduler(random, most_steps=payments * _STEPS_OF_A_PAYMENT)
        faults = FaultPlan(random, deadly=False)
        faults.active = False
        scheduler = self.scheduler
        self.processes = Processes(scheduler, faults, random, lambda _: self._environment())
        self.dead: list[Message] = []
        self._events = SimulatedQueue(scheduler, faults, random, prefix="m", dead=self.dead)
        self._rows = SimulatedQueue(scheduler, faults, random, prefix="r", dead=self.dead)
        queues = {"payment-events": self._events, "payment-rows": self._rows}
        self.machine = StateMachine(
            payment_machine(),
            scheduler,
            faults,
            random,
            self.processes,
            invoke=lambda function, event: self.processes.invoke(function, _HANDLER, event),
            publish=lambda *_: None,
            set_aside=self._events.send_to_dead,
            on_death=lambda _: None,
        )
        self.database = InMemoryDynamoDB(KEYS, lambda: self._moment().timestamp())
        self.wire = Wire(
            scheduler,
            faults,
            random,
            self.processes,
            {
                "dynamodb": self.database,
                "sqs": QueueService(queues, "payment-events-dlq"),
                "sfn": WorkflowService({payment_machine().name: self.machine}),
            },
            honours_tokens=True,
            quotas=RateQuotas({}),
        )
        self.double = StripeDouble(now=lambda: self._moment().timestamp(), rate=limit or rate)
        self._customer = self.double.account.create_customer({})["id"]
        self.busy = 0
        self.charged_at: list[float] = []
        self.stuck: list[int] = []
        self._done = False
        self._queue, self._queue_name = (
            (self._events, "payment-events") if by_api else (self._rows, "payment-rows")
        )
        self._by_api = by_api

    def run(self) -> Result:
        """Work the backlog off."""
        _SDK.start_run(self.wire.send, self._quotas)
        with self._in_place_of_the_real_one():
            self.scheduler.spawn("intake", self._fill)
            self.scheduler.run_until_idle()
            size, concurrency = consumption(PROTECTED, self._rate)
            for number in range(concurrency):
                self.scheduler.spawn(f"consumer {number}", partial(self._consume, size))
            self.scheduler.spawn("schedule", self._sweep)
            self.scheduler.run_until_idle()
            self.scheduler.close()
        for name, crash in self.scheduler.crashes:
            raise RuntimeError(f"{name} crashed: {crash!r}") from crash
        return Result(
            payments=self._payments,
            ends=Counter(
                item["status"]["S"]
                for item in self.database.answer("Scan", {"TableName": TABLES.payments})["Items"]
            ),
            charged=len(self.charged_at),
            busy=self.busy,
            dead=len(self.dead),
            workflows=len(self.machine.executions),
            stuck=tuple(self.stuck),
            seconds=self.charged_at[-1] - self.charged_at[0],
        )

    def _fill(self) -> None:
        store = PaymentStore(_SDK.client("dynamodb"), TABLES, sleep=self.processes.sleep)
        at = utc_text(self._moment())
        for number in range(self._payments):
            content = Content(f"pay_{number}", 9999, "USD", 2, self._customer, "pm_card_visa")
            if self._by_api:
                request = PaymentRequest(content, API, "request-1")
                body = encode_message(message_of(store.create(request, actor="api", at=at)[0]))
            else:
                source = f"batch:{_BATCH}:{number + 2}"
                body = encode_message(PaymentMessage(PaymentRequest(content, source, _BATCH)))
            self._queue.send(body)

    def _consume(self, size: int) -> None:
        """Take messages to the function, one invocation after the other, until all is done."""
        while not self._done:
            wait = self._queue.next_visible_in()
            if wait is None:
                self._done = True
            elif wait > 0:
                self.scheduler.sleep(wait + 0.001)
            else:
                self._deliver(self._queue.receive(size))

    def _deliver(self, messages: Sequence[Message]) -> None:
        event = {
            "Records": [
                {
                    "eventSourceARN": f"arn:aws:sqs:eu-central-1:1:{self._queue_name}",
                    "messageId": message.message_id,
                    "receiptHandle": message.receipt,
                    "body": message.body,
                    "attributes": {
                        "ApproximateReceiveCount": str(message.receives),
                        "SentTimestamp": str(int((_START.timestamp() + message.sent_at) * 1000)),
                    },
                }
                for message in messages
            ]
        }
        answer = self.processes.invoke("payment-processor", _HANDLER, event)
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for message in messages:
            if message.message_id not in failed:
                self._queue.delete(message.receipt)

    def _sweep(self) -> None:
        while not self._done:
            self.scheduler.sleep(_SWEEP_SECONDS)
            answer = self.processes.invoke("payment-processor", _HANDLER, {"action": "sweep"})
            self.stuck.append(answer["stuck"])

    def _carry(self, request: wire.Request) -> wire.Answer:
        """Carry a request to the double, and its answer back once Stripe would have it."""
        verb = request.path.rpartition("/")[2]
        call = Call(
            request.method,
            request.path,
            parse_qsl(urlencode(request.fields)),
            {name.lower(): value for name, value in request.headers.items()},
        )
        answer = self.double.handle(call)
        if answer.status == _BUSY:
            self.busy += 1
        elif verb == "confirm":
            self.charged_at.append(self.scheduler.now)
        self.scheduler.sleep(self._random.uniform(*ANSWER_SECONDS.get(verb, ANSWER_SECONDS[""])))
        return wire.Answer(answer.status, answer.headers, answer.body)

    def _environment(self) -> Environment:
        """Compose what the function needs as ``runtime`` does, with the clock of this world."""
        sleep = self.processes.sleep
        events, rows, dead_letters = (
            MessageQueue(_SDK.client("sqs"), f"https://queue/{name}", sleep=sleep)
            for name in ("payment-events", "payment-rows", "payment-events-dlq")
        )
        dynamodb = _SDK.client("dynamodb")
        store = PaymentStore(dynamodb, TABLES, sleep=sleep)
        operations = OperationStore(dynamodb, TABLES, sleep=sleep)
        queues = PaymentQueues(events, rows)
        workflow = Workflow(_SDK.client("stepfunctions"), payment_machine().arn)
        turns = Turns(
            dynamodb,
            TABLES.processing_status,
            per_second=self._rate,
            clock=lambda: self._moment().timestamp(),
        )
        client = StripeClient(self._carry, _read_key, live=False)
        charging = Charging(store, StripeGateway(client, environment="test"), self.now)
        performing = Performing(
            store, operations, StripeOperations(client, environment="test"), self.now
        )
        delivery = OperationDelivery(performing, workflow)
        intake = OperationIntake(store, operations, queues, self.now)
        return Environment(
            deliveries=Deliveries(
                delivery=Delivery(store, charging, workflow, self.now),
                operations=delivery,
                refund_rows=RefundRowDelivery(intake, operations, delivery, self.now),
                queues=queues,
                dead_letters=dead_letters,
                events=events,
                rows=rows,
                turns=turns,
            ),
            sweep=PaymentSweep(store, queues, self.now, line=turns if self._allowance else None),
            operation_sweep=OperationSweep(operations, queues, self.now),
            refund_review_sweep=RefundReviewSweep(store, operations, self.now),
            expiry_sweep=ExpirySweep(store, operations, intake, self.now),
        )

    def now(self) -> str:
        """Return the virtual time as the code under test writes times."""
        return utc_text(self._moment())

    def _moment(self) -> datetime:
        return _START + timedelta(seconds=self.scheduler.now)

    def _quotas(self) -> Quotas:
        process = self.scheduler.current.context
        return _NOBODYS if process is None else process.environment.quotas

    @contextmanager
    def _in_place_of_the_real_one(self) -> Iterator[None]:
        """Make the function see this world's services, clock, sleep and threads."""

        def service(name: str) -> Callable[[], Any]:
            return lambda: getattr(self.processes.environment, name)

        threads = Threads(self.scheduler)
        with ExitStack() as stack:
            for target, name, replacement in (
                (payment_runtime, "deliveries", service("deliveries")),
                (payment_runtime, "payment_sweep", service("sweep")),
                (payment_runtime, "operation_sweep", service("operation_sweep")),
                (payment_runtime, "expiry_sweep", service("expiry_sweep")),
                (payment_runtime, "refund_review_sweep", service("refund_review_sweep")),
                (payments.telemetry.metrics, "count", lambda _: None),
                (botocore.endpoint, "time", SimpleNamespace(sleep=self.processes.sleep)),
                (payment_processor, "time", SimpleNamespace(sleep=self.processes.sleep)),
                (payment_processor, "_pool", threads),
                (payment_processor, "wait", threads.wait),
            ):
                stack.enter_context(patch.object(target, name, replacement))
            level = logger.log_level
            stack.callback(logger.setLevel, level)
            logger.setLevel("CRITICAL")
            yield


class Threads:
    """The function's threads as tasks of the scheduler, so that they wait in virtual time."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._ended = Signal()

    def submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Begin some work beside what runs."""
        future: Future[Any] = Future()

        def run() -> None:
            future.set_result(work(*arguments))
            self._scheduler.notify(self._ended)

        task = self._scheduler.spawn("thread", run)
        task.context = self._scheduler.current.context
        return future

    def wait(
        self, work: "Sequence[Future[Any]]", timeout: float
    ) -> "tuple[set[Future[Any]], set[Future[Any]]]":
        """Wait until all is done or the time is up; return what is done and what is not."""
        until = self._scheduler.now + timeout
        while any(not each.done() for each in work) and self._scheduler.now < until:
            self._scheduler.wait(self._ended, until - self._scheduler.now)
        done = {each for each in work if each.done()}
        return done, set(work) - done


def _read_key(*, anew: bool = False) -> str:
    del anew
    return TEST_KEY


_BUSY: Final = 429
_SDK: Final = SdkPool()
_NOBODYS: Final = Quotas()
_HANDLER: Final = unwrap(payment_processor.handler)


def faults_of(result: Result, rate: int) -> list[str]:
    """Return what of the promise does not hold, each a sentence."""
    found = []
    if result.ends != {PaymentStatus.COMPLETED.value: result.payments}:
        found.append(f"not all are completed: {dict(result.ends)}")
    if result.charged != result.payments:
        found.append(f"{result.charged} charges for {result.payments} payments")
    if result.dead:
        found.append(f"{result.dead} messages in the dead-letter queue")
    if result.per_second < _SHARE * rate:
        found.append(f"{result.per_second:.1f} of {rate} a second")
    if any(result.stuck):
        found.append(f"payments that only wait are said to be stuck: {result.stuck}")
    return found


_SHARE: Final = 0.9
"""How much of the allowed rate must be used."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if the promise does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.pace",
        description="Work off a backlog at a processor that takes only so many payments a second.",
    )
    parser.add_argument("--payments", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=STRIPE_RATE, help="a second (%(default)s)")
    parser.add_argument("--api", action="store_true", help="by API; else as rows of a file")
    options = parser.parse_args(arguments)
    since = time.monotonic()
    result = Backlog(options.payments, options.rate, by_api=options.api).run()
    faults = faults_of(result, options.rate)
    sys.stdout.write(
        f"{result.payments:,} {'payments by API' if options.api else 'rows'} at"
        f" {options.rate} a second: {dict(result.ends)} in {result.seconds:,.0f} virtual seconds,"
        f" {result.per_second:.2f} a second ({result.per_second / options.rate:.1%});"
        f" {result.busy} answers of 429, {result.dead} dead letters, {result.workflows} workflows,"
        f" stuck in {len(result.stuck)} sweeps: {sum(result.stuck)}."
        f" ({time.monotonic() - since:.0f} s)\n"
    )
    for each in faults:
        sys.stdout.write(f"{each}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
