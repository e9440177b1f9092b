"""What an end-to-end test knows: the deployed stack's outputs, and how to wait for an effect."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from local import surroundings
from local.api import PaymentsApi
from local.clients import Clients, session
from local.deployment import Deployment
from payments.core.executions import MOST_EXECUTIONS, execution_name


def eventually[T](look: Callable[[], T | None], *, patience: float) -> T:
    """Call ``look`` until it finds something and return that.

    Raises:
        TimeoutError: it found nothing within ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.3)
    raise TimeoutError(f"nothing within {patience:.0f} s")


class Environment:
    """A deployed environment: its API, its outputs, and clients with the root key."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.outputs: Mapping[str, str] = deployment.outputs()

    @property
    def suffix(self) -> str:
        """The environment's name."""
        return self.deployment.workspace.suffix

    @property
    def clients(self) -> Clients:
        """AWS clients that may do anything."""
        return self.deployment.clients

    @cached_property
    def api(self) -> PaymentsApi:
        """The payments API; it signs nothing."""
        authority = self.deployment.emulator.authority
        return PaymentsApi(self.deployment.api_url_by_path, authority=authority)

    @property
    def aws_access(self) -> dict[str, str]:
        """Environment variables for a program that shall speak to this environment."""
        return surroundings.aws_access(
            endpoint=self.deployment.emulator.endpoint,
            authority=self.deployment.workspace.authority,
            region=self.deployment.workspace.region,
        )

    def client(
        self,
        service: Any,
        *,
        access_key: str = surroundings.ACCESS_KEY,
        secret_key: str = surroundings.SECRET_KEY,
    ) -> Any:
        """Return a boto3 client of any service, with the root key or another."""
        region = self.deployment.workspace.region
        return session(region=region, access_key=access_key, secret_key=secret_key).client(
            service,
            endpoint_url=self.deployment.emulator.endpoint,
            verify=self.deployment.emulator.authority,
        )

    def executions_of(self, name: str, *, workflow: str = "payment_workflow_arn") -> list[str]:
        """Return the names of a workflow's executions of one payment or batch, in their order."""
        pages = self.clients.stepfunctions.get_paginator("list_executions").paginate(
            stateMachineArn=self.outputs[workflow]
        )
        names = {execution["name"] for page in pages for execution in page["executions"]}
        possible = (execution_name(name, number) for number in range(1, MOST_EXECUTIONS + 1))
        return [each for each in possible if each in names]


@dataclass
class Notifications:
    """What arrives at one queue that is subscribed to the topic of notifications."""

    clients: Clients
    queue_url: str
    _received: list[dict[str, Any]] = field(default_factory=list)

    def matching(
        self, wanted: Callable[[dict[str, Any]], bool], *, patience: float = 60
    ) -> dict[str, Any]:
        """Wait for a notification and return it.

        Raises:
            TimeoutError: none came within ``patience`` seconds.
        """

        def look() -> dict[str, Any] | None:
            self._receive()
            return next((event for event in self._received if wanted(event)), None)

        return eventually(look, patience=patience)

    @property
    def received(self) -> list[dict[str, Any]]:
        """All that has come so far."""
        self._receive()
        return list(self._received)

    def with_id(self, event_id: str) -> dict[str, Any]:
        """Wait for the notification with an event id."""
        return self.matching(lambda event: event.get("event_id") == event_id)

    def of(self, payment_id: str) -> dict[str, Any]:
        """Wait for a payment's final notification; all that came of it are the same."""

        def wanted(event: dict[str, Any]) -> bool:
            payment: dict[str, Any] = event.get("payment", {})
            return payment.get("payment_id") == payment_id

        found = self.matching(wanted)
        assert all(event == found for event in self._received if wanted(event))
        return found

    def _receive(self) -> None:
        while messages := self.clients.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10
        ).get("Messages"):
            for message in messages:
                self._received.append(json.loads(json.loads(message["Body"])["Message"]))
                self.clients.sqs.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
