"""What goes wrong, how often, and how often it did."""

from collections import Counter
from collections.abc import Collection
from enum import StrEnum
from random import Random
from typing import Final


class Fault(StrEnum):
    """Kinds of faults; those of AWS calls strike each HTTP request that the SDK makes."""

    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost after commit"
    LATE_COMMIT = "answer lost, commit comes later"
    THROTTLED = "throttled"
    SERVER_ERROR = "5xx"
    SERVER_ERROR_AFTER_COMMIT = "5xx after commit"
    SLOW = "slow call"
    CONFLICT = "transaction conflict"
    PARTIAL_BATCH = "batch sent in part"
    TRUNCATED_BODY = "object cut off while read"
    OUTAGE = "service down for a while"
    KILLED = "process killed"
    TIMED_OUT = "function timed out"
    MESSAGE_TWICE = "message delivered twice"
    MESSAGE_EARLY = "message redelivered while at work"
    DELETE_LOST = "deleted message comes back"
    OUT_OF_ORDER = "message delivered out of order"
    QUEUE_PURGED = "queue of payments emptied"
    EVENT_TWICE = "S3 event delivered twice"
    STREAM_TWICE = "stream records delivered twice"
    STEP_TWICE = "workflow step run twice at once"
    STEP_LOST = "step not carried out"
    STEP_ANSWER_LOST = "step's answer lost"
    EXECUTION_ABORTED = "execution aborted"
    EXECUTION_TIMED_OUT = "execution timed out"
    PUBLISH_LOST = "publish lost"
    PUBLISH_ANSWER_LOST = "publish's answer lost"
    CLIENT_REQUEST_LOST = "client's request lost"
    CLIENT_ANSWER_LOST = "client's answer lost"
    CLIENT_IMPATIENT = "client retried while first was at work"
    GATEWAY_REFUSED = "gateway timed out before charging"
    GATEWAY_ANSWER_LOST = "gateway timed out after charging"
    GATEWAY_LATE = "gateway charged after timing out"
    GATEWAY_BUSY = "gateway refused for its load"
    GATEWAY_PENDING = "gateway decided later"
    GATEWAY_DOWN = "gateway down for a while"
    OVER_QUOTA = "called more often than a quota allows"
    REFUND_RETURNED = "refund sent back by the bank"
    CAPTURED_ELSEWHERE = "captured at the gateway, not by us"


_WEIGHTS: Final = {
    Fault.REQUEST_LOST: 0.5,
    Fault.ANSWER_LOST: 1.0,
    Fault.LATE_COMMIT: 0.7,
    Fault.THROTTLED: 0.5,
    Fault.SERVER_ERROR: 0.5,
    Fault.SERVER_ERROR_AFTER_COMMIT: 0.7,
    Fault.SLOW: 0.5,
    Fault.CONFLICT: 1.0,
    Fault.PARTIAL_BATCH: 5.0,
    Fault.TRUNCATED_BODY: 1.0,
    Fault.KILLED: 0.4,
    Fault.MESSAGE_TWICE: 1.0,
    Fault.MESSAGE_EARLY: 1.0,
    Fault.DELETE_LOST: 1.0,
    Fault.OUT_OF_ORDER: 3.0,
    Fault.EVENT_TWICE: 3.0,
    Fault.STREAM_TWICE: 1.0,
    Fault.STEP_TWICE: 1.0,
    Fault.STEP_LOST: 0.7,
    Fault.STEP_ANSWER_LOST: 1.0,
    Fault.EXECUTION_ABORTED: 0.5,
    Fault.EXECUTION_TIMED_OUT: 0.5,
    Fault.PUBLISH_LOST: 1.0,
    Fault.PUBLISH_ANSWER_LOST: 1.0,
    Fault.CLIENT_REQUEST_LOST: 0.5,
    Fault.CLIENT_ANSWER_LOST: 1.0,
    Fault.CLIENT_IMPATIENT: 1.0,
    Fault.GATEWAY_REFUSED: 1.5,
    Fault.GATEWAY_ANSWER_LOST: 1.5,
    Fault.GATEWAY_LATE: 1.5,
    Fault.GATEWAY_BUSY: 1.5,
    Fault.GATEWAY_PENDING: 1.0,
}
"""How often a kind strikes compared with the others; outages and time-outs follow from time."""

_INTENSITIES: Final = (0.03, 0.06, 0.1, 0.2)
_SHARE_OF_KINDS: Final = 0.6
_HIGHEST_RATE: Final = 0.6
_SHARE_OF_FAITHFUL_GATEWAYS: Final = 0.3
_SHARE_OF_PURGES: Final = 0.2
_SHARE_OF_CONTENDED_WORLDS: Final = 0.06
_CONTENDED_RATE: Final = 0.85

_MOST_OF_A_KIND: Final = 500
"""Where processes die all the time, messages multiply faster than anybody handles them: such a run
sees nothing new for its length."""

_OUTAGE_SERVICES: Final = ("dynamodb", "sqs", "states", "lambda", "sns", "gateway")
_OUTAGES_WITHIN_SECONDS: Final = 300.0
_SHORT_OUTAGE_SECONDS: Final = (5.0, 200.0)
_LONG_OUTAGE_SECONDS: Final = (600.0, 4 * 3600.0)

