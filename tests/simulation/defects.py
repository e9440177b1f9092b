"""Deliberate defects: what the code under test would do if somebody had written it carelessly.

Each is a patch of the real code, and each must be caught by the invariants: the simulator's bite.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from random import Random
from typing import Any, Final
from unittest.mock import patch

from botocore.exceptions import BotoCoreError, ClientError

import event_publisher
import payment_processor
import payments.aws.batches
import payments.aws.dry_runs
import payments.aws.payments
from payments.aws.batches import BatchStore
from payments.aws.dry_runs import DryRunStore
from payments.aws.items import Item, expires_at
from payments.aws.payments import OPEN_SHARDS, PaymentStore
from payments.aws.queue import MessageQueue
from payments.aws.topic import Topic
from payments.aws.transactions import Transactions
from payments.aws.workflows import Workflow
from payments.batches.progress import RangeResult
from payments.batches.steps import BatchProcessing
from payments.core.announcements import announcement
from payments.core.audit import AuditRecord
from payments.core.faults import (
    GatewayBusy,
    GatewayUnavailable,
    PaymentConflict,
    ServiceUnavailable,
)
from payments.core.messages import PaymentMessage
from payments.core.payment import (
    Failure,
    OpenPayment,
    Payment,
    PaymentRequest,
    PaymentStatus,
    Transition,
)
from payments.core.postings import Posting, postings_of
from payments.flows.charge import Charging, Witness
from payments.flows.intake import PaymentIntake
from payments.flows.sweep import Found, OperationSweep, PaymentSweep
from payments.gateways.port import CANCELLED
from tests.simulation import defects_of_operations
from tests.simulation.dynamodb import PAGE_ITEMS
from tests.simulation.processes import ProcessKilled
from tests.simulation.wire import Wire

type Defect = Callable[[], Any]


@contextmanager
def check_then_write() -> Iterator[None]:
    """A payment is created if a read did not find it, not by a conditional write."""
    create = PaymentStore.create

    def careless(
        self: PaymentStore, request: PaymentRequest, *, actor: str, at: str
    ) -> tuple[Payment, bool]:
        stored = self.get(request.payment_id)
        return (stored, False) if stored else create(self, request, actor=actor, at=at)

    with patch.object(PaymentStore, "create", careless), _unconditional("Put"):
        yield


@contextmanager
def unguarded_update() -> Iterator[None]:
    """A transition overwrites whatever status there is."""
    with _unconditional("Update"):
        yield


@contextmanager
def unnamed_execution() -> Iterator[None]:
    """Each start is an execution of its own."""

    def careless(self: Workflow, _subject: str, workflow_input: Mapping[str, Any]) -> None:
        try:
            self._client.start_execution(
                stateMachineArn=self._arn, input=json.dumps(workflow_input)
            )
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable("the workflow could not be started") from error

    with (
        patch.object(Workflow, "ensure_running", careless),
        patch.object(Workflow, "start_once", careless),
    ):
        yield


@contextmanager
def send_before_write() -> Iterator[None]:
    """The payment is queued before it is stored."""

    def careless(self: PaymentIntake, request: PaymentRequest) -> tuple[Payment, bool]:
        self._queue.send_again(PaymentMessage(request))  # type: ignore[attr-defined]  # the adapter's
        payment, created = self._store.create(request, actor="api", at=self._clock())
        if payment.content_hash != request.content.hash:
            raise PaymentConflict(payment)
        return payment, created

    with patch.object(PaymentIntake, "submit", careless):
        yield


@contextmanager
def ack_before_work() -> Iterator[None]:
    """Messages are deleted before they are handled: whatever fails then is gone."""
    consume = payment_processor.consume

    def careless(*arguments: Any) -> dict[str, Any]:
        with suppress(ProcessKilled):
            consume(*arguments)
        return {"batchItemFailures": []}

    with patch.object(payment_processor, "consume", careless):
        yield


@contextmanager
def guessed_failure() -> Iterator[None]:
    """When charging got no answer, the payment is recorded as failed without asking."""

    def careless(self: Charging, payment_id: str, witness: Witness) -> Payment:
        payment = self._stored(payment_id)
        if payment.status.is_settled:
            return payment
        return self._fail(payment, CANCELLED, witness)

    with patch.object(Charging, "settle", careless):
        yield


@contextmanager
def partial_failure_ignored() -> Iterator[None]:
    """A batch of messages that was sent in part counts as sent."""

    def careless(self: MessageQueue, messages: Sequence[str]) -> int:
        entries: Any = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(messages)]
        try:
            self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable("messages could not be queued") from error
        return len(messages)

    with patch.object(MessageQueue, "_send_chunk", careless):
        yield


@contextmanager
def dead_execution_counts() -> Iterator[None]:
    """An execution that has ended is taken for one that runs."""
    with patch.object(Workflow, "ensure_running", Workflow.start_once):
        yield


@contextmanager
def event_id_anew() -> Iterator[None]:
    """Each announcement has an id of its own."""
    random = Random(0)

    def careless(record: AuditRecord) -> tuple[dict[str, Any], dict[str, str]]:
        document, attributes = announcement(record)
        return {**document, "event_id": f"{random.getrandbits(64):x}"}, attributes

    with patch.object(event_publisher, "announcement", careless):
        yield


@contextmanager
def refused_event_forgotten() -> Iterator[None]:
    """An event that the topic refused passes for one that was published."""
    publish = Topic.publish

    def careless(self: Topic, events: Any) -> Sequence[int]:
        publish(self, events)
        return ()

    with patch.object(Topic, "publish", careless):
        yield


@contextmanager
def busy_is_declined() -> Iterator[None]:
    """A processor that has too much to do passes for one that declines."""
    charge = Charging.charge

    def careless(self: Charging, payment: Payment, witness: Witness) -> Payment:
        try:
            return charge(self, payment, witness)
        except GatewayBusy:
            return self._fail(payment, CANCELLED, witness)

    with patch.object(Charging, "charge", careless):
        yield


@contextmanager
def decline_by_another_name() -> Iterator[None]:
    """Every decline is recorded as a gateway that could not be reached."""
    fail = Charging._fail

    def careless(
        self: Charging, payment: Payment, _: Failure, witness: Witness, *answer: Any
    ) -> Payment:
        return fail(self, payment, CANCELLED, witness, *answer)

    with patch.object(Charging, "_fail", careless):
        yield


@contextmanager
def conflicts_pass_for_written() -> Iterator[None]:
    """A write that met conflicts to its last try passes for one that was made."""
    write = Transactions.write

    def careless(self: Transactions, writes: Any) -> list[dict[str, Any]]:
        try:
            return write(self, writes)
        except ServiceUnavailable as error:
            if error.__cause__ is None:
                return []
            raise

    with patch.object(Transactions, "write", careless):
        yield


@contextmanager
def one_shard_swept() -> Iterator[None]:
    """The sweep looks at the first shard of the index, and takes it for all."""
    with _swept_if(lambda shard: shard == 0):
        yield


@contextmanager
def last_shard_never_swept() -> Iterator[None]:
    """The sweep counts the shards of the index from 0 and stops one too early."""
    with _swept_if(lambda shard: shard < OPEN_SHARDS - 1):
        yield


@contextmanager
def _swept_if(chosen: Callable[[int], bool]) -> Iterator[None]:
    open_payments = PaymentStore.open_payments

    def careless(
        self: PaymentStore, accepted_before: str, last_look: Mapping[int, OpenPayment]
    ) -> Iterator[OpenPayment]:
        for entry in open_payments(self, accepted_before, last_look):
            if chosen(entry.shard):
                yield entry

    with patch.object(PaymentStore, "open_payments", careless):
        yield


@contextmanager
def ten_put_back() -> Iterator[None]:
    """The sweep puts back no more than one call of SQS takes."""
    put_back = PaymentSweep.put_back

    def careless(self: PaymentSweep, found: Found) -> int:
        return put_back(self, replace(found, stuck=found.stuck[:10]))

    with patch.object(PaymentSweep, "put_back", careless):
        yield


@contextmanager
def timed_out_taken_for_alive() -> Iterator[None]:
    """Of dead executions, only those that failed or were stopped are answered."""
    restart = payment_processor.restart

    def careless(
        event: Mapping[str, Any], sweep: PaymentSweep, operations: OperationSweep
    ) -> dict[str, Any]:
        if event["detail"]["status"] == "TIMED_OUT":
            return {"put_back": 0}
        return restart(event, sweep, operations)

    with patch.object(payment_processor, "restart", careless):
        yield


@contextmanager
def records_expire_at_once() -> Iterator[None]:
    """What is kept of batches expires after four seconds."""

    def careless(at: str, _retention: timedelta | None = None) -> int:
        return expires_at(at, timedelta(seconds=4))

    with (
        patch.object(payments.aws.batches, "expires_at", careless),
        patch.object(payments.aws.payments, "expires_at", careless),
        patch.object(payments.aws.dry_runs, "expires_at", careless),
    ):
        yield


@contextmanager
def hopeless_dropped() -> Iterator[None]:
    """A message that nobody can handle is deleted instead of set aside."""
    with patch.object(payment_processor, "_is_set_aside", lambda *_: True):
        yield


@contextmanager
def reason_not_recorded() -> Iterator[None]:
    """A payment fails without a reason."""
    with patch.object(Charging, "_fail", _fail_without_reason):
        yield


def _fail_without_reason(
    self: Charging, payment: Payment, _failure: Failure, witness: Witness, *_answer: Any
) -> Payment:
    return self._move(payment, PaymentStatus.FAILED, witness)


@contextmanager
def own_outage_fails_payments() -> Iterator[None]:
    """A payment that AWS kept us from charging is settled as if the processor had been away."""
    charge_by_id = Charging.charge_by_id

    def careless(self: Charging, payment_id: str, witness: Witness) -> Payment:
        try:
            return charge_by_id(self, payment_id, witness)
        except ServiceUnavailable as error:
            raise GatewayUnavailable("charged nothing") from error

    with patch.object(Charging, "charge_by_id", careless):
        yield


@contextmanager
def counted_before_written() -> Iterator[None]:
    """A status is counted before the write that decides whether it is reached."""
    move = Charging._move

    def careless(
        self: Charging, payment: Payment, to: PaymentStatus, witness: Witness, **about: Any
    ) -> Payment:
        tally = self._tally
        tally(replace(payment, status=to))
        with patch.object(self, "_tally", lambda _: None):
            return move(self, payment, to, witness, **about)

    with patch.object(Charging, "_move", careless):
        yield


@contextmanager
def outcome_counted_apart() -> Iterator[None]:
    """A row's outcome is counted after the transaction that brings it about, not in it."""
    transition, count = PaymentStore.transition, payments.aws.payments.row_count

    def careless(self: PaymentStore, payment: Payment, change: Transition) -> Payment:
        moved = transition(self, payment, change)
        if change.to.is_settled:
            writes = count(self._tables.processing_status, payment, change)
            if writes:
                self._transactions.write(writes)
        return moved

    with (
        patch.object(PaymentStore, "transition", careless),
        patch.object(payments.aws.payments, "row_count", lambda *_: []),
    ):
        yield


