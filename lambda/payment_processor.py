"""Payments on their way: queue messages, what a workflow carries on, and the sweep."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Final, cast

from aws_lambda_powertools.utilities.typing import LambdaContext

from payments.core.executions import (
    ChargeStep,
    OperationInput,
    PaymentInput,
    PerformStep,
    StepAnswer,
)
from payments.core.faults import (
    GatewayRefused,
    InvalidMessage,
    NewerMessage,
    OperationNotFound,
    PaymentError,
    PaymentNotFound,
)
from payments.core.messages import Message, decode_message
from payments.core.operation import OperationKind, OperationRef, OperationStatus
from payments.core.payment import PaymentStatus
from payments.flows.charge import Charging, Witness
from payments.flows.delivery import Again, Done, Failed, Left, delay_seconds
from payments.flows.hints import Hints
from payments.flows.performing import Performing
from payments.flows.sweep import ExpirySweep, OperationSweep, PaymentSweep, RefundReviewSweep
from payments.runtime import payment_processor as runtime
from payments.runtime.payment_processor import Deliveries, Hint, RefundHint
from payments.telemetry import metrics
from payments.telemetry.logs import about, about_payment, logger
from payments.telemetry.traces import traced

FUNCTION: Final = "payment-processor"
"""What the audit trail calls this function."""

_MESSAGES_AT_WORK: Final = 10
_ANSWER_MARGIN_MS: Final = 3_000
"""What is left of the function's time for saying which messages are not done."""
_SWEEP_MARGIN_MS: Final = 10_000
"""What a sweep leaves of its time to put back what it found."""

_RECEIVES_BEFORE_COPY: Final = 40
"""Some less than the queue allows, so that a crash or two do not use up what is left."""

