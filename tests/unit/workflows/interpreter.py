"""Runs workflows in moto's interpreter of the Amazon States Language, which is LocalStack's.

It is the second of two: the local cloud has one of its own. Definitions run as they are deployed.
Functions answer what a test says, topic and queue take down what they get, and waits take no time
but are taken down as well, scattered ones at their longest. The interpreter passes over failed items of
a distributed Map, which AWS does not; that is added here. What it cannot show: how long a whole
execution may last, and what a role may do.
"""

import io
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import boto3
from botocore.exceptions import ClientError
from botocore.model import ServiceModel
from botocore.session import get_session
from botocore.validate import validate_parameters
from moto import mock_aws
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
    distributed_iteration_component as distributed,
)

_REGION: Final = "eu-central-1"
_ACCOUNT: Final = "123456789012"
_PATIENCE_SECONDS: Final = 30.0
_EXEC: Final = "moto.stepfunctions.parser.asl.component.state.exec.state_task"
_COMMON: Final = "moto.stepfunctions.parser.asl.component.common.retry"
_WAIT: Final = "moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function"

type Answer = Mapping[str, Any] | Exception | Callable[[], Mapping[str, Any]]
"""What a function answers, what it raises, or what it does before it answers."""


class FunctionError(Exception):
    """What the function's code raised: Step Functions sees the name of its class."""


def raised(name: str) -> Exception:
    """Return an error of the function's own code, such as ``GatewayUnavailable``."""
    return FunctionError(name)


def refused(code: str) -> Exception:
    """Return an error of AWS's, as the SDK raises it; Lambda's gets the prefix ``Lambda.``."""
    answer = {
        "Error": {"Code": code, "Message": f"{code} for a test"},
        "ResponseMetadata": {"HTTPStatusCode": 500, "RequestId": "request"},
    }
    return ClientError(answer, "Invoke")  # type: ignore[arg-type]


def arn(service: str, resource: str) -> str:
    """Return the ARN of a resource of the account that workflows run in."""
    return f"arn:aws:{service}:{_REGION}:{_ACCOUNT}:{resource}"


FUNCTION_ARN: Final = arn("lambda", "function:processor")
TOPIC_ARN: Final = arn("sns", "payment-notifications")
QUEUE_URL: Final = f"https://sqs.{_REGION}.amazonaws.com/{_ACCOUNT}/payment-events-dlq"
NEWS_QUEUE_URL: Final = f"https://sqs.{_REGION}.amazonaws.com/{_ACCOUNT}/payment-announcements-dlq"

FUNCTION: Final[Any] = SimpleNamespace(arn=FUNCTION_ARN)
MESSAGING: Final[Any] = SimpleNamespace(
    topic=SimpleNamespace(arn=TOPIC_ARN),
    dead_letter_queue=SimpleNamespace(url=QUEUE_URL),
    announcements_dead_letter_queue=SimpleNamespace(url=NEWS_QUEUE_URL),
)
ARNS: Final[Any] = SimpleNamespace(partition="aws")


