"""A seeded scheduler: tasks are threads that hand over one baton, and time is virtual.

Exactly one task runs at any moment. It gives the baton away only at a scheduling point (``pause``,
``sleep``, ``wait``), and a seeded random generator says who goes on. So any interleaving can
happen, and the same seed gives the same one again.
"""

import heapq
import threading
from collections.abc import Callable
from math import inf
from random import Random
from typing import Any, Final

_MOST_STEPS: Final = 150_000

type Body = Callable[[], object]


class Abandoned(BaseException):
    """The run is over; a task that still waits is unwound by this."""


class SimulatorError(BaseException):
    """The simulator itself is at fault; no code under test may catch this."""


def _closed_gate() -> threading.Lock:
    """Return what one thread waits at until another opens it: a lock hands over faster than a semaphore."""
    gate = threading.Lock()
    gate.acquire()
    return gate


class Signal:
    """Something that tasks wait for; :meth:`Scheduler.notify` wakes all of them."""

    def __init__(self) -> None:
        self.waiting: list[Task] = []


class Timer:
    """What is due at some time: a task to wake or a callback to run."""

    def __init__(self, due: Body) -> None:
        self.due: Body | None = due

    def cancel(self) -> None:
        """Let it never happen."""
        self.due = None


class Task:
    """One thread of the simulation. ``context`` belongs to whoever spawned it."""

    def __init__(self, name: str, *, daemon: bool) -> None:
        self.name = name
        self.daemon = daemon
        self.context: Any = None
        self.go = _closed_gate()
        self.notified = False
        self.timer: Timer | None = None
        self.signal: Signal | None = None


class Scheduler:
    """Runs tasks one at a time; ``now`` is in virtual seconds since the start of the run."""

    def __init__(self, random: Random, *, most_steps: int = _MOST_STEPS) -> None:
        self._most_steps = most_steps
        self.now = 0.0
        self.crashes: list[tuple[str, BaseException]] = []
        self._random = random
        self._runnable: list[Task] = []
        self._timers: list[tuple[float, int, Timer]] = []
        self._timers_made = 0
        self._steps = 0
        self._tasks: set[Task] = set()
        self._idle = _closed_gate()
        self._closing = False
        self._current: Task | None = None
        self._until = inf

    @property
    def current(self) -> Task:
        """The task that holds the baton."""
        if self._current is None:
            raise SimulatorError("no task is running")
        return self._current

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is due any more, however late."""
        return not self._runnable and self._due() is None

    @property
    def blocked(self) -> list[str]:
        """Names of the tasks that have not ended, but for daemons."""
        return sorted(task.name for task in self._tasks if not task.daemon)

    @property
    def is_exhausted(self) -> bool:
        """Whether the run took so many steps that it will never come to rest."""
        return self._steps > self._most_steps

    def spawn(self, name: str, body: Body, *, daemon: bool = False) -> Task:
        """Make a task; it runs when the scheduler picks it."""
        task = Task(name, daemon=daemon)
        self._tasks.add(task)
        self._runnable.append(task)
        threading.Thread(target=self._run_task, args=(task, body), name=name, daemon=True).start()
        return task

    def call_later(self, seconds: float, callback: Body) -> Timer:
        """Run a callback, which must not wait for anything, after some time."""
        timer = Timer(callback)
        self._timers_made += 1
        heapq.heappush(self._timers, (self.now + seconds, self._timers_made, timer))
        return timer

    def run_until_idle(self, seconds: float = inf) -> None:
        """Let all tasks run until each has ended or waits for what no timer will bring.

        What is due later than in so many seconds stays for the next run.
        """
        self._until = self.now + seconds
        first = self._next()
        if first is not None:
            self._hand_to(first)
            self._idle.acquire()
        self._current = None

    def pause(self) -> None:
        """Let any task that can run go first, without time passing."""
        task = self.current
        self._runnable.append(task)
        self._switch(task)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        task = self.current
        task.timer = self.call_later(seconds, lambda: self._wake(task))
        self._switch(task)

    def wait(self, signal: Signal, seconds: float | None = None) -> bool:
        """Wait for a signal; return whether it came within the time given."""
        task = self.current
        task.notified = False
        task.signal = signal
        signal.waiting.append(task)
        if seconds is not None:
            task.timer = self.call_later(seconds, lambda: self._wake(task))
        self._switch(task)
        return task.notified

    def notify(self, signal: Signal) -> None:
        """Wake every task that waits for a signal."""
        for task in list(signal.waiting):
            task.notified = True
            self._wake(task)

    def close(self) -> None:
        """Unwind all tasks that still wait, so that no thread is left behind."""
        self._closing = True
        for task in sorted(self._tasks, key=lambda task: task.name):
            self._hand_to(task)
            self._idle.acquire()
        self._current = None

    def _wake(self, task: Task) -> None:
        if task.timer is not None:
            task.timer.cancel()
            task.timer = None
        if task.signal is not None:
            task.signal.waiting.remove(task)
            task.signal = None
        self._runnable.append(task)

    def _next(self) -> Task | None:
        self._steps += 1
        if self._closing or self.is_exhausted:
            return None
        while not self._runnable:
            at = self._due()
            if at is None or at > self._until:
                return None
            _, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, at)
            if timer.due is not None:
                timer.due()
        runnable = self._runnable
        index = int(self._random.random() * len(runnable)) if len(runnable) > 1 else 0
        runnable[index], runnable[-1] = runnable[-1], runnable[index]
        return runnable.pop()

    def _due(self) -> float | None:
        """Return when the next timer is due that was not cancelled."""
        while self._timers and self._timers[0][2].due is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _hand_to(self, task: Task) -> None:
        self._current = task
        task.go.release()

    def _switch(self, task: Task) -> None:
        if self._closing:
            raise Abandoned
        chosen = self._next()
        if chosen is not task:
            if chosen is None:
                self._idle.release()
            else:
                self._hand_to(chosen)
            task.go.acquire()
            if self._closing:
                raise Abandoned
        self._current = task

    def _run_task(self, task: Task, body: Body) -> None:
        task.go.acquire()
        try:
            if not self._closing:
                body()
        except Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001 - a crash is a finding, reported at the end
            self.crashes.append((task.name, error))
        self._tasks.discard(task)
        chosen = self._next()
        if chosen is None:
            self._idle.release()
        else:
            self._hand_to(chosen)
