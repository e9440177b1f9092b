"""The state machine that carries on with a payment which one try could not finish."""

from collections.abc import Mapping
from typing import Any, Final

from constructs import Construct

from lib.config import Workflow
from lib.environment import Environment
from lib.functions.compute import Compute
from lib.kit.arns import Arns
from lib.kit.function import PythonFunction
from lib.kit.iam import Statement
from lib.kit.state_machine import add_state_machine, invoke_task, retry, tell_of_deaths

TASK_TIMEOUT_SECONDS: Final = 60
# Enough for an outage of days, and far from the 25,000 events that a history holds.
ENDLESS: Final = 1000
EXECUTION_TIMEOUT_SECONDS: Final = 70 * 24 * 3600
"""Beyond what all retries of all states take together, so only a fault runs into it."""


class PaymentWorkflow(Construct):
    """Charge until there is an outcome, and settle if it stays unknown."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        compute: Compute,
    ) -> None:
        super().__init__(scope, id_)
        self.state_machine = add_state_machine(
            self,
            Workflow.PAYMENT,
            environment=environment,
            definition=definition(compute.payment_processor, environment.arns),
            permissions=[
                Statement(
                    sid="CallPaymentProcessor",
                    actions=("lambda:InvokeFunction",),
                    resources=(compute.payment_processor.arn,),
                ),
            ],
        )
        tell_of_deaths(
            self,
            Workflow.PAYMENT,
            environment=environment,
            state_machine=self.state_machine,
            function=compute.payment_processor,
        )


# A payment that is not there will not be there later.
_NO_RETRY: Final = {"ErrorEquals": ["PaymentNotFound"], "MaxAttempts": 0}

# The function did not run, or nobody knows whether it did: no sign of anything at the processor.
# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
_NOT_REACHED: Final = (
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
)


def definition(payment_processor: PythonFunction, arns: Arns) -> dict[str, Any]:
    """Return the workflow in the Amazon States Language.

    Its input is a ``PaymentInput``, about a payment that one try could not finish, or an
    ``OperationInput`` (``payments.core.executions``). A declined payment is a success of the
    workflow; the workflow fails only if the outcome could not be found out. Only a charge whose outcome stays unknown leads to ``Settle``; whatever is busy,
    waits or fails on our own side is tried again for as long as it takes.
    """
    return {
        "Comment": "One payment, or operation on one, that one try could not finish",
        "StartAt": "What",
        "TimeoutSeconds": EXECUTION_TIMEOUT_SECONDS,
        "States": {
            "What": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.operation", "IsPresent": True, "Next": "Perform"}],
                "Default": "Charge",
            },
            # Asks what became of it and has it done, for as long as it takes; never guesses.
            "Perform": {
                **_task(
                    payment_processor,
                    arns,
                    action="perform",
                    subject={
                        "operation.$": "$.operation",
                        "operation_id.$": "$.operation_id",
                    },
                ),
                "Retry": [
                    {**_NO_RETRY, "ErrorEquals": ["PaymentNotFound", "OperationNotFound"]},
                    retry("GatewayRefused", seconds=60, attempts=ENDLESS, at_most_seconds=900),
                    retry("ChargePending", seconds=60, attempts=ENDLESS, at_most_seconds=3600),
                    retry("States.ALL", seconds=5, attempts=ENDLESS, at_most_seconds=300),
                ],
                "End": True,
            },
            "Charge": {
                **_task(payment_processor, arns, action="charge"),
                "Retry": [
                    _NO_RETRY,
                    retry("GatewayUnavailable", seconds=2, attempts=6, at_most_seconds=60),
                    retry("GatewayRefused", seconds=60, attempts=ENDLESS, at_most_seconds=900),
                    retry("ChargePending", seconds=60, attempts=ENDLESS, at_most_seconds=3600),
                    retry(*_NOT_REACHED, seconds=2, attempts=ENDLESS, at_most_seconds=300),
                    retry("States.ALL", seconds=5, attempts=ENDLESS, at_most_seconds=300),
                ],
                "Catch": [
                    {
                        "ErrorEquals": ["GatewayUnavailable"],
                        "ResultPath": "$.error",
                        "Next": "Settle",
                    }
                ],
                "End": True,
            },
            # Asks the gateway to cancel or confirm, for as long as it takes; never guesses.
            "Settle": {
                **_task(payment_processor, arns, action="settle"),
                "Retry": [
                    _NO_RETRY,
                    retry("States.ALL", seconds=5, attempts=ENDLESS, at_most_seconds=300),
                ],
                "End": True,
            },
        },
    }


def _task(
    function: PythonFunction, arns: Arns, *, action: str, subject: Mapping[str, str] | None = None
) -> dict[str, Any]:
    task = invoke_task(
        function,
        arns,
        payload={
            "action": action,
            "payment_id.$": "$.payment_id",
            "correlation_id.$": "$.correlation_id",
            "execution_arn.$": "$$.Execution.Id",
            "attempt.$": "$$.State.RetryCount",
            **(subject or {}),
        },
        timeout_seconds=TASK_TIMEOUT_SECONDS,
    )
    return {**task, "OutputPath": "$.Payload"}
