"""Who acts on the system from outside: clients, uploaders, the queue's poller, and on-call."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final
from urllib.parse import quote_plus

from payments.batches.batch import Batch, ObjectVersion
from payments.core.faults import InvalidMessage
from payments.core.messages import decode_message
from payments.core.payment import API
from tests.simulation.asks import Ask, Person
from tests.simulation.faults import Fault, FaultPlan
from tests.simulation.processes import Handler, InvocationFailed, Processes
from tests.simulation.queue import Message, SimulatedQueue
from tests.simulation.scenario import Content, Submission, Upload
from tests.simulation.scheduler import Scheduler, Signal
from tests.simulation.services import ObjectService
from tests.simulation.workflow import StateMachine

BATCH_BUCKET: Final = "batches"
_DELIVERIES_AT_ONCE: Final = 5
_ASYNC_TRIES: Final = 3
_ASYNC_DELAY_SECONDS: Final = 60.0
_GLANCES: Final = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got to see."""

    status: int
    body: dict[str, Any]


@dataclass(slots=True)
class Observations:
    """What clients saw, for the invariants."""

    accepted: list[tuple[Content, Answer]] = field(default_factory=list)
    refused: list[tuple[Content, Answer]] = field(default_factory=list)
    seen: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    batches_seen: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)
    asked: list[tuple[Ask, Answer]] = field(default_factory=list)
    """What was asked of payments later, with every answer below 500 that was heard."""


class Clients:
    """Clients of the API: they ask again after a 5xx or no answer, with the same body."""

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        random: Random,
        processes: Processes,
        handler: Handler,
    ) -> None:
        self.observations = Observations()
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._processes = processes
        self._handler = handler
        self._requests = 0

    def submit(self, submission: Submission) -> None:
        """Post a payment until there is an answer or no patience left."""
        self._scheduler.sleep(submission.at)
        content = submission.content
        amount = content.amount if self._random.random() < 0.5 else json.dumps(content.amount)
        capture = "" if content.capture == "automatic" else f', "capture": "{content.capture}"'
        body = (
            f'{{"payment_id": "{content.payment_id}", "amount": {amount},'
            f' "currency": "{content.currency}"{capture}}}'
        )
        for _ in range(submission.patience):
            answer = self._call("POST", body=body, by=submission.by)
            if answer is not None and answer.status < 500:
                self._note(content, answer)
                return
            self._scheduler.sleep(self._random.uniform(0, 10))

    def ask(self, ask: Ask) -> None:
        """Ask something of a payment until there is an answer that stays, or no patience left."""
        self._scheduler.sleep(ask.at)
        for _ in range(ask.patience):
            answer = self._call(
                "POST", payment_id=ask.payment_id, verb=ask.verb, body=ask.body, by=ask.by
            )
            if answer is not None and answer.status < 500:
                self.observations.asked.append((ask, answer))
                if not _may_change(answer):
                    return
            self._scheduler.sleep(self._random.random() * self._random.choice(_BETWEEN_ASKS))

    def post_nonsense(self, at: float, body: str) -> None:
        """Post what is no payment: 400, never accepted, never 5xx but for lack of an answer."""
        self._scheduler.sleep(at)
        answer = self._call("POST", body=body)
        if answer is not None and answer.status not in {400, 503}:
            self.observations.surprises.append(f"{body!r} was answered {answer.status}")

    def read(self, at: float, payment_id: str) -> None:
        """Look at a payment a few times."""
        self._scheduler.sleep(at)
        for _ in range(_GLANCES):
            answer = self._call("GET", payment_id=payment_id)
            if answer is not None and answer.status == 200:
                self.observations.seen.setdefault(payment_id, []).append(answer.body)
            elif answer is not None and answer.status not in {404, 503}:
                self.observations.surprises.append(f"GET {payment_id}: {answer}")
            self._scheduler.sleep(self._random.uniform(0, 20))

    def follow_batch(self, batch_id: str) -> None:
        """Look at a batch a few times."""
        for _ in range(_GLANCES):
            answer = self._call("GET", batch_id=batch_id)
            if answer is not None and answer.status == 200:
                self.observations.batches_seen.setdefault(batch_id, []).append(answer.body)
            elif answer is not None and answer.status not in {404, 503}:
                self.observations.surprises.append(f"GET {batch_id}: {answer}")
            self._scheduler.sleep(self._random.uniform(0, 20))

    def _note(self, content: Content, answer: Answer) -> None:
        if answer.status in {200, 202}:
            self.observations.accepted.append((content, answer))
        elif answer.status == 409:
            self.observations.refused.append((content, answer))
        else:
            self.observations.surprises.append(f"{content} was answered {answer}")

    def _call(
        self,
        method: str,
        *,
        body: str = "",
        payment_id: str = "",
        batch_id: str = "",
        verb: str = "",
        by: Person | None = None,
    ) -> Answer | None:
        self._requests += 1
        path, resource, parameters = "/payments", "/payments", {}
        if payment_id:
            parameters = {"payment_id": payment_id}
            end = f"/{verb}" if verb else ""
            path, resource = f"/payments/{payment_id}{end}", f"/payments/{{payment_id}}{end}"
        if batch_id:
            parameters = {"batch_id": batch_id}
            path, resource = f"/batches/{batch_id}", "/batches/{batch_id}"
        event = {
            "httpMethod": method,
            "path": path,
            "resource": resource,
            "headers": {"Content-Type": "application/json"},
            "body": body,
            "isBase64Encoded": False,
            "pathParameters": parameters or None,
            "requestContext": {
                "requestId": f"request-{self._requests}",
                "path": f"/sim{path}",
                "identity": {} if by is None else {"user": by.user, "userArn": by.arn},
            },
        }
        if self._faults.is_down("lambda", self._scheduler.now):
            return Answer(503, {})
        if self._faults.strikes(Fault.CLIENT_REQUEST_LOST):
            return None
        if self._faults.strikes(Fault.CLIENT_IMPATIENT):
            self._scheduler.spawn(f"unread {self._requests}", lambda: self._unread(event))
            return None
        try:
            response = self._processes.invoke("api-handler", self._handler, event)
        except InvocationFailed:
            return Answer(503, {})
        answer = Answer(response["statusCode"], json.loads(response["body"]))
        request_id = event["requestContext"]["requestId"]  # type: ignore[index]  # it is a dict
        self._processes.trace(method, f"{request_id} {path}", str(answer.status))
        return None if self._faults.strikes(Fault.CLIENT_ANSWER_LOST) else answer

    def _unread(self, event: dict[str, Any]) -> None:
        # The client has hung up: nobody learns what came of it.
        with suppress(InvocationFailed):
            self._processes.invoke("api-handler", self._handler, event)


