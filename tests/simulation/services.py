"""The cloud's side of SQS, S3 and Step Functions, as much as the functions call of them."""

import json
from collections.abc import Callable
from typing import Any

from tests.simulation.dynamodb import AwsError
from tests.simulation.queue import SimulatedQueue
from tests.simulation.scheduler import SimulatorError
from tests.simulation.workflow import StateMachine


class QueueService:
    """SQS: queues by the end of their URLs, of which one takes what is set aside."""

    def __init__(self, queues: dict[str, SimulatedQueue], dead_letters: str) -> None:
        self.set_aside: list[str] = []
        """What functions sent to the dead-letter queue."""
        self._queues = queues
        self._dead_letters = dead_letters

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """See :class:`tests.simulation.wire.Service`."""
        name = request["QueueUrl"].rpartition("/")[2]
        if name == self._dead_letters:
            if operation != "SendMessage" or "reason" not in request["MessageAttributes"]:
                raise SimulatorError(f"SQS {operation} to {name} without a reason")
            self.set_aside.append(request["MessageBody"])
            next(iter(self._queues.values())).send_to_dead(request["MessageBody"])
            return {"MessageId": "dead"}
        queue = self._queues[name]
        match operation:
            case "SendMessage":
                delay = request.get("DelaySeconds", 0)
                return {"MessageId": queue.send(request["MessageBody"], delay_seconds=delay)}
            case "SendMessageBatch":
                sent = [
                    {"Id": entry["Id"], "MessageId": queue.send(entry["MessageBody"])}
                    for entry in request["Entries"]
                ]
                return {"Successful": sent}
            case "ChangeMessageVisibility":
                queue.show(request["ReceiptHandle"], request["VisibilityTimeout"])
                return {}
            case "GetQueueAttributes":
                lengths = {
                    "ApproximateNumberOfMessages": str(queue.waiting),
                    "ApproximateNumberOfMessagesDelayed": str(queue.delayed),
                }
                return {"Attributes": {name: lengths[name] for name in request["AttributeNames"]}}
        raise SimulatorError(f"SQS {operation} is not simulated")


class ObjectService:
    """S3 with versions; every put is a version of its own."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], bytes] = {}
        self._latest: dict[tuple[str, str], str] = {}
        self._puts = 0

    def put(self, bucket: str, key: str, body: bytes) -> str:
        """Keep an object and return its version."""
        self._puts += 1
        version = f"v{self._puts}"
        self.objects[bucket, key, version] = body
        self._latest[bucket, key] = version
        return version

    def delete_version(self, bucket: str, key: str, version: str) -> None:
        """Lose a version for good, as whoever may delete versions can."""
        del self.objects[bucket, key, version]

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return the latest version of an object, if there is any."""
        version = self._latest.get((bucket, key))
        return self.objects[bucket, key, version] if version else None

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """See :class:`tests.simulation.wire.Service`."""
        bucket, key = request["Bucket"], request["Key"]
        match operation:
            case "PutObject":
                self.put(bucket, key, request["Body"])
                return {"Body": b""}
            case "GetObject":
                body = self.objects.get((bucket, key, request["VersionId"]))
                if body is None:
                    raise AwsError("NoSuchVersion", status=404)
                if request["Range"]:
                    first, _, last = request["Range"].removeprefix("bytes=").partition("-")
                    if int(first) >= len(body):
                        raise AwsError("InvalidRange", status=416)
                    body = body[int(first) : int(last) + 1 if last else None]
                return {"Body": body}
        raise SimulatorError(f"S3 {operation} is not simulated")


class TopicService:
    """SNS, for the one topic there is."""

    def __init__(self, publish: Callable[[dict[str, Any], dict[str, str]], None]) -> None:
        self._publish = publish

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """See :class:`tests.simulation.wire.Service`."""
        if operation != "PublishBatch":
            raise SimulatorError(f"SNS {operation} is not simulated")
        for entry in request["Entries"]:
            self._publish(json.loads(entry["Message"]), entry["Attributes"])
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}


class WorkflowService:
    """Step Functions: state machines by name."""

    def __init__(self, machines: dict[str, StateMachine]) -> None:
        self._machines = machines

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """See :class:`tests.simulation.wire.Service`."""
        match operation:
            case "StartExecution":
                machine = self._machines[request["stateMachineArn"].split(":")[6]]
                arn = machine.start(request.get("name"), request["input"])
                return {"executionArn": arn, "startDate": 0}
        raise SimulatorError(f"Step Functions {operation} is not simulated")