@contextmanager
def range_dropped() -> Iterator[None]:
    """A range that could not be processed passes for one that was."""
    process_range = BatchProcessing.process_range

    def careless(self: BatchProcessing, *arguments: Any) -> RangeResult:
        try:
            return process_range(self, *arguments)
        except ServiceUnavailable:
            return RangeResult(
                number=0, accepted=0, rejected=0, accepted_minor={}, exponents={}, reports=0
            )

    with patch.object(BatchProcessing, "process_range", careless):
        yield


@contextmanager
def only_first_page() -> Iterator[None]:
    """Of what is known of a batch, the first page of each query is all."""
    query = BatchStore._query

    def careless(self: BatchStore, entity_id: str) -> Iterator[dict[str, Any]]:
        return islice(query(self, entity_id), PAGE_ITEMS)

    with patch.object(BatchStore, "_query", careless):
        yield


@contextmanager
def dry_run_forgets() -> Iterator[None]:
    """A dry run looks payments up, and remembers of its own rows only those of one call."""
    put = DryRunStore._put

    def careless(
        self: DryRunStore, items: list[Item], condition: str | None = None
    ) -> list[dict[str, Any]]:
        return [] if condition else put(self, items)

    with patch.object(DryRunStore, "_put", careless):
        yield


@contextmanager
def _unconditional(kind: str) -> Iterator[None]:
    """Send transactions whose first write is of this kind without any condition."""
    commit = Wire._commit

    def careless(self: Wire, service: str, operation: str, parameters: dict[str, Any]) -> Any:
        writes = parameters.get("TransactItems", [])
        if writes and kind in writes[0]:
            plain = [
                {action: {name: value for name, value in write.items() if "Condition" not in name}}
                for entry in writes
                for action, write in entry.items()
            ]
            parameters = {**parameters, "TransactItems": plain}
        return commit(self, service, operation, parameters)

    with patch.object(Wire, "_commit", careless):
        yield


