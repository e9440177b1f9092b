"""The state machine that takes one payment from accepted to announced."""

from typing import Any, Final

from constructs import Construct

from lib.config import Workflow
from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.functions.compute import Compute
from lib.kit.arns import Arns
from lib.kit.function import PythonFunction
from lib.kit.iam import Statement
from lib.kit.state_machine import add_state_machine, invoke_task, publish_task, retry

TASK_TIMEOUT_SECONDS: Final = 60
# Enough for an outage of more than a day, and far from the 25,000 events that a history holds:
# an execution that died would leave its payment without an end or without an announcement.
ENDLESS_ATTEMPTS: Final = 1000
EXECUTION_TIMEOUT_SECONDS: Final = 10 * 24 * 3600
"""Beyond what all retries of all states take together, so only a fault runs into it."""


class PaymentWorkflow(Construct):
    """Charge, settle if the charge's outcome is unknown, and notify."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        messaging: Messaging,
        compute: Compute,
    ) -> None:
        super().__init__(scope, id_)
        self.state_machine = add_state_machine(
            self,
            Workflow.PAYMENT,
            environment=environment,
            definition=definition(compute.payment_processor, messaging, environment.arns),
            permissions=[
                Statement(
                    sid="CallPaymentProcessor",
                    actions=("lambda:InvokeFunction",),
                    resources=(compute.payment_processor.resource.arn,),
                ),
                Statement(sid="Notify", actions=("sns:Publish",), resources=(messaging.topic.arn,)),
                environment.encryption.use_through("sns"),
            ],
        )


# A payment that is not there will not be there later.
_NO_RETRY: Final = {"ErrorEquals": ["PaymentNotFound"], "MaxAttempts": 0}


def definition(
    payment_processor: PythonFunction, messaging: Messaging, arns: Arns
) -> dict[str, Any]:
    """Return the workflow in the Amazon States Language.

    Its input is ``{"payment_id", "correlation_id"}``. A declined payment is a success of the
    workflow; the workflow fails only if the outcome could not be found out or announced.
    """
    return {
        "Comment": "One payment, from accepted to announced",
        "StartAt": "Charge",
        "TimeoutSeconds": EXECUTION_TIMEOUT_SECONDS,
        "States": {
            "Charge": {
                **_task(payment_processor, arns, action="charge"),
                "Retry": [
                    _NO_RETRY,
                    retry("GatewayUnavailable", seconds=2, attempts=4, at_most_seconds=30),
                    retry("States.ALL", seconds=2, attempts=6, at_most_seconds=60),
                ],
                "Catch": [
                    {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Settle"}
                ],
                "Next": "Notify",
            },
            # Asks the gateway to cancel or confirm, for as long as it takes; never guesses.
            "Settle": {
                **_task(payment_processor, arns, action="settle"),
                "Retry": [
                    _NO_RETRY,
                    retry("States.ALL", seconds=5, attempts=ENDLESS_ATTEMPTS, at_most_seconds=300),
                ],
                "Next": "Notify",
            },
            "Notify": {
                **publish_task(
                    messaging.topic,
                    arns,
                    message="$.notification",
                    attributes={
                        "event_type": "$.notification.event_type",
                        "status": "$.status",
                        "currency": "$.notification.payment.currency",
                    },
                    attempts=ENDLESS_ATTEMPTS,
                ),
                "End": True,
            },
        },
    }


def _task(function: PythonFunction, arns: Arns, *, action: str) -> dict[str, Any]:
    task = invoke_task(
        function,
        arns,
        payload={
            "action": action,
            "payment_id.$": "$.payment_id",
            "correlation_id.$": "$.correlation_id",
            "execution_arn.$": "$$.Execution.Id",
            "attempt.$": "$$.State.RetryCount",
        },
        timeout_seconds=TASK_TIMEOUT_SECONDS,
    )
    return {**task, "OutputPath": "$.Payload"}
