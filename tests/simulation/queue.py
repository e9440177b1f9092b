"""SQS: a standard queue with visibility, receives counted, and a dead-letter queue."""

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from tests.simulation.faults import Fault, FaultPlan
from tests.simulation.scheduler import Scheduler, Signal

VISIBILITY_SECONDS: Final = 180.0
MAX_RECEIVES: Final = 50


@dataclass(slots=True, eq=False)
class Message:
    """One message; who received it holds ``receipt``."""

    message_id: str
    body: str
    visible_at: float
    receives: int = 0
    receipt: str = ""
    sent_at: float = 0.0


class SimulatedQueue:
    """A queue that delivers at least once and in no order. Deleting may fail to stick."""

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        random: Random,
        *,
        prefix: str,
        dead: list[Message],
    ) -> None:
        self.arrival = Signal()
        self.dead = dead
        self._prefix = prefix
        self.sent = 0
        self.bodies: list[str] = []
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._messages: list[Message] = []
        self._receipts = 0

    def send(self, body: str, *, delay_seconds: float = 0) -> str:
        """Keep a message, or two of it."""
        self.bodies.append(body)
        copies = 2 if self._faults.strikes(Fault.MESSAGE_TWICE) else 1
        for _ in range(copies):
            self.sent += 1
            now = self._scheduler.now
            message = Message(f"{self._prefix}{self.sent}", body, now + delay_seconds, sent_at=now)
            self._messages.append(message)
        self._scheduler.notify(self.arrival)
        return f"{self._prefix}{self.sent}"

    def send_to_dead(self, body: str) -> None:
        """Keep a message in the dead-letter queue, as functions and failure destinations do."""
        self.sent += 1
        self.dead.append(Message(f"{self._prefix}{self.sent}", body, self._scheduler.now))

    def receive(self, at_most: int) -> list[Message]:
        """Take visible messages; one received too often goes to the dead-letter queue instead."""
        visible = [
            message for message in self._messages if message.visible_at <= self._scheduler.now
        ]
        if self._faults.strikes(Fault.OUT_OF_ORDER):
            self._random.shuffle(visible)
        taken: list[Message] = []
        for message in visible[:at_most]:
            if message.receives >= MAX_RECEIVES:
                self._messages.remove(message)
                self.dead.append(message)
                continue
            self._receipts += 1
            message.receives += 1
            message.receipt = f"r{self._receipts}"
            early = self._faults.strikes(Fault.MESSAGE_EARLY)
            hidden = self._random.uniform(0, 5) if early else VISIBILITY_SECONDS
            message.visible_at = self._scheduler.now + hidden
            taken.append(replace(message, visible_at=0))
        return taken

    def delete(self, receipt: str) -> None:
        """Forget a message, unless it has been received anew since."""
        for message in self._messages:
            if message.receipt == receipt:
                if not self._faults.strikes(Fault.DELETE_LOST):
                    self._messages.remove(message)
                return

    def show(self, receipt: str, seconds: float) -> None:
        """Change when a received message can be received again."""
        for message in self._messages:
            if message.receipt == receipt:
                message.visible_at = self._scheduler.now + seconds
                self._scheduler.notify(self.arrival)

    def purge(self) -> None:
        """Lose every message, as a person can make it."""
        self._messages.clear()

    def redrive(self, message: Message) -> None:
        """Move a message from the dead-letter queue back, its receives forgotten."""
        self.dead.remove(message)
        message.receives = 0
        message.visible_at = self._scheduler.now
        self._messages.append(message)
        self._scheduler.notify(self.arrival)

    @property
    def waiting(self) -> int:
        """How many messages can be received."""
        return sum(message.visible_at <= self._scheduler.now for message in self._messages)

    @property
    def delayed(self) -> int:
        """How many messages were sent with a delay that is not over."""
        return sum(
            message.visible_at > self._scheduler.now and not message.receives
            for message in self._messages
        )

    def next_visible_in(self) -> float | None:
        """Return in how many seconds a message can be received; ``None`` without any."""
        if not self._messages:
            return None
        first = min(message.visible_at for message in self._messages)
        return max(0.0, first - self._scheduler.now)
