"""The audit table's stream, and Lambda's mapping that takes its records to the publisher."""

from collections.abc import Callable
from random import Random
from typing import Any, Final

from tests.simulation.dynamodb import Item
from tests.simulation.faults import Fault, FaultPlan
from tests.simulation.processes import Handler, InvocationFailed, Processes
from tests.simulation.scheduler import Scheduler, Signal

_LONGEST_BACKOFF_SECONDS: Final = 60.0


class StreamedTables:
    """DynamoDB with a stream: each committed put into the audit table becomes a record of it."""

    def __init__(
        self,
        database: Any,
        table: str,
        stream: "Stream",
        committed: Callable[[dict[str, Any]], None],
    ) -> None:
        self._committed = committed
        self._database = database
        self._table = table
        self._stream = stream

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """See :class:`tests.simulation.wire.Service`."""
        answer: dict[str, Any] = self._database.answer(operation, request)
        if operation == "TransactWriteItems":
            self._committed(request)
        for write in request.get("TransactItems", ()):
            put = write.get("Put")
            if put is not None and put["TableName"] == self._table:
                self._stream.add(put["Item"])
        return answer


class Stream:
    """Records in the order of their commits, and one invocation at a time that handles them.

    The mapping filters for records that announce something, delivers a batch again from the record
    that the function names, and delivers a whole batch again if the function fails.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        faults: FaultPlan,
        random: Random,
        processes: Processes,
        handler: Handler,
    ) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._random = random
        self._processes = processes
        self._handler = handler
        self._records: list[dict[str, Any]] = []
        self._handled = 0
        self._arrival = Signal()

    def add(self, image: Item) -> None:
        """Take a committed item into the stream."""
        if "event_type" not in image:
            return
        number = f"{len(self._records) + 1:021}"
        self._records.append(
            {
                "eventName": "INSERT",
                "eventSource": "aws:dynamodb",
                "dynamodb": {"SequenceNumber": number, "NewImage": image},
            }
        )
        self._scheduler.notify(self._arrival)

    def read(self) -> None:
        """Deliver records for ever."""
        failures = 0
        while True:
            if self._handled == len(self._records):
                self._scheduler.wait(self._arrival)
                continue
            at_most = self._random.choice((1, 3, 25))
            done = self._deliver(self._records[self._handled : self._handled + at_most])
            failures = 0 if done else failures + 1
            if self._faults.strikes(Fault.STREAM_TWICE):
                done = 0
            self._handled += done
            if failures:
                most = min(_LONGEST_BACKOFF_SECONDS, 2.0**failures)
                self._scheduler.sleep(self._random.uniform(0, most))

    def _deliver(self, records: list[dict[str, Any]]) -> int:
        """Return how many records, from the first on, are handled for good."""
        if self._faults.is_down("lambda", self._scheduler.now):
            return 0
        try:
            answer = self._processes.invoke("event-publisher", self._handler, {"Records": records})
        except InvocationFailed:
            return 0
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for position, record in enumerate(records):
            if record["dynamodb"]["SequenceNumber"] in failed:
                return position
        return len(records)
