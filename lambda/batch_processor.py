"""Batch files: an upload → the batch's workflow, and the workflow's steps → rows, queue, reports."""

import json
from collections.abc import Mapping
from typing import Any, cast

from aws_lambda_powertools.utilities.typing import LambdaContext

from payments.batches.batch import Batch
from payments.batches.states import Answer, BatchInput, Death, Step
from payments.batches.steps import BatchProcessing
from payments.batches.uploads import uploads
from payments.core.executions import died
from payments.flows.ports import Workflow
from payments.runtime import batch_processor as runtime
from payments.telemetry import metrics
from payments.telemetry.logs import logger
from payments.telemetry.traces import traced


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Handle an S3 event notification, one step of the batch workflow, or its death."""
    if "action" in event:
        return run_step(event, runtime.batch_processing())
    if "detail-type" in event:
        end(event, runtime.batch_processing(), runtime.batch_workflow())
        return {}
    start(event, runtime.batch_workflow())
    return {}


def start(event: Mapping[str, Any], workflow: Workflow) -> None:
    """Start the workflow of every object version that an S3 event names.

    Raises:
        InvalidMessage: it is no event of S3's: what it stands for must not be passed over.
        ServiceUnavailable: Lambda then delivers the event again, at last to the failure
            destination.
    """
    for batch, size in uploads(event):
        # The name follows from the version, so an event delivered twice starts one workflow.
        given = BatchInput(batch=batch.to_dict(), size=size)
        workflow.start_once(batch.batch_id, given)
        logger.info("batch started", extra={"batch": batch.to_dict()})


def end(event: Mapping[str, Any], processing: BatchProcessing, workflow: Workflow) -> None:
    """Start another execution, which fails, announces and sets aside a batch whose workflow died.

    The workflow itself cannot catch that (EventBridge, status change):
    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html

    Raises:
        ServiceUnavailable: Lambda then delivers the event again.
    """
    detail = event["detail"]
    dead: BatchInput = json.loads(detail["input"])
    batch = Batch.from_dict(dead["batch"])
    if not processing.is_left_open(batch, by_failure=detail["status"] == "FAILED"):
        return
    logger.error("workflow died", extra={"execution": detail["name"], "status": detail["status"]})
    error: Death = {
        "Error": f"Workflow.{detail['status']}",
        "Cause": f"the execution {detail['name']} died",
    }
    workflow.start_once(died(detail["name"]), {**dead, "error": error})


def run_step(event: Mapping[str, Any], processing: BatchProcessing) -> dict[str, Any]:
    """Carry out one step of the workflow: ``plan``, ``range``, ``follow`` or ``fail``.

    Raises:
        ServiceUnavailable: the workflow's retry policy decides when to try again.
    """
    return {**_answer(cast("Step", event), processing)}


def _answer(step: Step, processing: BatchProcessing) -> Answer:
    batch = Batch.from_dict(step["batch"])
    logger.append_keys(batch_id=batch.batch_id, step=step["action"])
    # Counted once a step has done its work; one that is repeated for a lost answer counts again.
    match step["action"]:
        case "plan":
            plan = processing.plan(batch, step["size"], step["before"])
            if step["before"] is None:
                metrics.count({"BatchesStarted": 1})
            return plan
        case "range":
            if seconds := processing.waits_for_room(batch):
                logger.info("range waits for room in the queue", extra={"seconds": seconds})
                return {"wait_seconds": seconds}
            result = processing.process_range(batch, step["columns"], step["range"])
            metrics.count({"RowsAccepted": result.accepted, "RowsRejected": result.rejected})
            return {"wait_seconds": 0}
        case "follow":
            progress = processing.follow(batch, step["waited_seconds"], step["reported"])
            if progress["settled"]:
                metrics.count({"BatchesEnded": 1})
            return progress
        case "fail":
            failure = processing.fail(batch)
            metrics.count({"BatchesEnded": 1})
            return failure
        case unknown:
            raise ValueError(f"the batch workflow has no step {unknown!r}")