# Of one AWS call at most one of these is drawn.
_OF_ANY_CALL: Final = (
    Fault.REQUEST_LOST,
    Fault.ANSWER_LOST,
    Fault.LATE_COMMIT,
    Fault.THROTTLED,
    Fault.SERVER_ERROR,
    Fault.SERVER_ERROR_AFTER_COMMIT,
    Fault.SLOW,
)
_OF_OPERATION: Final = {
    "TransactWriteItems": Fault.CONFLICT,
    # One write, too, meets the transactions of others:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    "PutItem": Fault.CONFLICT,
    "UpdateItem": Fault.CONFLICT,
    "SendMessageBatch": Fault.PARTIAL_BATCH,
    "GetObject": Fault.TRUNCATED_BODY,
    "PublishBatch": Fault.PARTIAL_BATCH,
}


_NO_ANSWER: Final = frozenset(
    {Fault.GATEWAY_REFUSED, Fault.GATEWAY_ANSWER_LOST, Fault.GATEWAY_LATE}
)


class FaultPlan:
    """The faults of one run: a random selection of kinds at random rates, and outages.

    Args:
        random: the run's one source of chance.
        deadly: whether executions may die (aborted, or outages longer than any retry policy), so
            that something must put their payments back on the queue.
    """

    def __init__(
        self,
        random: Random,
        *,
        deadly: bool,
        without: Collection[Fault] = (),
        skipped: Collection[int] = (),
    ) -> None:
        self._random = random
        self._skipped = skipped
        self.strikes_drawn = 0
        self.active = True
        self.struck: Counter[Fault] = Counter()
        intensity = random.choice(_INTENSITIES)
        self._rates = {
            kind: min(_HIGHEST_RATE, intensity * weight * random.uniform(0.5, 2))
            for kind, weight in _WEIGHTS.items()
            if random.random() < _SHARE_OF_KINDS
        }
        if random.random() < _SHARE_OF_CONTENDED_WORLDS:
            # So many conflicts that a write gives up after its last try.
            self._rates[Fault.CONFLICT] = _CONTENDED_RATE
        if not deadly:
            self._rates.pop(Fault.EXECUTION_ABORTED, None)
            self._rates.pop(Fault.EXECUTION_TIMED_OUT, None)
        # One that answers each time, so that nothing may fail for want of an answer.
        gateway_is_faithful = random.random() < _SHARE_OF_FAITHFUL_GATEWAYS
        if gateway_is_faithful:
            self._rates = {
                kind: self._rates[kind] for kind in self._rates if kind not in _NO_ANSWER
            }
            self._rates[Fault.GATEWAY_PENDING] = _HIGHEST_RATE
        self._outages: dict[str, list[tuple[float, float]]] = {}
        for service in _OUTAGE_SERVICES:
            if random.random() < 0.25 and not (gateway_is_faithful and service == "gateway"):
                long = deadly and random.random() < 0.5
                start = random.uniform(0, _OUTAGES_WITHIN_SECONDS)
                lasts = random.uniform(*(_LONG_OUTAGE_SECONDS if long else _SHORT_OUTAGE_SECONDS))
                self._outages.setdefault(service, []).append((start, start + lasts))
        self.purge_at: float | None = None
        """When all messages about payments are lost; what is not handled until then is open."""
        if deadly and random.random() < _SHARE_OF_PURGES:
            self.purge_at = random.uniform(60, _OUTAGES_WITHIN_SECONDS)
            self._outages.setdefault("mapping", []).append((0.0, self.purge_at))
        # Taken away last, so that what is left happens as it does with all the others.
        self._rates = {kind: rate for kind, rate in self._rates.items() if kind not in without}
        if Fault.OUTAGE in without:
            self._outages = {k: v for k, v in self._outages.items() if k in {"gateway", "mapping"}}
        if Fault.GATEWAY_DOWN in without:
            self._outages.pop("gateway", None)
        if Fault.QUEUE_PURGED in without:
            self._outages.pop("mapping", None)
            self.purge_at = None

    def strikes(self, kind: Fault) -> bool:
        """Decide whether a fault happens here and now, and count it."""
        rate = self._rates.get(kind)
        if rate is None or not self.active or self.struck[kind] >= _MOST_OF_A_KIND:
            return False
        if self._random.random() >= rate:
            return False
        self.strikes_drawn += 1
        if self.strikes_drawn - 1 in self._skipped:
            return False
        self.struck[kind] += 1
        return True

    def of_call(self, service: str, operation: str, now: float) -> Fault | None:
        """Return what happens to one AWS call, if anything does."""
        if self.is_down(service, now):
            return Fault.OUTAGE
        special = _OF_OPERATION.get(operation)
        if special is not None and self.strikes(special):
            return special
        return next((kind for kind in _OF_ANY_CALL if self.strikes(kind)), None)

    def is_down(self, service: str, now: float) -> bool:
        """Say whether a service is in an outage, and count the call it spoils."""
        if not self.active:
            return False
        if any(start <= now < end for start, end in self._outages.get(service, ())):
            self.struck[Fault.GATEWAY_DOWN if service == "gateway" else Fault.OUTAGE] += 1
            return True
        return False