def _may_change(answer: Answer) -> bool:
    """Say whether the same request may be answered otherwise later: what it needs is not there yet."""
    codes = {error["code"] for error in answer.body.get("errors", ())}
    return answer.status == 404 or bool(codes & _PASSING_REASONS)


_BETWEEN_ASKS: Final = (10.0, 60.0, 1800.0)
_PASSING_REASONS: Final = {"payment_state", "operation_pending", "not_in_review"}


class Asynchronous:
    """Lambda's own queue of events for functions that nobody waits for."""

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        random: Random,
        processes: Processes,
        handlers: Mapping[str, Handler],
    ) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._processes = processes
        self._handlers = handlers

    def invoke(self, function: str, event: dict[str, Any]) -> bool:
        """Invoke a function up to three times; return whether it handled the event."""
        for attempt in range(_ASYNC_TRIES):
            while self._faults.is_down("lambda", self._scheduler.now):
                self._scheduler.sleep(self._random.uniform(1, 300))
            self._scheduler.sleep(self._random.uniform(0, 2) + _ASYNC_DELAY_SECONDS * attempt)
            try:
                self._processes.invoke(function, self._handlers[function], event)
            except InvocationFailed:
                continue
            return True
        return False


class Uploads:
    """S3 and its asynchronous invocations of the batch function."""

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        objects: ObjectService,
        queue: SimulatedQueue,
        asynchronous: Asynchronous,
    ) -> None:
        self.done: list[tuple[Upload, Batch]] = []
        self._scheduler = scheduler
        self._faults = faults
        self._objects = objects
        self._queue = queue
        self._asynchronous = asynchronous

    def upload(self, upload: Upload) -> Batch:
        """Put a file and return what it becomes; its event comes at least once."""
        self._scheduler.sleep(upload.at)
        version = self._objects.put(BATCH_BUCKET, upload.key, upload.body)
        batch = Batch(ObjectVersion(BATCH_BUCKET, upload.key, version), upload.by)
        self.done.append((upload, batch))
        if upload.gone_after is not None:
            delete = partial(self._objects.delete_version, BATCH_BUCKET, upload.key, version)
            self._scheduler.call_later(upload.gone_after, delete)
        event = {
            "Records": [
                {
                    "eventSource": "aws:s3",
                    "eventName": "ObjectCreated:Put",
                    "userIdentity": {"principalId": f"AWS:{upload.by}"} if upload.by else {},
                    "s3": {
                        "bucket": {"name": BATCH_BUCKET},
                        "object": {
                            # As S3 sends it.
                            "key": quote_plus(upload.key, safe="/"),
                            "size": len(upload.body),
                            "versionId": version,
                        },
                    },
                }
            ]
        }
        for number in range(2 if self._faults.strikes(Fault.EVENT_TWICE) else 1):
            self.deliver(event, f"{upload.key} event {number}")
        return batch

    def deliver(self, event: dict[str, Any], name: str) -> None:
        """Let Lambda invoke the batch function with an event, as often as it does by itself."""
        self._scheduler.spawn(name, lambda: self._deliver(event))

    def _deliver(self, event: dict[str, Any]) -> None:
        if self._asynchronous.invoke("batch-processor", event):
            return
        # https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
        record = {"version": "1.0", "requestPayload": event, "responsePayload": {}}
        self._queue.send_to_dead(json.dumps(record))


