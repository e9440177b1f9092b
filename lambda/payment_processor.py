"""Payments on their way: queue messages → workflow, and the workflow's steps → charge."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from payments import runtime
from payments.errors import InvalidMessage, PaymentError
from payments.events import PaymentQueue, decode_message
from payments.models import notification
from payments.runtime import logger, metrics
from payments.service import PaymentDispatch, PaymentProcessing, StepContext
from payments.tracing import traced


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@traced
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handle a batch of SQS messages, or one step of the payment workflow."""
    if "Records" in event:
        return dispatch(event, runtime.payment_dispatch(), runtime.payment_queue())
    return run_step(event, context.aws_request_id, runtime.payment_processing())


def dispatch(
    event: dict[str, Any], payments: PaymentDispatch, queue: PaymentQueue
) -> dict[str, Any]:
    """Hand each message to the workflow; each fails alone.

    Returns:
        ``batchItemFailures``, the messages that SQS shall deliver again (partial batch response).
    """
    failures = []
    for record in event["Records"]:
        try:
            request = decode_message(record["body"])
            logger.append_keys(payment_id=request.payment_id, correlation_id=request.correlation_id)
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
    logger.append_keys(payment_id=payment_id, correlation_id=event["correlation_id"])
    steps = {"charge": processing.charge, "settle": processing.settle}
    step = StepContext(
        execution_arn=event["execution_arn"],
        request_id=request_id,
        attempt=event["attempt"],
    )
    payment = steps[event["action"]](payment_id, step)
    logger.info("payment is final", extra={"status": payment.status.value})
    return {
        "payment_id": payment_id,
        "status": payment.status.value,
        "notification": notification(payment),
    }


def _release(queue: PaymentQueue, receipt_handle: str) -> None:
    """Let a hopeless message burn its receives at once instead of one visibility timeout each."""
    try:
        queue.release(receipt_handle)
    except PaymentError:
        logger.exception("message keeps its visibility timeout")
