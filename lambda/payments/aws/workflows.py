"""Adapter: the workflows (Step Functions). Every AWS failure is ``ServiceUnavailable``."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from payments.aws.failures import unavailable
from payments.core.executions import MOST_EXECUTIONS, execution_name
from payments.core.faults import ExecutionsSpent

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class Workflow:
    """A Step Functions state machine."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start_once(self, subject: str, workflow_input: Mapping[str, Any]) -> None:
        """Start the first execution for a subject, unless it ever was started."""
        self._start(execution_name(subject, 1), workflow_input)

    def ensure_running(self, subject: str, workflow_input: Mapping[str, Any]) -> None:
        """Start an execution for a subject that is not at its end, unless one runs.

        Step Functions answers a start with the name and the input of a running execution as if it
        had started it, and refuses the name of one that has ended, however it ended. So the first
        name that is not refused is the one that runs. No call looks an execution up, since the
        quota for that is small:
        https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html

        Raises:
            ExecutionsSpent: all names are refused, for 90 days.
            ServiceUnavailable: try again.
        """
        for number in range(1, MOST_EXECUTIONS + 1):
            if self._start(execution_name(subject, number), workflow_input):
                return
        raise ExecutionsSpent(f"the workflow ended {MOST_EXECUTIONS} times without an outcome")

    def _start(self, execution: str, workflow_input: Mapping[str, Any]) -> bool:
        with unavailable("the workflow could not be started"):
            try:
                self._client.start_execution(
                    stateMachineArn=self._arn,
                    name=execution,
                    input=json.dumps(workflow_input, sort_keys=True),
                )
            except self._client.exceptions.ExecutionAlreadyExists:
                return False
        return True