class Poller:
    """Lambda's event source mapping: takes messages from the queue to the function."""

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        random: Random,
        processes: Processes,
        queue: SimulatedQueue,
        handler: Handler,
        *,
        name: str,
    ) -> None:
        self.name = name
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._processes = processes
        self._queue = queue
        self._handler = handler
        self._at_work = 0
        self._deliveries = 0
        self._finished = Signal()

    def poll(self) -> None:
        """Deliver messages for ever."""
        while True:
            wait = self._queue.next_visible_in()
            if wait is None or wait > 0:
                # A little more than needed, so that rounding cannot make it wait in vain.
                self._scheduler.wait(self._queue.arrival, None if wait is None else wait + 1e-6)
            elif self._at_work >= _DELIVERIES_AT_ONCE:
                self._scheduler.wait(self._finished)
            else:
                self._take(self._queue.receive(self._random.choice((1, 3, 10))))
                self._scheduler.sleep(self._random.uniform(0, 0.1))

    def _take(self, messages: list[Message]) -> None:
        if messages:
            self._at_work += 1
            self._deliveries += 1
            self._scheduler.spawn(
                f"delivery {self._deliveries} of {self.name}", lambda: self._deliver(messages)
            )

    def _deliver(self, messages: list[Message]) -> None:
        try:
            failed = self._invoke(messages)
        finally:
            self._at_work -= 1
            self._scheduler.notify(self._finished)
        for message in messages:
            outcome = "again" if message.message_id in failed else "done"
            self._processes.trace("message", message.message_id, outcome)
            if message.message_id not in failed:
                self._queue.delete(message.receipt)

    def _invoke(self, messages: list[Message]) -> set[str]:
        """Return the ids of the messages that are not done."""
        event = {
            "Records": [
                {
                    "eventSource": "aws:sqs",
                    "eventSourceARN": f"arn:aws:sqs:eu-central-1:123456789012:{self.name}",
                    "messageId": message.message_id,
                    "receiptHandle": message.receipt,
                    "body": message.body,
                    "attributes": {"ApproximateReceiveCount": str(message.receives)},
                }
                for message in messages
            ]
        }
        every = {message.message_id for message in messages}
        now = self._scheduler.now
        if self._faults.is_down("lambda", now) or self._faults.is_down("mapping", now):
            return every
        try:
            answer = self._processes.invoke("payment-processor", self._handler, event)
        except InvocationFailed:
            return every
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}