# Never shut down: messages at work when the function answers continue during its next event.
_pool: Final = ThreadPoolExecutor(_MESSAGES_AT_WORK)


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle messages of a queue, a step of the workflow or its death, an event, or the sweep."""
    if "Records" in event:
        return consume(event, runtime.deliveries(), context)
    if event.get("source") == "aws.states":
        return restart(event, runtime.payment_sweep(), runtime.operation_sweep())
    if "detail-type" in event:
        return wake(event, context.aws_request_id, runtime.hint_of(event), runtime.hints())
    if event["action"] == "sweep":
        found = sweep(
            runtime.payment_sweep(),
            runtime.operation_sweep(),
            runtime.refund_review_sweep(),
            context,
        )
        return found | release_expired(runtime.expiry_sweep(), context)
    if event["action"] == "perform":
        return {**perform(event, context.aws_request_id, runtime.performing())}
    return {**run_step(event, context.aws_request_id, runtime.charging())}


def consume(
    event: Mapping[str, Any], deliveries: Deliveries, context: LambdaContext
) -> dict[str, Any]:
    """Handle messages side by side; each fails alone, and a slow one holds up no other.

    Returns:
        ``batchItemFailures``, the messages that SQS must deliver again (partial batch response).
    """
    records = event["Records"]
    work = {
        _pool.submit(_is_done, record, deliveries, context.aws_request_id, turn): record[
            "messageId"
        ]
        for record, turn in zip(records, _turns(records, deliveries), strict=True)
    }
    seconds = (context.get_remaining_time_in_millis() - _ANSWER_MARGIN_MS) / 1000
    done, late = wait(work, timeout=max(seconds, 0))
    failed = [work[each] for each in done if not each.result()] + [work[each] for each in late]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _turns(records: Sequence[Mapping[str, Any]], deliveries: Deliveries) -> Sequence[float]:
    """Return in how many seconds each message has its turn at the processor."""
    at_once = [0.0] * len(records)
    if deliveries.turns is None:
        return at_once
    since = None
    if deliveries.queue_of(records[0]["eventSourceARN"]) is deliveries.events:
        since = min(int(each["attributes"]["SentTimestamp"]) for each in records) / 1000
    try:
        return deliveries.turns.take(len(records), waiting_since=since)
    except PaymentError:
        # The processor itself says when it is too much, and then they wait.
        logger.exception("messages take no turns")
        return at_once


def _is_done(
    record: Mapping[str, Any], deliveries: Deliveries, request_id: str, turn_seconds: float
) -> bool:
    """Handle one message when its turn has come; return whether SQS may delete it."""
    time.sleep(turn_seconds)
    receives = int(record["attributes"]["ApproximateReceiveCount"])
    try:
        message = decode_message(record["body"])
        with about(message.payment_id, message.correlation_id):
            witness = Witness(actor=FUNCTION, request_id=request_id, attempt=message.tries)
            is_first = receives == 1 and message.tries == 0
            match deliveries.deliver(message, witness, is_first=is_first):
                case Again(seconds, reason, is_refused):
                    if is_refused:
                        metrics.count({"ProcessorRefusals": 1})
                    logger.warning("payment waits", extra={"reason": reason})
                    deliveries.queues.send_again(message.again(), delay_seconds=seconds)
                case Failed(reason):
                    logger.error("message not handled yet", extra={"reason": reason})
                    return _waits(record, message, receives, deliveries)
                case Left(reason):
                    logger.error("only the sweep asks on", extra={"reason": reason})
                case Done():
                    return True
    except (InvalidMessage, PaymentNotFound, OperationNotFound) as fault:
        return _is_set_aside(record["body"], fault, deliveries)
    except NewerMessage as newer:
        logger.warning("message waits for a newer release", extra={"reason": str(newer)})
        _hide(record, delay_seconds(receives + 4), deliveries)
        return False
    except Exception:  # noqa: BLE001 - one message must not take its neighbours along
        logger.exception("message not handled yet")
        return False
    return True


def _waits(
    record: Mapping[str, Any], message: Message, receives: int, deliveries: Deliveries
) -> bool:
    """Let a message wait, longer each time; return whether a copy was sent in its place.

    A copy starts without receives. Copies are rare, because each may become two where answers of
    SQS get lost.
    """
    seconds = delay_seconds(receives - 1)
    if receives < _RECEIVES_BEFORE_COPY:
        _hide(record, seconds, deliveries)
        return False
    deliveries.queues.send_again(message.again(), delay_seconds=seconds)
    return True


def _is_set_aside(body: str, fault: PaymentError, deliveries: Deliveries) -> bool:
    reason = f"{type(fault).__name__}: {fault}"
    logger.error("message cannot be handled", extra={"reason": reason})
    try:
        deliveries.dead_letters.send(body, reason=reason)
    except PaymentError:
        logger.exception("message could not be set aside yet")
        return False
    return True


def _hide(record: Mapping[str, Any], seconds: int, deliveries: Deliveries) -> None:
    queue = deliveries.queue_of(record["eventSourceARN"])
    try:
        queue.hide(record["receiptHandle"], seconds)
    except PaymentError:
        logger.exception("message keeps its visibility timeout")


def run_step(event: Mapping[str, Any], request_id: str, charging: Charging) -> StepAnswer:
    """Carry out one step of the workflow: ``charge``, or ``settle`` what stays unknown.

    Returns:
        ``payment_id`` and ``status``.

    Raises:
        GatewayUnavailable, GatewayBusy, GatewayRefused, ChargePending: by which the workflow's
            retry policy decides when to try again, and whether to settle.
        PaymentNotFound: no retry can help.
        ServiceUnavailable: try again.
    """
    given = cast("ChargeStep", event)
    steps = {"charge": charging.charge_by_id, "settle": charging.settle}
    step = steps[given["action"]]
    return _step(given, request_id, lambda witness: step(given["payment_id"], witness).status)


def perform(event: Mapping[str, Any], request_id: str, performing: Performing) -> StepAnswer:
    """Carry out an operation that one try could not finish: a step of the workflow.

    Returns and raises as :func:`run_step`, and ``OperationNotFound``.
    """
    given = cast("PerformStep", event)
    which = _operation(given)
    return _step(given, request_id, lambda witness: performing.perform(which, witness).status)


def _step(
    event: ChargeStep | PerformStep,
    request_id: str,
    step: Callable[[Witness], PaymentStatus | OperationStatus],
) -> StepAnswer:
    payment_id = event["payment_id"]
    # Without what all executions of an account have in common: each KB of a record costs.
    execution = event["execution_arn"].partition(":execution:")[2]
    witness = Witness(actor=execution, request_id=request_id, attempt=event["attempt"])
    with about(payment_id, event["correlation_id"]):
        try:
            status = step(witness)
        except PaymentError as error:
            if isinstance(error, GatewayRefused):
                metrics.count({"ProcessorRefusals": 1})
            # Lambda's own line about it knows no payment.
            logger.exception("step has no outcome yet")
            raise
        logger.info("step is done", extra={"status": status.value})
    return {"payment_id": payment_id, "status": status.value}


def _operation(event: OperationInput) -> OperationRef:
    """Return the operation that an execution's input, or a step of it, is about."""
    return OperationRef(
        event["payment_id"], OperationKind(event["operation"]), event["operation_id"]
    )


