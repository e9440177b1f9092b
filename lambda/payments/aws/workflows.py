"""Adapter: the workflows (Step Functions). Every AWS failure is ``ServiceUnavailable``."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from payments.aws.failures import unavailable
from payments.core.faults import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


_MAX_RESTARTS = 20


class Workflow:
    """A Step Functions state machine. Every AWS failure is a :class:`ServiceUnavailable`."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def ensure_running(self, name: str, workflow_input: Mapping[str, Any]) -> None:
        """Start the one execution of a name, unless it runs or has succeeded.

        Step Functions itself refuses a second execution of a name. Only after one that died
        (failed, aborted, timed out) is there a next, ``{name}.2``.
        """
        for restart in range(1, _MAX_RESTARTS + 1):
            # No name has a point, so no restart can take another's name.
            execution = name if restart == 1 else f"{name}.{restart}"
            if self._start(execution, workflow_input) or not self._has_died(execution):
                return
        raise ServiceUnavailable(f"the workflow died {_MAX_RESTARTS} times")

    def _start(self, execution: str, workflow_input: Mapping[str, Any]) -> bool:
        with unavailable("the workflow could not be started"):
            try:
                self._client.start_execution(
                    stateMachineArn=self._arn, name=execution, input=json.dumps(workflow_input)
                )
            except self._client.exceptions.ExecutionAlreadyExists:
                return False
        return True

    def _has_died(self, execution: str) -> bool:
        arn = f"{self._arn.replace(':stateMachine:', ':execution:')}:{execution}"
        with unavailable("the workflow could not be looked up"):
            try:
                answer = self._client.describe_execution(executionArn=arn)
            except self._client.exceptions.ExecutionDoesNotExist:
                # DescribeExecution is eventually consistent: it was started a moment ago.
                return False
        return answer["status"] in {"FAILED", "TIMED_OUT", "ABORTED"}
