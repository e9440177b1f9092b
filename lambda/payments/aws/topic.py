"""Adapter: the topic that subscribers listen to (SNS)."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from payments.aws.failures import unavailable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

MESSAGES_PER_CALL: Final = 10
"""The most that PublishBatch takes:
https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html"""


class Topic:
    """A topic. Every AWS failure is a ``ServiceUnavailable``."""

    def __init__(self, client: "SNSClient", arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(
        self, events: Sequence[tuple[Mapping[str, Any], Mapping[str, str]]]
    ) -> Sequence[int]:
        """Publish events, each a document and its message attributes, in one call.

        Returns:
            The positions of those that SNS refused.
        """
        with unavailable("the events could not be published"):
            answer = self._client.publish_batch(
                TopicArn=self._arn,
                PublishBatchRequestEntries=[
                    {
                        "Id": str(position),
                        "Message": json.dumps(document),
                        "MessageAttributes": {
                            name: {"DataType": "String", "StringValue": value}
                            for name, value in attributes.items()
                        },
                    }
                    for position, (document, attributes) in enumerate(events)
                ],
            )
        return sorted(int(refused["Id"]) for refused in answer.get("Failed", []))
