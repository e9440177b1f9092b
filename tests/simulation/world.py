"""One run: a seed becomes a world, the world runs, drains, and is held against the invariants."""

import random as global_random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from inspect import unwrap
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from unittest.mock import patch

import botocore.endpoint

import api_handler
import batch_processor
import event_publisher
import payment_processor
import payments.aws.queue
import payments.telemetry.metrics
from payments.aws.batches import BatchStore
from payments.aws.dry_runs import DryRunStore
from payments.aws.items import deserialize
from payments.aws.keys import SANDBOX_PREFIX
from payments.aws.lists import PaymentLists
from payments.aws.objects import ObjectStore
from payments.aws.operations import OperationStore, operation_of
from payments.aws.payments import PaymentStore, Tables
from payments.aws.queue import MessageQueue, PaymentQueues
from payments.aws.sandbox_ledger import SandboxLedger, SandboxOperationLedger
from payments.aws.topic import Topic
from payments.aws.workflows import Workflow
from payments.batches.progress import BatchProgress, NotPaidRow
from payments.batches.steps import BatchProcessing, Portions
from payments.core.audit import AuditRecord
from payments.core.clock import utc_text
from payments.core.money import EXPONENTS
from payments.core.operation import Operation, OperationRef, OperationStatus
from payments.core.payment import HistoryEntry, Payment, PaymentStatus
from payments.core.review import NO_REVIEW, ReviewLimits
from payments.flows.charge import Charging
from payments.flows.delivery import Delivery, OperationDelivery
from payments.flows.intake import PaymentIntake
from payments.flows.listing import PaymentListing
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.refund_rows import RefundRowDelivery
from payments.flows.review import RefundReviews, Reviews, WaitingList
from payments.flows.sweep import (
    STUCK_AFTER,
    ExpirySweep,
    OperationSweep,
    PaymentSweep,
    RefundReviewSweep,
)
from payments.gateways.sandbox import SandboxGateway
from payments.gateways.sandbox_operations import SandboxOperations
from payments.runtime import api_handler as api_runtime
from payments.runtime import batch_processor as batch_runtime
from payments.runtime import event_publisher as publisher_runtime
from payments.runtime import payment_processor as payment_runtime
from payments.runtime.api_handler import Services
from payments.runtime.event_publisher import Announcing
from payments.runtime.payment_processor import Deliveries
from payments.telemetry.logs import logger
from tests.simulation import books
from tests.simulation.actors import (
    BATCH_BUCKET,
    Asynchronous,
    Clients,
    OnCall,
    Poller,
    Sweeps,
    Uploads,
    operation_name,
    sent_to,
    subject_of,
)
from tests.simulation.asks import draw_asks, draw_races, draw_reviews, make_some_manual
from tests.simulation.coverage import Coverage
from tests.simulation.dynamodb import InMemoryDynamoDB, Item
from tests.simulation.faults import Fault, FaultPlan
from tests.simulation.gateway import Charge, Habits, SimulatedGateway
from tests.simulation.invariants import violations_of
from tests.simulation.invariants_of_operations import asked_and_answered
from tests.simulation.lookalikes import rename_some
from tests.simulation.minimise import NOTHING, Cut
from tests.simulation.processes import Processes
from tests.simulation.queue import Message, SimulatedQueue
from tests.simulation.quotas import RateQuotas
from tests.simulation.scenario import Scenario, Upload, delete_some, draw_scenario
from tests.simulation.scheduler import Scheduler, SimulatorError
from tests.simulation.sdk import Quotas, SdkPool
from tests.simulation.services import ObjectService, QueueService, TopicService, WorkflowService
from tests.simulation.stream import Stream, StreamedTables
from tests.simulation.watch import Watch
from tests.simulation.wire import Service, Wire
from tests.simulation.workflow import Execution, StateMachine, batch_machine, payment_machine

if TYPE_CHECKING:
    from payments.gateways.port import OperationGateway, PaymentGateway