class Sweeps:
    """The schedule that invokes the sweep, and a watch over what the sweep leaves out.

    Args:
        due: returns the names of the payments and operations that a sweep should find now.
        is_needed: says whether a sweep has anything else to do.
        queues: where a sweep puts them back.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        processes: Processes,
        handler: Handler,
        *,
        due: Callable[[], set[str]],
        is_needed: Callable[[], bool],
        queues: Sequence[SimulatedQueue],
    ) -> None:
        self.overlooked: list[str] = []
        self._scheduler = scheduler
        self._faults = faults
        self._processes = processes
        self._handler = handler
        self._due = due
        self._is_needed = is_needed
        self._queues = queues
        self._left_out: Counter[str] = Counter()

    def run(self, times: int) -> None:
        """Sweep so many times, at the pace of the schedule."""
        for _ in range(times):
            self._scheduler.sleep(_SWEEP_SECONDS)
            if self._due() or self._is_needed():
                self.sweep()

    def sweep(self) -> int:
        """Sweep once; return how many payments were found."""
        if self._faults.is_down("lambda", self._scheduler.now):
            return 0
        calm = not self._faults.active
        due, sent = self._due(), sent_to(self._queues)
        try:
            answer = self._processes.invoke("payment-processor", self._handler, _SWEEP)
        except InvocationFailed:
            return 0
        put_back = {subject_of(body) for body in sent_to(self._queues) - sent}
        for subject in sorted(due & self._due() - put_back):
            self._left_out[subject] += 1
            if calm or self._left_out[subject] > _MOST_SWEEPS_WITHOUT:
                self.overlooked.append(f"{subject} is stuck, and a sweep did not put it back")
        for attended in put_back:
            self._left_out.pop(attended, None)
        return int(answer["stuck"] + answer["stuck_operations"] + answer["expired"])


def subject_of(body: str) -> str:
    """Return the name of the payment or the operation that a message is about."""
    document = _document(body)
    payment_id = str(document.get("payment_id"))
    if "operation" not in document:
        return payment_id
    return operation_name(payment_id, document["operation"], document["operation_id"])


def operation_name(payment_id: str, kind: str, operation_id: str) -> str:
    """Return what an operation is called here."""
    return f"{payment_id} {kind}#{operation_id}"


def sent_to(queues: Sequence[SimulatedQueue]) -> Counter[str]:
    """Return how often each message was sent so far, by its body."""
    return Counter(body for queue in queues for body in queue.bodies)


_SWEEP: Final = {"action": "sweep"}
_SWEEP_SECONDS: Final = 300.0
_MOST_SWEEPS_WITHOUT: Final = 6
"""How many sweeps in a row may leave out a payment that they cannot read while faults go on."""


class OnCall:
    """The person who answers the alarms: of the dead-letter queue, and of batches that died."""

    def __init__(
        self,
        queue: SimulatedQueue,
        rows: SimulatedQueue,
        uploads: Uploads,
        batches: StateMachine,
    ) -> None:
        self.discarded: list[str] = []
        self.set_aside: list[dict[str, Any]] = []
        self._queue = queue
        self._rows = rows
        self._uploads = uploads
        self._batches = batches

    def empty_dead_letters(self) -> int:
        """Put back what can be handled, throw away what cannot; return how many messages."""
        letters = list(self._queue.dead)
        for number, message in enumerate(letters):
            document = _document(message.body)
            if "requestPayload" in document:
                self._queue.dead.remove(message)
                self._uploads.deliver(document["requestPayload"], f"redriven event {number}")
                continue
            if "batch" in document:
                self._queue.dead.remove(message)
                self.set_aside.append(document)
                self._retry(document)
                continue
            try:
                source = decode_message(message.body).source
            except InvalidMessage:
                self._queue.dead.remove(message)
                self.discarded.append(message.body)
            else:
                queue = self._queue if source == API else self._rows
                queue.redrive(message)
        return len(letters)

    def restart_stopped_batches(self) -> int:
        """Start again what died without a dead letter: stopped, timed out, or SQS was away.

        Return how many.
        """
        restarted = 0
        for execution in list(self._batches.executions.values()):
            loud = execution.status in {"ABORTED", "TIMED_OUT"} or execution.state == "SetAside"
            if execution.has_died and loud:
                restarted += self._retry(json.loads(execution.input))
        return restarted

    def _retry(self, document: dict[str, Any]) -> bool:
        workflow_input = {"batch": document["batch"], "size": document["size"]}
        return self._batches.restart(document["batch"]["batch_id"], json.dumps(workflow_input))


def _document(body: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