@contextmanager
def posting_left_out() -> Iterator[None]:
    """Money moves and nothing is posted."""
    with _postings(lambda _: []):
        yield


@contextmanager
def posted_twice() -> Iterator[None]:
    """What moves money is posted twice."""
    with _postings(lambda postings: postings * 2):
        yield


@contextmanager
def debit_and_credit_swapped() -> Iterator[None]:
    """What belongs to one account is posted to the other."""

    def swapped(postings: list[Posting]) -> list[Posting]:
        return [Posting(each.credit, each.debit, each.amount_minor) for each in postings]

    with _postings(swapped):
        yield


@contextmanager
def _postings(careless: Callable[[list[Posting]], list[Posting]]) -> Iterator[None]:
    with patch("payments.core.audit.postings_of", lambda *step: careless(postings_of(*step))):
        yield


DEFECTS: Final[dict[str, Defect]] = {
    defect.__name__: defect
    for defect in (
        check_then_write,
        unguarded_update,
        unnamed_execution,
        send_before_write,
        ack_before_work,
        guessed_failure,
        partial_failure_ignored,
        dead_execution_counts,
        event_id_anew,
        refused_event_forgotten,
        busy_is_declined,
        decline_by_another_name,
        conflicts_pass_for_written,
        one_shard_swept,
        last_shard_never_swept,
        ten_put_back,
        timed_out_taken_for_alive,
        records_expire_at_once,
        hopeless_dropped,
        reason_not_recorded,
        own_outage_fails_payments,
        counted_before_written,
        outcome_counted_apart,
        range_dropped,
        only_first_page,
        dry_run_forgets,
        posting_left_out,
        posted_twice,
        debit_and_credit_swapped,
        *defects_of_operations.DEFECTS,
    )
}
