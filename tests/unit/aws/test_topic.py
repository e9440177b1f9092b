"""The topic: events in one call, and which of them were refused."""

import json
from typing import Any

import boto3
import pytest

from payments.aws.topic import MESSAGES_PER_CALL, Topic
from payments.core.faults import ServiceUnavailable
from tests.unit.cloud import Cloud, calls_of

ATTRIBUTES = {"event_type": "payment.completed", "status": "COMPLETED", "currency": "USD"}


@pytest.fixture
def sns(cloud: Cloud) -> Any:
    """The client, with one topic that the queue of events is subscribed to."""
    client = boto3.client("sns")
    arn = client.create_topic(Name="payment-notifications-dev")["TopicArn"]
    queue_arn = cloud.sqs.get_queue_attributes(
        QueueUrl=cloud.events_url, AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    client.subscribe(
        TopicArn=arn,
        Protocol="sqs",
        Endpoint=queue_arn,
        Attributes={"RawMessageDelivery": "true"},
    )
    return client


@pytest.fixture
def topic(sns: Any) -> Topic:
    """The adapter of that topic."""
    return Topic(sns, sns.list_topics()["Topics"][0]["TopicArn"])


def events(count: int) -> list[tuple[dict[str, Any], dict[str, str]]]:
    return [({"event_id": f"pay_{number}:3"}, ATTRIBUTES) for number in range(count)]


def test_events_are_published_with_their_attributes_in_one_call(
    topic: Topic, sns: Any, cloud: Cloud
) -> None:
    calls = calls_of(sns)
    assert topic.publish(events(MESSAGES_PER_CALL)) == []
    assert calls == ["PublishBatch"]
    received = cloud.messages()
    assert sorted(json.loads(message["Body"])["event_id"] for message in received) == sorted(
        f"pay_{number}:3" for number in range(MESSAGES_PER_CALL)
    )
    assert received[0]["MessageAttributes"]["currency"] == {
        "DataType": "String",
        "StringValue": "USD",
    }


def test_the_places_of_events_that_were_refused_are_told_in_order(topic: Topic, sns: Any) -> None:
    publish = sns.publish_batch

    def refuse(**arguments: Any) -> Any:
        kept = [each for each in arguments["PublishBatchRequestEntries"] if int(each["Id"]) % 4]
        answer = publish(TopicArn=arguments["TopicArn"], PublishBatchRequestEntries=kept)
        refused = [{"Id": id_, "Code": "InternalError", "SenderFault": False} for id_ in "840"]
        return {**answer, "Failed": refused}

    sns.publish_batch = refuse
    assert topic.publish(events(10)) == [0, 4, 8]


def test_a_topic_that_is_away_is_told_in_the_rules_terms(topic: Topic, sns: Any) -> None:
    sns.delete_topic(TopicArn=sns.list_topics()["Topics"][0]["TopicArn"])
    with pytest.raises(ServiceUnavailable):
        topic.publish(events(1))