TABLES: Final = Tables(
    payments="payments", processing_status="status", audit_logs="audit", operations="operations"
)
KEYS: Final = {
    TABLES.payments: ("payment_id",),
    TABLES.processing_status: ("entity_id", "sequence"),
    TABLES.audit_logs: ("payment_id", "sequence"),
    TABLES.operations: ("payment_id", "operation"),
}
RESULTS_BUCKET: Final = "results"
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_RANGE_BYTES: Final = (30, 80, 300)
_PLAN_BYTES: Final = (1, 200, 10**9)
_REPORTED_ROWS: Final = (1, 10**9)
_CALM_AFTER_SECONDS: Final = 12 * 3600.0
"""When faults end at the latest: what still is under way then, comes to its end in peace."""
_ON_CALL_EVERY_SECONDS: Final = 4 * 3600.0
_TASK_SECONDS: Final = 3600.0
_DRAIN_ROUNDS: Final = 20

_SHARE_WITH_OPERATIONS: Final = 0.6
_SHARE_WITH_REVIEWS: Final = 0.35
_REVIEW_ABOVE: Final = 600_000
_DAYS_AFTER: Final = (1.1, 4.5, 9.0, 41.0)
"""When sweeps look after what comes later: reviews end after 3 days, authorisations after 7, and
refunds may come back for 31."""
_FAULTS_OF_A_DAY_SECONDS: Final = 3600.0

_SWEEPS_WHILE_FAULTS_GO_ON: Final = (0, 2, 6, 30)

type MakeDatabase = Callable[[dict[str, tuple[str, ...]], Callable[[], float]], Service]


@dataclass(slots=True)
class Environment:
    """What one execution environment of a function holds."""

    quotas: Quotas = field(default_factory=Quotas)
    services: Services | None = None
    deliveries: Deliveries | None = None
    charging: Charging | None = None
    sweep: PaymentSweep | None = None
    announcing: Announcing | None = None
    performing: Performing | None = None
    operation_sweep: OperationSweep | None = None
    expiry_sweep: ExpirySweep | None = None
    refund_review_sweep: RefundReviewSweep | None = None
    batches: BatchProcessing | None = None
    batch_workflow: Workflow | None = None


@dataclass(slots=True)
class EndState:
    """What is there after a run has drained."""

    payments: dict[str, Payment] = field(default_factory=dict)
    history: dict[str, list[HistoryEntry]] = field(default_factory=dict)
    audit: dict[str, list[AuditRecord]] = field(default_factory=dict)
    batches: dict[str, BatchProgress] = field(default_factory=dict)
    not_paid: dict[str, list[NotPaidRow]] = field(default_factory=dict)
    books: list[str] = field(default_factory=list)
    """What does not hold in the books."""
    operations: dict[OperationRef, Operation] = field(default_factory=dict)


class Outcome(NamedTuple):
    """What one run came to."""

    seed: int
    violations: tuple[str, ...]
    digest: str
    trace: tuple[str, ...]
    faults: Counter[Fault]
    coverage: Coverage
    strikes: int
    operations: int
    parts: int
    payments: int
    virtual_seconds: float


