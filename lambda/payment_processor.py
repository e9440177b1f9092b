"""Payments on their way: queue messages → workflow, and the workflow's steps → charge."""

from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from payments.core.announcements import notification
from payments.core.faults import InvalidMessage, PaymentError
from payments.core.messages import decode_message
from payments.flows.charge import PaymentProcessing, StepContext
from payments.flows.dispatch import PaymentDispatch
from payments.flows.ports import Received
from payments.flows.sweep import PaymentSweep
from payments.runtime import payment_processor as runtime
from payments.telemetry import metrics
from payments.telemetry.logs import about_payment, logger
from payments.telemetry.traces import part_of_trace, traced

_SWEEP_MARGIN_MS: Final = 10_000
"""What a sweep leaves of its time to put back what it found."""


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle a batch of SQS messages, one step of the payment workflow, or the schedule's sweep."""
    if "Records" in event:
        return dispatch(event, runtime.payment_dispatch(), runtime.payment_queue())
    if event["action"] == "sweep":
        return sweep(runtime.payment_sweep(), context)
    return run_step(event, context.aws_request_id, runtime.payment_processing())


def dispatch(event: dict[str, Any], payments: PaymentDispatch, queue: Received) -> dict[str, Any]:
    """Hand each message to the workflow; each fails alone.

    Returns:
        ``batchItemFailures``, the messages that SQS shall deliver again (partial batch response).
    """
    failures = []
    for record in event["Records"]:
        try:
            request = decode_message(record["body"])
            logger.append_keys(correlation_id=request.correlation_id)
            # A part of the trace for each message, so that each can be found by its payment.
            with part_of_trace("## message"):
                about_payment(request.payment_id)
                payments.dispatch(request)
        except InvalidMessage:
            logger.exception("message cannot be handled")
            failures.append(record["messageId"])
            _release(queue, record["receiptHandle"])
        except Exception:  # noqa: BLE001 - one message must not take its neighbours along
            logger.exception("message not handled yet")
            failures.append(record["messageId"])
        finally:
            logger.remove_keys(["payment_id", "correlation_id"])
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failures]}


def run_step(
    event: dict[str, Any], request_id: str, processing: PaymentProcessing
) -> dict[str, Any]:
    """Carry out one step of the workflow: ``charge``, or ``settle`` when charging got no answer.

    Returns:
        ``payment_id``, ``status`` and the ``notification`` that the workflow publishes.

    Raises:
        GatewayUnavailable: the workflow's retry policy decides when to try again.
        PaymentNotFound: no retry can help.
        ServiceUnavailable: try again.
    """
    payment_id = event["payment_id"]
    about_payment(payment_id)
    logger.append_keys(correlation_id=event["correlation_id"])
    steps = {"charge": processing.charge, "settle": processing.settle}
    step = StepContext(
        execution_arn=event["execution_arn"],
        request_id=request_id,
        attempt=event["attempt"],
    )
    try:
        payment = steps[event["action"]](payment_id, step)
    except PaymentError:
        # Lambda's own line about it knows no payment.
        logger.exception("step has no outcome yet")
        raise
    logger.info("payment is settled", extra={"status": payment.status.value})
    return {
        "payment_id": payment_id,
        "status": payment.status.value,
        "notification": notification(payment),
    }


def sweep(payments: PaymentSweep, context: LambdaContext) -> dict[str, Any]:
    """Put payments that are stuck back on the queue, as many as time allows.

    Returns:
        ``stuck``, how many were found; the alarm hangs on the metric of that, 0 included.

    Raises:
        ServiceUnavailable: the schedule tries again.
    """
    found = payments.stuck(
        has_time=lambda: context.get_remaining_time_in_millis() > _SWEEP_MARGIN_MS
    )
    metrics.count({"StuckPayments": len(found)})
    for payment in found:
        about = {"payment_id": payment.payment_id, "correlation_id": payment.correlation_id}
        logger.warning("payment is stuck", extra={**about, "accepted_at": payment.created_at})
    payments.put_back(found)
    return {"stuck": len(found)}


def _release(queue: Received, receipt_handle: str) -> None:
    """Let a hopeless message burn its receives at once instead of one visibility timeout each."""
    try:
        queue.release(receipt_handle)
    except PaymentError:
        logger.exception("message keeps its visibility timeout")
