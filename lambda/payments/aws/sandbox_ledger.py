"""Adapter: the sandbox gateway's memory in DynamoDB."""

from typing import TYPE_CHECKING

from payments.aws.failures import unavailable
from payments.aws.items import Item, deserialize, serialize
from payments.aws.keys import Key, sandbox_key, sandbox_operation_key
from payments.core.operation import OperationRef
from payments.core.payment import Failure, Payment
from payments.gateways.port import Approved, Declined, Verdict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class SandboxLedger:
    """The sandbox gateway's memory, one item a payment in the table of processing status."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def count_attempt(self, payment_id: str) -> int:
        """See :class:`payments.gateways.sandbox.ChargeLedger`."""
        answer = self._update(payment_id, "ADD attempts :one", {":one": 1})
        return int(answer["attempts"])

    def decide(self, payment: Payment, verdict: Verdict) -> Verdict:
        """See :class:`payments.gateways.sandbox.ChargeLedger`."""
        if isinstance(verdict, Approved):
            kept: Item = {"reference": verdict.reference}
        else:
            failure = verdict.failure
            kept = {"failure_code": failure.code, "failure_message": failure.message}
        item = self._update(
            payment.payment_id,
            "SET outcome = if_not_exists(outcome, :kept)",
            {":kept": kept},
        )
        return _verdict(item["outcome"])

    def verdict(self, payment_id: str) -> Verdict | None:
        """See :class:`payments.gateways.sandbox.ChargeLedger`."""
        with unavailable("the sandbox gateway's ledger did not answer"):
            answer = self._client.get_item(
                TableName=self._table, Key=serialize(sandbox_key(payment_id)), ConsistentRead=True
            )
        item = deserialize(answer.get("Item", {}))
        return _verdict(item["outcome"]) if "outcome" in item else None

    def _update(self, payment_id: str, expression: str, values: Item) -> Item:
        return _update(self._client, self._table, sandbox_key(payment_id), expression, values)


class SandboxOperationLedger:
    """The sandbox gateway's memory of operations, one item each in the same table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def count_attempt(self, which: OperationRef) -> int:
        """See :class:`payments.gateways.sandbox_operations.OperationLedger`."""
        item = self._update(which, "ADD attempts :one", {":one": 1})
        return int(item["attempts"])

    def do(self, which: OperationRef) -> None:
        """See :class:`payments.gateways.sandbox_operations.OperationLedger`."""
        self._update(which, "SET done = :done", {":done": True})

    def is_done(self, which: OperationRef) -> bool:
        """See :class:`payments.gateways.sandbox_operations.OperationLedger`."""
        with unavailable("the sandbox gateway's ledger did not answer"):
            answer = self._client.get_item(
                TableName=self._table,
                Key=serialize(sandbox_operation_key(*which)),
                ConsistentRead=True,
            )
        return bool(deserialize(answer.get("Item", {})).get("done", False))

    def _update(self, which: OperationRef, expression: str, values: Item) -> Item:
        key = sandbox_operation_key(*which)
        return _update(self._client, self._table, key, expression, values)


def _update(client: "DynamoDBClient", table: str, key: Key, expression: str, values: Item) -> Item:
    with unavailable("the sandbox gateway's ledger did not answer"):
        answer = client.update_item(
            TableName=table,
            Key=serialize(key),
            UpdateExpression=expression,
            ExpressionAttributeValues=serialize(values),
            ReturnValues="ALL_NEW",
        )
    return deserialize(answer["Attributes"])


def _verdict(kept: Item) -> Verdict:
    if "reference" in kept:
        return Approved(kept["reference"])
    return Declined(Failure(kept["failure_code"], kept["failure_message"]))
