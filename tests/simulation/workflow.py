"""Step Functions (Standard): runs the very definitions that the stack deploys.

Only the part of the Amazon States Language that the definitions use; anything else is a
:class:`SimulatorError`. https://states-language.net
"""

import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any, Final, cast

from lib.workflows import batch, payment
from payments.core.executions import execution_name
from tests.simulation.coverage import STRIKE_OF_FAULT
from tests.simulation.dynamodb import AwsError
from tests.simulation.faults import Fault, FaultPlan
from tests.simulation.processes import InvocationFailed, Processes
from tests.simulation.scheduler import Scheduler, Signal, SimulatorError

_TWIN_DELAY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Machine:
    """A state machine as the stack deploys it, with names for ARNs."""

    name: str
    definition: dict[str, Any]

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:states:eu-central-1:123456789012:stateMachine:{self.name}"

    @property
    def execution_arn(self) -> str:
        """What the ARNs of its executions begin with."""
        return self.arn.replace(":stateMachine:", ":execution:")


@cache
def payment_machine() -> Machine:
    """Return the state machine of ``lib/workflows/payment.py``."""
    return _machine("payment-workflow", payment.definition(_function("payment-processor"), _ARNS))


@cache
def batch_machine() -> Machine:
    """Return the state machine of ``lib/workflows/batch.py``."""
    messaging = SimpleNamespace(
        topic=SimpleNamespace(arn="payment-notifications"),
        dead_letter_queue=SimpleNamespace(url="https://queue/payment-events-dlq"),
        announcements_dead_letter_queue=SimpleNamespace(url=_NEWS_ASIDE),
    )
    definition = batch.definition(_function("batch-processor"), cast("Any", messaging), _ARNS)
    return _machine("payment-batch-workflow", definition)


def _function(name: str) -> Any:
    return SimpleNamespace(arn=name)


_ARNS: Final[Any] = SimpleNamespace(partition="aws")
_NEWS_ASIDE: Final = "https://queue/payment-announcements-dlq"


def _machine(name: str, definition: dict[str, Any]) -> Machine:
    return Machine(name, cast("dict[str, Any]", json.loads(json.dumps(definition))))


@dataclass(slots=True)
class Execution:
    """One run of a workflow; times in virtual seconds. ``state`` is where it was last."""

    name: str
    input: str
    started_at: float
    status: str = "RUNNING"
    error: str = ""
    state: str = ""
    ended_at: float | None = None

    @property
    def subject(self) -> str:
        """The id of the payment or batch, or the name of the operation, that it is about."""
        document = json.loads(self.input)
        if "operation" in document:
            return f"{document['payment_id']} {document['operation']}#{document['operation_id']}"
        return str(document["payment_id"] if "payment_id" in document else _batch_id(document))

    @property
    def has_died(self) -> bool:
        """Whether it ended without an outcome."""
        return self.status in {"FAILED", "TIMED_OUT", "ABORTED"}


class TaskFailed(Exception):
    """A state failed with an error name that Retry and Catch look at."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class _Ended(Exception):
    """The execution ends from outside: stopped by somebody, or out of time. No catcher sees that."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class _Walk:
    """An execution, or one item of a Map, on its way through its states."""

    id: str
    deadline: float
    enters: Callable[[str], None]
    is_stopped: Callable[[], bool]


