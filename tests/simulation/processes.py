"""Processes: invocations of the functions, each of which may be killed between any two calls."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.faults import Fault, FaultPlan
from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.coverage import Coverage

FUNCTION_TIMEOUT_SECONDS: Final = {
    "api-handler": 15.0,
    "payment-processor": 30.0,
    "batch-processor": 900.0,
    "event-publisher": 60.0,
}
_QUICKEST_CALL_SECONDS: Final = 0.002
_SLOWEST_CALL_SECONDS: Final = 0.05
_SHARE_OF_TIMELESS_POINTS: Final = 0.5

type Handler = Callable[[dict[str, Any], Any], Any]


class ProcessKilled(BaseException):
    """The process is gone: nothing of it runs any more."""


class InvocationFailed(Exception):
    """A function did not return; ``error`` is the name that Step Functions would see."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(slots=True)
class Process:
    """One invocation, in an environment that serves one at a time."""

    function: str
    environment: Any
    deadline: float


@dataclass(slots=True)
class Trace:
    """What happened, in order; its digest tells one run from another."""

    lines: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """SHA-256 over all lines."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


class Processes:
    """Invokes functions in the task of whoever asks."""

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        random: Random,
        make_environment: Callable[[str], Any],
    ) -> None:
        self.log = Trace()
        self.coverage: Coverage = Counter()
        self.invocations = 0
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._make_environment = make_environment
        self._free: dict[str, list[Any]] = {name: [] for name in FUNCTION_TIMEOUT_SECONDS}

    @property
    def environment(self) -> Any:
        """The environment of the process that runs now."""
        process: Process = self._scheduler.current.context
        return process.environment

    def invoke(self, function: str, handler: Handler, event: dict[str, Any]) -> Any:
        """Run a function to its end.

        Raises:
            InvocationFailed: it raised, was killed or timed out.
        """
        self.invocations += 1
        request_id = f"{function}-{self.invocations}"
        free = self._free[function]
        environment = free.pop() if free else self._make_environment(function)
        deadline = self._scheduler.now + FUNCTION_TIMEOUT_SECONDS[function]
        task = self._scheduler.current
        caller = task.context
        task.context = Process(function, environment, deadline)
        try:
            answer = handler(event, self._context(request_id, deadline))
        except ProcessKilled as killed:
            self.trace("process", request_id, str(killed))
            raise InvocationFailed(str(killed)) from None
        except Exception as error:
            self.trace("process", request_id, type(error).__name__)
            free.append(environment)
            raise InvocationFailed(type(error).__name__) from error
        finally:
            task.context = caller
        free.append(environment)
        return answer

    def _context(self, request_id: str, deadline: float) -> SimpleNamespace:
        return SimpleNamespace(
            aws_request_id=request_id,
            get_remaining_time_in_millis=lambda: int((deadline - self._scheduler.now) * 1000),
        )

    def point(self) -> None:
        """Stand between two calls: others may go first, time may pass, the process may die.

        Raises:
            ProcessKilled: it was killed, or its function's time is up.
        """
        process: Process | None = self._scheduler.current.context
        if process is not None and self._faults.strikes(Fault.KILLED):
            raise ProcessKilled("Runtime.ExitError")
        if self._random.random() < _SHARE_OF_TIMELESS_POINTS:
            self._scheduler.pause()
        else:
            seconds = self._random.uniform(_QUICKEST_CALL_SECONDS, _SLOWEST_CALL_SECONDS)
            self._scheduler.sleep(seconds)
        self._check_deadline(process)

    def sleep(self, seconds: float) -> None:
        """Sleep in virtual time, at most until the process's time is up."""
        process: Process | None = self._scheduler.current.context
        if process is not None:
            seconds = max(0.0, min(seconds, process.deadline - self._scheduler.now))
        self._scheduler.sleep(seconds)
        self._check_deadline(process)

    def trace(self, what: str, subject: str, outcome: str) -> None:
        """Write a line of the trace."""
        name = self._scheduler.current.name
        self.log.lines.append(f"{self._scheduler.now:12.6f} {name}: {what} {subject} → {outcome}")

    def _check_deadline(self, process: Process | None) -> None:
        if process is not None and self._scheduler.now >= process.deadline:
            self._faults.struck[Fault.TIMED_OUT] += 1
            raise ProcessKilled("Sandbox.Timedout")