@dataclass(slots=True)
class World:
    """What a workflow works with: what functions, topic and queues answer, and what they got.

    ``answers`` are those of a function's actions, and of ``publish``, ``send_message`` and, for news
    that nobody took, ``send_news``, in their order; the last one is given for ever.
    """

    answers: Mapping[str, Sequence[Answer]]
    calls: list[dict[str, Any]] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    _count: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def of(self, action: str) -> list[dict[str, Any]]:
        """Return what was asked of a function's action, of ``publish`` or of ``send_message``."""
        return [
            {key: value for key, value in call.items() if key != "action"}
            for call in self.calls
            if call["action"] == action
        ]

    @property
    def actions(self) -> list[str]:
        """Every call in its order, repetitions once."""
        actions = [call["action"] for call in self.calls]
        return [action for at, action in enumerate(actions) if at == 0 or actions[at - 1] != action]

    def invoke(self, **parameters: Any) -> dict[str, Any]:
        """Be Lambda."""
        _check("lambda", "Invoke", parameters)
        assert parameters["FunctionName"] == FUNCTION_ARN
        payload = json.loads(parameters["Payload"])
        try:
            answer = self._answer(payload["action"], payload)
        except FunctionError as error:
            failure = {"errorType": str(error), "errorMessage": "for a test"}
            return {"FunctionError": "Unhandled", **_payload(failure)}
        return _payload(answer)

    def publish(self, **parameters: Any) -> dict[str, Any]:
        """Be SNS."""
        _check("sns", "Publish", parameters)
        assert parameters["TopicArn"] == TOPIC_ARN
        event_type = parameters["MessageAttributes"]["event_type"]
        assert event_type["DataType"] == "String"
        message = json.loads(parameters["Message"])
        self._answer("publish", {"type": event_type["StringValue"], "message": message})
        return {"MessageId": "message"}

    def send_message(self, **parameters: Any) -> dict[str, Any]:
        """Be SQS."""
        _check("sqs", "SendMessage", parameters)
        action = {QUEUE_URL: "send_message", NEWS_QUEUE_URL: "send_news"}[parameters["QueueUrl"]]
        self._answer(action, {"body": json.loads(parameters["MessageBody"])})
        return {"MessageId": "message"}

    def _answer(self, action: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append({**payload, "action": action})
        answers = self.answers.get(action) or [{}]
        answer = answers[min(self._count[action], len(answers) - 1)]
        self._count[action] += 1
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer


def _payload(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}


def _check(service: str, operation: str, parameters: Mapping[str, Any]) -> None:
    """Refuse a call that AWS would refuse for its form, which the interpreter lets pass."""
    shape = _model(service).operation_model(operation).input_shape
    assert shape is not None
    validate_parameters(dict(parameters), shape)


@cache
def _model(service: str) -> ServiceModel:
    return get_session().get_service_model(service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an execution ended."""

    status: str
    output: Any = None
    error: str | None = None


def run(definition: Mapping[str, Any], input_: Mapping[str, Any], world: World) -> Outcome:
    """Run a workflow to its end."""
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}), _taking_part(world):
        client = boto3.client(
            "stepfunctions",
            region_name=_REGION,
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
        machine = client.create_state_machine(
            name="workflow",
            definition=json.dumps(definition),
            roleArn=f"arn:aws:iam::{_ACCOUNT}:role/workflow",
        )
        execution = client.start_execution(
            stateMachineArn=machine["stateMachineArn"], name="one", input=json.dumps(input_)
        )["executionArn"]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (found := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"still running after {world.actions}"
            time.sleep(0.02)
    return Outcome(
        status=found["status"],
        output=json.loads(found["output"]) if "output" in found else None,
        error=found.get("error"),
    )


@contextmanager
def _taking_part(world: World) -> Iterator[None]:
    """Let the interpreter meet this world in place of AWS, and of time."""
    clock = SimpleNamespace(sleep=world.waited.append)
    longest = SimpleNamespace(uniform=lambda _shortest, longest: longest)
    with (
        patch.object(distributed.DistributedIterationComponent, "_map_run", _map_run),
        patch(f"{_EXEC}.lambda_eval_utils.boto_client_for", lambda **_: world),
        patch(f"{_EXEC}.service.state_task_service_sns.boto_client_for", lambda **_: world),
        patch(f"{_EXEC}.service.state_task_service_sqs.boto_client_for", lambda **_: world),
        patch(f"{_COMMON}.retrier_decl.time", clock),
        patch(f"{_COMMON}.jitter_strategy_decl.random", longest),
        patch(
            f"{_WAIT}.WaitFunction._wait_interval",
            lambda _self, env, wait_seconds: world.waited.append(wait_seconds),  # noqa: ARG005
        ),
    ):
        yield


_run_items: Final = distributed.DistributedIterationComponent._map_run


def _map_run(component: Any, env: Any, eval_input: Any) -> None:
    """Run the items of a Map, then fail it if one of them failed: none is tolerated by default.

    See https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
    """
    _run_items(component, env, eval_input)
    if not eval_input.map_run_record.item_counter.failed.get():
        return
    error = StatesErrorNameType.StatesExceedToleratedFailureThreshold
    details: Any = {
        "executionFailedEventDetails": {"error": error.to_name(), "cause": "an item failed"}
    }
    raise FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(error),
            event_type=HistoryEventType.MapStateFailed,
            event_details=details,
        )
    )