class World:
    """Everything of one run, wired together. ``database`` replaces the in-memory DynamoDB."""

    def __init__(  # noqa: PLR0915 - a world has as many parts
        self, seed: int, database: MakeDatabase = InMemoryDynamoDB, cut: Cut = NOTHING
    ) -> None:
        random = Random(seed)
        # Of their own, so that what a cut leaves out changes little else.
        for_faults, for_scenario = Random(random.random()), Random(random.random())
        self.seed = seed
        self.random = random
        self._deadly = random.random() < 0.4
        self.scheduler = Scheduler(random)
        self.faults = FaultPlan(
            for_faults, deadly=self._deadly, without=cut.kinds, skipped=cut.strikes
        )
        scheduler, faults = self.scheduler, self.faults
        sandbox = random.random() < 0.25
        self.scenario: Scenario = draw_scenario(
            for_scenario, sandbox=sandbox, crowded=faults.purge_at is not None
        )
        delete_some(Random(f"deletions of {seed}"), self.scenario)
        rename_some(Random(f"ids of {seed}"), self.scenario, bucket=BATCH_BUCKET)
        # Of its own, so that a world without operations is what it was before there were any.
        for_operations = Random(f"operations of {seed}")
        self.has_operations = for_operations.random() < _SHARE_WITH_OPERATIONS
        self.review_above: int | None = None
        """Above which amount, in minor units, a payment waits for a second person."""
        if self.has_operations:
            self._add_operations(for_operations, sandbox=sandbox)
        self.scenario = self.scenario.without(cut.parts)
        self.watch = Watch(TABLES, self.items)
        self.announcements: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.unheard_deaths: list[str] = []
        self.counted: Counter[tuple[str, PaymentStatus]] = Counter()
        """How often metrics counted that a payment reached a status."""
        self.operations_counted: Counter[tuple[OperationRef, OperationStatus]] = Counter()
        self.kept_waiting: list[str] = []
        """What had not ended where messages alone must bring everything to its end."""
        self.end = EndState()
        self._quotas_of_readers = Quotas()
        self.processes = Processes(scheduler, faults, random, self._make_environment)
        dead: list[Message] = []
        self.queue = SimulatedQueue(scheduler, faults, random, prefix="m", dead=dead)
        self.rows = SimulatedQueue(scheduler, faults, random, prefix="r", dead=dead)
        self._range_bytes = random.choice(_RANGE_BYTES)
        self._plan_bytes = random.choice(_PLAN_BYTES)
        self._reported_rows = random.choice(_REPORTED_ROWS)
        self.machine, self.batches = (
            StateMachine(
                machine,
                scheduler,
                faults,
                random,
                self.processes,
                invoke=lambda function, payload: self.processes.invoke(
                    function, _HANDLERS[function], payload
                ),
                publish=lambda message, about: self.announcements.append((message, about)),
                set_aside=self.queue.send_to_dead,
                on_death=on_death,
            )
            for machine, on_death in (
                (payment_machine(), self._telling("payment-processor")),
                (batch_machine(), self._telling("batch-processor")),
            )
        )
        self.objects = ObjectService()
        self.stream = Stream(
            scheduler, faults, random, self.processes, _HANDLERS["event-publisher"]
        )
        self.database = database(KEYS, lambda: self._moment().timestamp())
        if isinstance(self.database, InMemoryDynamoDB):
            self.database.on_store = self.watch.written
        self.sqs = QueueService(
            {"payment-events": self.queue, "payment-rows": self.rows}, "payment-events-dlq"
        )
        honours_tokens = random.random() < 0.5
        self.wire = Wire(
            scheduler,
            faults,
            random,
            self.processes,
            self._services(),
            honours_tokens=honours_tokens,
            quotas=RateQuotas.draw(Random(f"quotas of {seed}")),
        )
        self.gateway = None
        if not sandbox:
            self.gateway = SimulatedGateway(
                scheduler,
                faults,
                random,
                self.processes,
                habits=Habits.draw(for_operations) if self.has_operations else Habits(),
                utc=lambda seconds: utc_text(_START + timedelta(seconds=seconds)),
            )
        self.clients = Clients(scheduler, faults, random, self.processes, _HANDLERS["api-handler"])
        self.asynchronous = Asynchronous(scheduler, faults, random, self.processes, _HANDLERS)
        self.uploads = Uploads(scheduler, faults, self.objects, self.queue, self.asynchronous)
        self.pollers = [
            Poller(
                scheduler,
                faults,
                random,
                self.processes,
                queue,
                _HANDLERS["payment-processor"],
                name=name,
            )
            for name, queue in (("payment-events", self.queue), ("payment-rows", self.rows))
        ]
        self.sweeping = Sweeps(
            scheduler,
            faults,
            self.processes,
            _HANDLERS["payment-processor"],
            due=self._due,
            is_needed=lambda: self.has_operations,
            queues=(self.queue, self.rows),
        )
        self.on_call = OnCall(self.queue, self.rows, self.uploads, self.batches)

    def _services(self) -> dict[str, Service]:
        return {
            "dynamodb": StreamedTables(
                self.database, TABLES.audit_logs, self.stream, self._committed
            ),
            "sqs": self.sqs,
            "sns": TopicService(lambda message, about: self.announcements.append((message, about))),
            "sfn": WorkflowService(
                {payment_machine().name: self.machine, batch_machine().name: self.batches}
            ),
            "s3": self.objects,
        }

    def _add_operations(self, random: Random, *, sandbox: bool) -> None:
        make_some_manual(random, self.scenario)
        self.scenario.asks = draw_asks(random, self.scenario, sandbox=sandbox)
        self.scenario.asks += draw_races(Random(f"races of {self.seed}"), self.scenario.asks)
        if random.random() < _SHARE_WITH_REVIEWS:
            self.review_above = _REVIEW_ABOVE
            self.scenario.asks += draw_reviews(random, self.scenario, above=_REVIEW_ABOVE)

    @property
    def sweeps(self) -> bool:
        """Whether something must put payments back on the queue: only where executions die.

        In all other worlds the messages alone must bring every payment to its end.
        """
        return self._deadly or self.machine.ran_out_of_retries

    def now(self) -> str:
        """Return the virtual time as the code under test writes times."""
        return utc_text(self._moment())

    def _moment(self) -> datetime:
        return _START + timedelta(seconds=self.scheduler.now)

    def run(self) -> list[str]:
        """Run to the end and return the violations, each a sentence."""
        _SDK.start_run(self.wire.send, self._quotas)
        with self._in_place_of_the_real_one():
            self._spawn_actors()
            self.scheduler.run_until_idle(_CALM_AFTER_SECONDS)
            self.faults.active = False
            self._drain()
            if self.has_operations:
                self._live_on()
            self._in_task("read the end state", self._read_end_state)
            blocked = self.scheduler.blocked
            self.scheduler.close()
        for name, crash in self.scheduler.crashes:
            raise SimulatorError(f"seed {self.seed}: {name} crashed: {crash!r}") from crash
        if self.scheduler.is_exhausted or blocked:
            return [f"the run never came to rest; still at work: {blocked}"]
        return violations_of(self)

    def _quotas(self) -> Quotas:
        process = self.scheduler.current.context
        return self._quotas_of_readers if process is None else process.environment.quotas

    def charges(self) -> list[Charge]:
        """Return every charge that was made, however often."""
        if self.gateway is not None:
            return self.gateway.charges
        charged = [
            self.end.payments[item["entity_id"]["S"].removeprefix(SANDBOX_PREFIX)]
            for item in self.items(TABLES.processing_status)
            if item["entity_id"]["S"].startswith(SANDBOX_PREFIX)
            and "reference" in item.get("outcome", {"M": {}})["M"]
        ]
        return [
            Charge(payment.payment_id, payment.amount_minor, payment.currency)
            for payment in charged
        ]

    def _spawn_actors(self) -> None:
        spawn, clients, scenario = self.scheduler.spawn, self.clients, self.scenario
        for poller in self.pollers:
            spawn(f"poller of {poller.name}", poller.poll, daemon=True)
        spawn("stream", self.stream.read, daemon=True)
        for number, submission in enumerate(scenario.submissions):
            spawn(f"client {number}", partial(clients.submit, submission))
        for at, payment_id in scenario.readers:
            spawn(f"reader {payment_id}", partial(clients.read, at, payment_id))
        for at, body in scenario.nonsense:
            spawn("fool", partial(clients.post_nonsense, at, body))
        if self.faults.purge_at is not None:
            self.scheduler.call_later(self.faults.purge_at, self._purge)
        for at, body in scenario.poison:
            self.scheduler.call_later(at, partial(self.queue.send, body))
        if self._deadly:
            sweeps = self.random.choice(_SWEEPS_WHILE_FAULTS_GO_ON)
            spawn("schedule", partial(self.sweeping.run, sweeps))
        for upload in scenario.uploads:
            spawn(upload.key, partial(self._upload, upload))
        self._spawn_asks(None)

    def _spawn_asks(self, day: float | None) -> None:
        for number, ask in enumerate(self.scenario.asks):
            if ask.day == day:
                self.scheduler.spawn(f"client {ask.verb} {number}", partial(self.clients.ask, ask))

    def _live_on(self) -> None:
        """Let days go by: refunds come back, authorisations expire, clients ask once more."""
        if not self.sweeps:
            self.kept_waiting = self._still_open()
        for day in _DAYS_AFTER:
            moment = max(0.0, day * 86400.0 - self.scheduler.now)
            self.scheduler.call_later(moment, lambda: None)
            self.scheduler.run_until_idle(moment + 1)
            self.faults.active = self.random.random() < 0.5
            self._spawn_asks(day)
            self.scheduler.spawn(f"schedule of day {day}", partial(self.sweeping.run, 2))
            self.scheduler.run_until_idle(_FAULTS_OF_A_DAY_SECONDS)
            self.faults.active = False
            self._drain(always_sweep=True)

    def _still_open(self) -> list[str]:
        """Return what somebody was promised and messages alone have not brought to its end.

        Of a decision the message may be lost, if who decided was not answered: the sweep sends it.
        """
        is_open = {
            item["payment_id"]["S"]
            for item in self.items(TABLES.payments)
            if PaymentStatus(item["status"]["S"]).is_open
        }
        payments = {content.payment_id for content, _ in self.clients.observations.accepted}
        operations = {each.ref for each in self._stored_operations() if each.status.is_open}
        return [
            *(f"{each} was accepted and is still open" for each in sorted(is_open & payments)),
            *(
                f"{each} was accepted and is still open"
                for each in sorted(operations & asked_and_answered(self))
            ),
        ]

    def _purge(self) -> None:
        if self.faults.active:
            self.faults.struck[Fault.QUEUE_PURGED] += 1
            self.queue.purge()

    def _upload(self, upload: Upload) -> None:
        batch = self.uploads.upload(upload)
        self.clients.follow_batch(batch.batch_id)

    def _drain(self, *, always_sweep: bool = False) -> None:
        """Let on-call and the sweep do their work until there is none."""
        for _ in range(_DRAIN_ROUNDS):
            work = self.on_call.empty_dead_letters() + self.on_call.restart_stopped_batches()
            if self.sweeps or always_sweep:
                work += self._in_task("sweep", self._sweep_in_calm)
            # A batch waits for payments that may wait for on-call: look again while it does.
            self.scheduler.run_until_idle(_ON_CALL_EVERY_SECONDS)
            if not work and self.scheduler.is_at_rest:
                return

    def _sweep_in_calm(self) -> int:
        self.scheduler.sleep(STUCK_AFTER.total_seconds() + 1)
        return self.sweeping.sweep()

    def _due(self) -> set[str]:
        """Return the names of the payments and operations that a sweep finds, were it now."""
        before, now = utc_text(self._moment() - STUCK_AFTER), self.now()
        due = {payment_id for payment_id, since in self._open().items() if since < before}
        for item in self.items(TABLES.operations):
            if "due_at" in item and item["due_at"]["S"] < now:
                kind, _, operation_id = item["operation"]["S"].partition("#")
                due.add(operation_name(item["payment_id"]["S"], kind, operation_id))
        return due

    def _open(self) -> dict[str, str]:
        """Return since when each open payment has been accepted, by its id."""
        return {
            item["payment_id"]["S"]: item["created_at"]["S"]
            for item in self.items(TABLES.payments)
            if PaymentStatus(item["status"]["S"]).is_open
            or (item["status"]["S"] == "IN_REVIEW" and item["review"]["S"] != "required")
        }

    def _open_subjects(self) -> set[str]:
        """Return the names of all payments and operations that are open."""
        return set(self._open()) | {
            operation_name(*each.ref) for each in self._stored_operations() if each.status.is_open
        }

    def _telling(self, function: str) -> Callable[[Execution], None]:
        """Let EventBridge tell a function of deaths, as often as Lambda tries by itself."""

        def tell(execution: Execution) -> None:
            event = {
                "source": "aws.states",
                "detail-type": "Step Functions Execution Status Change",
                "detail": {
                    "name": execution.name,
                    "status": execution.status,
                    "input": execution.input,
                },
            }
            name = f"death of {execution.name}"
            self.scheduler.spawn(name, lambda: self._tell(function, execution.subject, event))

        return tell

    def _tell(self, function: str, subject: str, event: dict[str, Any]) -> None:
        queues = (self.queue, self.rows)
        sent = sent_to(queues)
        if not self.asynchronous.invoke(function, event) or function == "batch-processor":
            return
        told = any(subject_of(body) == subject for body in sent_to(queues) - sent)
        if not told and subject in self._open_subjects():
            self.unheard_deaths.append(f"{subject} was not put back when its workflow died")

    def _committed(self, request: dict[str, Any]) -> None:
        if isinstance(self.database, InMemoryDynamoDB):
            self.watch.committed(request)

    def _read_end_state(self) -> int:
        store = self._store()
        for payment in self._stored_payments():
            self.end.payments[payment.payment_id] = payment
            self.end.history[payment.payment_id] = store.history(payment.payment_id)
            self.processes.trace("ends as", payment.payment_id, str(payment))
        self.end.operations = {each.ref: each for each in self._stored_operations()}
        for item in self.items(TABLES.audit_logs):
            record = deserialize(item)
            self.end.audit.setdefault(record["payment_id"], []).append(record)
        self.end.books = books.faults_of(self.items, TABLES, self._moment())
        batches = BatchStore(_SDK.client("dynamodb"), TABLES.processing_status)
        for _, batch in self.uploads.done:
            progress = batches.progress(batch.batch_id)
            if progress is not None:
                self.end.batches[batch.batch_id] = progress
            self.end.not_paid[batch.batch_id] = list(batches.not_paid(batch.batch_id))
            self.processes.trace("ends as", batch.batch_id, str(progress))
        return 0

    def _count(self, payment: Payment) -> None:
        self.counted[payment.payment_id, payment.status] += 1

    def _count_operation(self, operation: Operation, _payment: Payment) -> None:
        self.operations_counted[operation.ref, operation.status] += 1

    def _stored_operations(self) -> list[Operation]:
        return [operation_of(deserialize(item)) for item in self.items(TABLES.operations)]

    def _stored_payments(self) -> list[Payment]:
        store = self._store()
        found = [store.get(item["payment_id"]["S"]) for item in self.items(TABLES.payments)]
        return [payment for payment in found if payment is not None]

    def _store(self) -> PaymentStore:
        return PaymentStore(_SDK.client("dynamodb"), TABLES)

    def items(self, table: str) -> list[Item]:
        """Return every item of a table, in wire form, in the order of their keys."""
        items: list[Item] = self.database.answer("Scan", {"TableName": table})["Items"]
        return items

    def _in_task(self, name: str, body: Callable[[], int]) -> int:
        results: list[int] = []
        self.scheduler.spawn(name, lambda: results.append(body()))
        self.scheduler.run_until_idle(_TASK_SECONDS)
        # Nothing comes of it only if the task crashed or the run was cut short.
        return results[0] if results else 0

    def _make_environment(self, function: str) -> Environment:
        """Compose what a function needs as ``runtime`` does, with the clock of this world."""
        sleep = self.processes.sleep
        events, rows, dead_letters, announcements = (
            MessageQueue(_SDK.client("sqs"), f"https://queue/{name}", sleep=sleep)
            for name in (
                "payment-events",
                "payment-rows",
                "payment-events-dlq",
                "payment-events-dlq",
            )
        )
        dynamodb = _SDK.client("dynamodb")
        if function == "event-publisher":
            topic = Topic(_SDK.client("sns"), "payment-notifications")
            return Environment(announcing=Announcing(topic=topic, dead_letters=announcements))
        if function == "batch-processor":
            batches = BatchProcessing(
                ObjectStore(_SDK.client("s3")),
                rows,
                BatchStore(dynamodb, TABLES.processing_status),
                DryRunStore(
                    dynamodb,
                    payments_table=TABLES.payments,
                    processing_status_table=TABLES.processing_status,
                    operations_table=TABLES.operations,
                    sleep=sleep,
                ),
                RESULTS_BUCKET,
                clock=self.now,
                portions=Portions(
                    range_bytes=self._range_bytes,
                    plan_bytes=self._plan_bytes,
                    reported_rows=self._reported_rows,
                ),
            )
            workflow = Workflow(_SDK.client("stepfunctions"), batch_machine().arn)
            return Environment(batches=batches, batch_workflow=workflow)
        store = PaymentStore(dynamodb, TABLES, sleep=sleep)
        queues = PaymentQueues(events, rows)
        if function != "payment-processor":
            batch_store = BatchStore(dynamodb, TABLES.processing_status)
            operations = OperationStore(dynamodb, TABLES, sleep=sleep)
            lists = PaymentLists(dynamodb, TABLES.payments)
            return Environment(
                services=Services(
                    intake=PaymentIntake(store, queues, self.now, self._count, self._limits),
                    operations=self._operation_intake(store, operations, queues),
                    listing=PaymentListing(lists, batch_store),
                    batches=batch_store,
                    reviews=Reviews(store, queues, self.now),
                    refund_reviews=RefundReviews(store, operations, queues, self.now),
                    waiting=WaitingList(store, operations, lists, self.now),
                )
            )
        ledger = SandboxLedger(dynamodb, TABLES.processing_status)
        workflow = Workflow(_SDK.client("stepfunctions"), payment_machine().arn)
        gateway: PaymentGateway = self.gateway or SandboxGateway(ledger, sleep=sleep)
        charging = Charging(store, gateway, self.now, self._count)
        operations = OperationStore(dynamodb, TABLES, sleep=sleep)
        operation_gateway: OperationGateway = self.gateway or SandboxOperations(
            SandboxOperationLedger(dynamodb, TABLES.processing_status)
        )
        performing = Performing(
            store, operations, operation_gateway, self.now, self._count_operation, self._count
        )
        operation_delivery = OperationDelivery(performing, workflow)
        return Environment(
            deliveries=Deliveries(
                delivery=Delivery(store, charging, workflow, self.now, self._count, self._limits),
                operations=operation_delivery,
                refund_rows=RefundRowDelivery(
                    self._operation_intake(store, operations, queues),
                    operations,
                    operation_delivery,
                    self.now,
                ),
                queues=queues,
                dead_letters=dead_letters,
                events=events,
                rows=rows,
            ),
            charging=charging,
            sweep=PaymentSweep(store, queues, self.now, self._count),
            performing=performing,
            operation_sweep=OperationSweep(operations, queues, self.now),
            refund_review_sweep=RefundReviewSweep(store, operations, self.now),
            expiry_sweep=ExpirySweep(
                store,
                operations,
                self._operation_intake(store, operations, queues),
                self.now,
            ),
        )

    @property
    def _limits(self) -> ReviewLimits:
        if self.review_above is None:
            return NO_REVIEW
        return ReviewLimits(dict.fromkeys(EXPONENTS, self.review_above))

    def _operation_intake(
        self, store: PaymentStore, operations: OperationStore, queues: PaymentQueues
    ) -> OperationIntake:
        return OperationIntake(
            store, operations, queues, self.now, self._count_operation, self._count
        )

    @contextmanager
    def _in_place_of_the_real_one(self) -> Iterator[None]:
        """Make the code under test see this world's services, clock, sleep and chance."""

        def service(name: str) -> Callable[[], Any]:
            return lambda: getattr(self.processes.environment, name)

        state = global_random.getstate()
        with ExitStack() as stack:
            for target, name, replacement in (
                (api_runtime, "services", service("services")),
                (payment_runtime, "deliveries", service("deliveries")),
                (payment_runtime, "charging", service("charging")),
                (payment_runtime, "payment_sweep", service("sweep")),
                (payment_runtime, "performing", service("performing")),
                (payment_runtime, "operation_sweep", service("operation_sweep")),
                (payment_runtime, "expiry_sweep", service("expiry_sweep")),
                (payment_runtime, "refund_review_sweep", service("refund_review_sweep")),
                (publisher_runtime, "announcing", service("announcing")),
                (batch_runtime, "batch_processing", service("batches")),
                (batch_runtime, "batch_workflow", service("batch_workflow")),
                (payments.telemetry.metrics, "count", lambda _: None),
                (botocore.endpoint, "time", SimpleNamespace(sleep=self.processes.sleep)),
                (payments.aws.queue, "ThreadPoolExecutor", InlineExecutor),
                (payment_processor, "_pool", InlineExecutor(1)),
            ):
                stack.enter_context(patch.object(target, name, replacement))
            level = logger.log_level
            stack.callback(logger.setLevel, level)
            logger.setLevel("CRITICAL")
            # The jitter of SDK and adapters is drawn from the module's own generator.
            global_random.seed(self.random.getrandbits(64))
            try:
                yield
            finally:
                global_random.setstate(state)


