"""Adapter: the sandbox gateway's memory in DynamoDB."""

from typing import TYPE_CHECKING

from payments.aws.failures import unavailable
from payments.aws.items import Item, deserialize, serialize
from payments.aws.keys import sandbox_key
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
        with unavailable("the sandbox gateway's ledger did not answer"):
            answer = self._client.update_item(
                TableName=self._table,
                Key=serialize(sandbox_key(payment_id)),
                UpdateExpression=expression,
                ExpressionAttributeValues=serialize(values),
                ReturnValues="ALL_NEW",
            )
        return deserialize(answer["Attributes"])


def _verdict(kept: Item) -> Verdict:
    if "reference" in kept:
        return Approved(kept["reference"])
    return Declined(Failure(kept["failure_code"], kept["failure_message"]))