def restart(
    event: Mapping[str, Any], payments: PaymentSweep, operations: OperationSweep
) -> dict[str, Any]:
    """Put back on its queue what a workflow that died was about (EventBridge, status change).

    See https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    detail = event["detail"]
    workflow_input: PaymentInput = json.loads(detail["input"])
    payment_id = workflow_input["payment_id"]
    about_payment(payment_id)
    logger.error("workflow died", extra={"execution": detail["name"], "status": detail["status"]})
    if "operation" in workflow_input:
        return {"put_back": operations.put_back(_operation(cast("OperationInput", workflow_input)))}
    return {"put_back": payments.put_back_by_id(payment_id)}


def wake(
    event: Mapping[str, Any], request_id: str, hint: Hint | RefundHint | None, hints: Hints
) -> dict[str, Any]:
    """Look a payment or a refund up at the processor that told of it (EventBridge, partner event).

    Returns:
        ``status``, the payment's or the refund's; ``None`` if the event is about none of ours, or
        nobody could look: whatever is open, and refunds that may come back, are looked at again by
        their workflow, their queue or the sweep.
    """
    if hint is None:
        return {"status": None}
    about_payment(hint.payment_id)
    witness = Witness(actor=f"{FUNCTION}:event", request_id=request_id, attempt=0)
    try:
        status = hints.follow(hint, witness)
    except PaymentError:
        logger.warning("event could not be followed", exc_info=True)
        return {"status": None}
    logger.info("event was followed", extra={"type": event["detail-type"], "status": status})
    return {"status": status}


def sweep(
    payments: PaymentSweep,
    operations: OperationSweep,
    refund_reviews: RefundReviewSweep,
    context: LambdaContext,
) -> dict[str, Any]:
    """Put payments and operations that are stuck back on their queue, as many as time allows.

    Returns:
        ``stuck``, how many payments were found, and ``stuck_operations``; the alarms hang on the
        metrics of these, 0 included.

    Raises:
        ServiceUnavailable: the next sweep looks again.
    """

    def has_time() -> bool:
        return context.get_remaining_time_in_millis() > _SWEEP_MARGIN_MS

    found = payments.look(has_time=has_time)
    witness = Witness(actor=FUNCTION, request_id=context.aws_request_id, attempt=0)
    late_reviews = sum(
        each.end_reviews(witness, has_time=has_time) for each in (payments, refund_reviews)
    )
    metrics.count(
        {
            "StuckPayments": len(found.stuck),
            "UnreadablePayments": len(found.unreadable),
            "LateReviews": late_reviews,
        }
    )
    for payment in found.stuck:
        with about(payment.payment_id, payment.correlation_id):
            logger.warning("payment is stuck", extra={"accepted_at": payment.created_at})
    for payment_id, error in found.unreadable.items():
        logger.error("payment cannot be read", exc_info=error, extra={"payment_id": payment_id})
    payments.put_back(found)
    stuck = operations.look(has_time=has_time)
    metrics.count({"StuckOperations": len(stuck)})
    for operation in stuck:
        with about(operation.payment_id, operation.correlation_id):
            logger.warning("operation is stuck", extra={"operation": operation.ref})
    return {"stuck": len(found.stuck), "stuck_operations": len(stuck)}


def release_expired(expiries: ExpirySweep, context: LambdaContext) -> dict[str, Any]:
    """Have authorisations released that have expired; return how many, as ``expired``.

    Those that the processor refuses to release are counted, 0 included: an alarm hangs on them.

    Raises:
        ServiceUnavailable: the next sweep looks again.
    """
    found = expiries.look(
        FUNCTION,
        context.aws_request_id,
        has_time=lambda: context.get_remaining_time_in_millis() > _SWEEP_MARGIN_MS,
    )
    metrics.count({"RefusedReleases": len(found.refused)})
    for payment_id in found.refused:
        logger.error("release was refused", extra={"payment_id": payment_id})
    return {"expired": found.cancelled}
