"""The executions of a payment or a batch: one at a time, and the next once one has ended."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from payments.aws.workflows import Workflow
from payments.core.executions import MOST_EXECUTIONS, execution_name
from payments.core.faults import ExecutionsSpent, ServiceUnavailable
from tests.unit.cloud import Cloud, calls_of

INPUT = {"payment_id": "pay_1", "correlation_id": "request-1"}


class TestExecutions:
    """Executions in moto, which keeps their names as Step Functions does."""

    @pytest.fixture
    def workflow(self, cloud: Cloud) -> Workflow:
        self.client = boto3.client("stepfunctions")
        self.arn = self.client.create_state_machine(
            name="payment-workflow",
            definition=json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/workflow",
        )["stateMachineArn"]
        return Workflow(self.client, self.arn)

    def executions(self) -> list[str]:
        listed = self.client.list_executions(stateMachineArn=self.arn)["executions"]
        return sorted(execution["name"] for execution in listed)

    def end(self, number: int = 1) -> None:
        executions = self.arn.replace(":stateMachine:", ":execution:")
        self.client.stop_execution(executionArn=f"{executions}:{execution_name('pay_1', number)}")

    @pytest.mark.parametrize("start", ["ensure_running", "start_once"])
    def test_the_first_start_is_called_like_the_payment_and_takes_one_call(
        self, workflow: Workflow, start: str
    ) -> None:
        calls = calls_of(self.client)
        getattr(workflow, start)("pay_1", INPUT)
        assert calls == ["StartExecution"]
        [execution] = self.client.list_executions(stateMachineArn=self.arn)["executions"]
        described = self.client.describe_execution(executionArn=execution["executionArn"])
        assert (described["name"], json.loads(described["input"])) == ("pay_1", INPUT)

    def test_a_running_execution_is_the_one_however_often_it_is_asked_for(
        self, workflow: Workflow
    ) -> None:
        for _ in range(3):
            workflow.ensure_running("pay_1", INPUT)
        assert self.executions() == ["pay_1"]

    def test_an_execution_that_ended_is_followed_by_the_next(self, workflow: Workflow) -> None:
        workflow.ensure_running("pay_1", INPUT)
        self.end()
        for _ in range(2):
            workflow.ensure_running("pay_1", INPUT)
        assert self.executions() == sorted(["pay_1", execution_name("pay_1", 2)])
        self.end(2)
        workflow.ensure_running("pay_1", INPUT)
        assert execution_name("pay_1", 3) in self.executions()

    def test_what_is_started_once_is_not_started_again_when_it_has_ended(
        self, workflow: Workflow
    ) -> None:
        workflow.start_once("pay_1", INPUT)
        self.end()
        workflow.start_once("pay_1", INPUT)
        assert self.executions() == ["pay_1"]

    def test_executions_without_an_outcome_come_to_an_end(self, workflow: Workflow) -> None:
        for number in range(1, MOST_EXECUTIONS + 1):
            workflow.ensure_running("pay_1", INPUT)
            self.end(number)
        with pytest.raises(ExecutionsSpent, match=str(MOST_EXECUTIONS)):
            workflow.ensure_running("pay_1", INPUT)
        assert len(self.executions()) == MOST_EXECUTIONS

    @pytest.mark.parametrize("start", ["ensure_running", "start_once"])
    def test_a_service_that_throttles_is_told_in_the_rules_terms(
        self, workflow: Workflow, start: str
    ) -> None:
        def throttle(**_: object) -> None:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "StartExecution")

        self.client.meta.events.register("before-call.sfn.StartExecution", throttle)
        with pytest.raises(ServiceUnavailable):
            getattr(workflow, start)("pay_1", INPUT)