class StateMachine:
    """Executions by name: a name is taken for good by the first execution that has it."""

    def __init__(  # noqa: PLR0913 - what it stands for has as many parts
        self,
        machine: Machine,
        scheduler: Scheduler,
        faults: FaultPlan,
        random: Random,
        processes: Processes,
        *,
        invoke: Callable[[str, dict[str, Any]], Any],
        publish: Callable[[dict[str, Any], dict[str, str]], None],
        set_aside: Callable[[str], None],
        on_death: Callable[[Execution], None],
    ) -> None:
        self.executions: dict[str, Execution] = {}
        self.news_aside: list[dict[str, Any]] = []
        """What the topic did not take."""
        self._machine = machine
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._processes = processes
        self._invoke = invoke
        self._publish = publish
        self._set_aside = set_aside
        self._on_death = on_death

    def start(self, name: str | None, workflow_input: str) -> str:
        """Start an execution, or recognise the running one of this name and input."""
        name = name or f"unnamed-{len(self.executions) + 1}"
        known = self.executions.get(name)
        if known is None:
            execution = Execution(name, workflow_input, self._scheduler.now)
            self.executions[name] = execution
            self._scheduler.spawn(f"execution {name}", lambda: self._run(execution))
        elif known.status != "RUNNING" or known.input != workflow_input:
            raise AwsError("ExecutionAlreadyExists")
        return f"{self._machine.execution_arn}:{name}"

    @property
    def ran_out_of_retries(self) -> bool:
        """Whether an execution died although its payment was there."""
        return any(
            execution.has_died and execution.error != "PaymentNotFound"
            for execution in self.executions.values()
        )

    def executions_of(self, subject: str) -> list[Execution]:
        """Return the executions for a payment or batch, in the order of their starts."""
        return [execution for execution in self.executions.values() if execution.subject == subject]

    def restart(self, subject: str, workflow_input: str) -> bool:
        """Start the next execution of a payment or batch, named as ever, if its last one died."""
        before = self.executions_of(subject)
        if not before or not before[-1].has_died:
            return False
        self.start(execution_name(subject, len(before) + 1), workflow_input)
        return True

    def _run(self, execution: Execution) -> None:
        definition = self._machine.definition

        def enters(state: str) -> None:
            execution.state = state

        walk = _Walk(
            id=f"{self._machine.execution_arn}:{execution.name}",
            deadline=execution.started_at + definition["TimeoutSeconds"],
            enters=enters,
            is_stopped=lambda: False,
        )
        try:
            self._walk(walk, definition, json.loads(execution.input))
        except TaskFailed as failed:
            execution.status = "FAILED"
            execution.error = failed.error
        except _Ended as ended:
            execution.status = ended.status
        else:
            execution.status = "SUCCEEDED"
        execution.ended_at = self._scheduler.now
        self._processes.trace("execution", execution.name, execution.status)
        if execution.has_died:
            self._on_death(execution)

    def _walk(self, walk: _Walk, part: dict[str, Any], data: Any) -> Any:
        """Go through the states of a machine or of a Map's items; return the last one's output."""
        name: str | None = part["StartAt"]
        while name is not None:
            walk.enters(name)
            name, data = self._enter(walk, name, part["States"][name], data)
        return data

    def _enter(
        self, walk: _Walk, name: str, state: dict[str, Any], data: Any
    ) -> tuple[str | None, Any]:
        """Carry out one state with its retries; return the next one and its input."""
        kind = state["Type"]
        if kind not in _FIELDS:
            raise SimulatorError(f"{name}: {kind} is not simulated")
        _only(state, _FIELDS[kind], name)
        tries: dict[int, int] = {}
        while True:
            if walk.is_stopped() or self._faults.strikes(Fault.EXECUTION_ABORTED):
                raise _Ended("ABORTED")
            is_late = self._scheduler.now >= walk.deadline
            if is_late or self._faults.strikes(Fault.EXECUTION_TIMED_OUT):
                raise _Ended("TIMED_OUT")
            context = {
                "Execution": {"Id": walk.id},
                "State": {"RetryCount": sum(tries.values())},
            }
            try:
                result = self._carry_out(walk, state, data, context)
            except TaskFailed as failed:
                delay = self._delay(state.get("Retry", []), failed.error, tries)
                if delay is not None:
                    self._scheduler.sleep(delay)
                    continue
                catcher = _matching(state.get("Catch", []), failed.error)
                if catcher is None:
                    raise
                outcome = {"Error": failed.error, "Cause": ""}
                return catcher[1]["Next"], _placed(catcher[1]["ResultPath"], data, outcome)
            if kind == "Choice":
                return _chosen(state, data), data
            data = _placed(state.get("ResultPath", "$"), data, result)
            output = state.get("OutputPath", "$")
            data = {} if output is None else _path(output, data, {})
            return state.get("Next"), data

    def _carry_out(
        self, walk: _Walk, state: dict[str, Any], data: Any, context: dict[str, Any]
    ) -> Any:
        match state["Type"]:
            case "Task":
                result = self._task(state, _template(state["Parameters"], data, context))
                selector = state.get("ResultSelector")
                return result if selector is None else _template(selector, result, context)
            case "Map":
                return self._map(walk, state, data, context)
            case "Pass":
                return _template(state["Parameters"], data, context)
            case "Wait":
                self._scheduler.sleep(_path(state["SecondsPath"], data, {}))
                return data
            case "Fail":
                raise TaskFailed(_path(state["ErrorPath"], data, {}))
        return data

    def _map(self, walk: _Walk, state: dict[str, Any], data: Any, context: dict[str, Any]) -> Any:
        """Run an execution for every item, some at a time; the first that fails stops the others.

        A stopped one begins no state any more, but the function that it called runs on.
        """
        processor = state["ItemProcessor"]
        if processor["ProcessorConfig"] != {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}:
            raise SimulatorError("only a distributed Map of Standard executions is simulated")
        items = _path(state["ItemsPath"], data, {})
        pending = deque(enumerate(items))
        results: dict[int, Any] = {}
        failed: list[int] = []
        progress = Signal()

        def work() -> None:
            while pending and not failed:
                number, item = pending.popleft()
                known = {**context, "Map": {"Item": {"Index": number, "Value": item}}}
                child = _Walk(
                    id=f"{walk.id}/{number}",
                    deadline=walk.deadline,
                    enters=lambda _: None,
                    is_stopped=lambda: bool(failed),
                )
                selected = json.loads(json.dumps(_template(state["ItemSelector"], data, known)))
                try:
                    results[number] = self._walk(child, processor, selected)
                except (TaskFailed, _Ended):
                    failed.append(number)
                self._scheduler.notify(progress)

        for number in range(min(len(items), state["MaxConcurrency"])):
            self._scheduler.spawn(f"map {walk.id.rpartition(':')[2]} {number}", work)
        while len(results) < len(items) and not failed:
            self._scheduler.wait(progress)
        if failed:
            raise TaskFailed("States.ExceedToleratedFailureThreshold")
        return [results[number] for number in range(len(items))]

    def _task(self, state: dict[str, Any], parameters: dict[str, Any]) -> Any:
        self._processes.point()
        if state["Resource"] == "arn:aws:states:::lambda:invoke":
            return self._lambda_task(parameters["FunctionName"], parameters["Payload"])
        if state["Resource"] == "arn:aws:states:::sns:publish":
            return self._publish_task(parameters)
        if state["Resource"] == "arn:aws:states:::sqs:sendMessage":
            return self._set_aside_task(parameters)
        raise SimulatorError(f"{state['Resource']} is not simulated")

    def _struck(self, task: str, fault: Fault, service: str = "") -> bool:
        """Say whether a fault strikes a task, or whether its service is in an outage."""
        if fault is Fault.OUTAGE:
            struck = self._faults.is_down(service, self._scheduler.now)
        else:
            struck = self._faults.strikes(fault)
        if struck:
            self._processes.coverage[f"workflow {task}", STRIKE_OF_FAULT[fault]] += 1
        return struck

    def _lambda_task(self, function: str, payload: dict[str, Any]) -> dict[str, Any]:
        if self._struck("lambda:invoke", Fault.OUTAGE, "lambda"):
            raise TaskFailed("Lambda.ServiceException")
        if self._struck("lambda:invoke", Fault.STEP_LOST):
            raise TaskFailed("Lambda.TooManyRequestsException")
        if self._struck("lambda:invoke", Fault.STEP_TWICE):
            self._spawn_twin(function, payload)
        try:
            answer = self._invoke(function, payload)
        except InvocationFailed as failed:
            raise TaskFailed(failed.error) from None
        if self._struck("lambda:invoke", Fault.STEP_ANSWER_LOST):
            raise TaskFailed("Lambda.Unknown")
        return {"StatusCode": 200, "Payload": json.loads(json.dumps(answer))}

    def _spawn_twin(self, function: str, payload: dict[str, Any]) -> None:
        delay = self._random.uniform(0, _TWIN_DELAY_SECONDS)

        def run() -> None:
            self._scheduler.sleep(delay)
            # Whoever asked for it is long gone.
            with suppress(InvocationFailed):
                self._invoke(function, payload)

        subject = payload["payment_id"] if "payment_id" in payload else _batch_id(payload)
        self._scheduler.spawn(f"twin {subject} {payload['action']}", run)

    def _publish_task(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if self._struck("sns:publish", Fault.OUTAGE, "sns"):
            raise TaskFailed("SNS.InternalErrorException")
        if self._struck("sns:publish", Fault.PUBLISH_LOST):
            raise TaskFailed("SNS.ThrottledException")
        attributes = {
            name: attribute["StringValue"]
            for name, attribute in parameters["MessageAttributes"].items()
        }
        self._publish(parameters["Message"], attributes)
        if self._struck("sns:publish", Fault.PUBLISH_ANSWER_LOST):
            raise TaskFailed("SNS.SdkClientException")
        return {"MessageId": "m"}

    def _set_aside_task(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if self._struck("sqs:sendMessage", Fault.OUTAGE, "sqs"):
            raise TaskFailed("SQS.InternalErrorException")
        if self._struck("sqs:sendMessage", Fault.PUBLISH_LOST):
            raise TaskFailed("SQS.RequestThrottledException")
        if parameters["QueueUrl"] == _NEWS_ASIDE:
            self.news_aside.append(parameters["MessageBody"])
        else:
            self._set_aside(json.dumps(parameters["MessageBody"]))
        if self._struck("sqs:sendMessage", Fault.PUBLISH_ANSWER_LOST):
            raise TaskFailed("SQS.SdkClientException")
        return {"MessageId": "m"}

    def _delay(
        self, retriers: list[dict[str, Any]], error: str, tries: dict[int, int]
    ) -> float | None:
        """Return how long to wait before the next try; ``None`` if there is none."""
        match = _matching(retriers, error)
        if match is None:
            return None
        index, retrier = match
        _only(retrier, _RETRY_FIELDS, "Retry")
        tried = tries.get(index, 0)
        if tried >= retrier.get("MaxAttempts", 3):
            return None
        tries[index] = tried + 1
        seconds = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** tried
        seconds = min(seconds, retrier.get("MaxDelaySeconds", seconds))
        if retrier.get("JitterStrategy") == "FULL":
            return self._random.uniform(0, seconds)
        return float(seconds)


_ANY_STATE: Final = frozenset({"Type", "Comment", "Next", "End", "ResultPath", "OutputPath"})
_FALLIBLE: Final = _ANY_STATE | {"Retry", "Catch"}
_FIELDS: Final = {
    "Task": _FALLIBLE | {"Resource", "Parameters", "TimeoutSeconds", "ResultSelector"},
    "Map": _FALLIBLE | {"ItemsPath", "ItemSelector", "ItemProcessor", "MaxConcurrency"},
    "Pass": _ANY_STATE | {"Parameters"},
    "Wait": frozenset({"Type", "Comment", "Next", "SecondsPath"}),
    "Choice": frozenset({"Type", "Comment", "Choices", "Default"}),
    "Fail": frozenset({"Type", "Comment", "ErrorPath", "CausePath"}),
    "Succeed": frozenset({"Type", "Comment", "OutputPath"}),
}
_RETRY_FIELDS: Final = frozenset(
    {
        "ErrorEquals",
        "IntervalSeconds",
        "BackoffRate",
        "MaxAttempts",
        "MaxDelaySeconds",
        "JitterStrategy",
    }
)


def _only(definition_part: dict[str, Any], known: frozenset[str], where: str) -> None:
    unknown = set(definition_part) - known
    if unknown:
        raise SimulatorError(f"{where}: not simulated: {sorted(unknown)}")


def _batch_id(document: dict[str, Any]) -> str:
    return str(document["batch"]["batch_id"])


def _chosen(state: dict[str, Any], data: Any) -> str:
    for choice in state["Choices"]:
        if _holds(choice, data):
            return str(choice["Next"])
    return str(state["Default"])


def _holds(choice: dict[str, Any], data: Any) -> bool:
    match choice:
        case {"Variable": path, "BooleanEquals": wanted, "Next": _, **rest} if not rest:
            return _path(path, data, {}) is wanted
        case {"Variable": path, "NumericGreaterThan": limit, "Next": _, **rest} if not rest:
            return bool(_path(path, data, {}) > limit)
        case {"Variable": path, "IsPresent": True, "Next": _, **rest} if not rest:
            return path.removeprefix("$.") in data
    raise SimulatorError(f"Choice: not simulated: {choice}")


def _matching(handlers: list[dict[str, Any]], error: str) -> tuple[int, dict[str, Any]] | None:
    for index, handler in enumerate(handlers):
        names = handler["ErrorEquals"]
        if error in names or "States.ALL" in names:
            return index, handler
    return None


def _template(template: Any, data: Any, context: dict[str, Any]) -> Any:
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): _path(value, data, context)
        if name.endswith(".$")
        else _template(value, data, context)
        for name, value in template.items()
    }


def _path(path: str, data: Any, context: dict[str, Any]) -> Any:
    root, _, rest = path.partition(".")
    if root not in {"$", "$$"}:
        raise SimulatorError(f"path {path} is not simulated")
    value: Any = context if root == "$$" else data
    for name in rest.split(".") if rest else ():
        value = value[name]
    return value


def _placed(path: str | None, data: Any, result: Any) -> Any:
    if path is None:
        return data
    if path == "$":
        return result
    name = path.removeprefix("$.")
    if not name.isidentifier():
        raise SimulatorError(f"ResultPath {path} is not simulated")
    return {**data, name: result}