class InlineExecutor:
    """A thread pool whose work is done at once by whoever submits it."""

    def __init__(self, _max_workers: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Do the work and return its outcome."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:  # noqa: BLE001 - it is raised again where the result is read
            future.set_exception(error)
        return future


def simulate(seed: int, database: MakeDatabase = InMemoryDynamoDB, cut: Cut = NOTHING) -> Outcome:
    """Run one seed."""
    world = World(seed, database, cut)
    violations = world.run()
    gateway_calls = world.gateway.calls if world.gateway else 0
    return Outcome(
        seed=seed,
        violations=tuple(violations),
        digest=world.processes.log.digest,
        trace=tuple(world.processes.log.lines),
        faults=world.faults.struck,
        coverage=world.processes.coverage,
        strikes=world.faults.strikes_drawn,
        parts=world.scenario.parts + len(cut.parts),
        operations=world.wire.requests + gateway_calls + len(world.announcements),
        payments=len(world.end.payments),
        virtual_seconds=world.scheduler.now,
    )


_SDK: Final = SdkPool()

# Without their decorators, which only log and measure.
_HANDLERS: Final[dict[str, Callable[[dict[str, Any], Any], Any]]] = {
    "api-handler": unwrap(api_handler.handler),
    "payment-processor": unwrap(payment_processor.handler),
    "batch-processor": unwrap(batch_processor.handler),
    "event-publisher": unwrap(event_publisher.handler),
}
