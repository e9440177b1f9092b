"""Events are encrypted, sent over TLS, and never lost after their last try."""

import json

import pytest

from tests.synth.terraform import Resource, Stack, denies_plain_http

pytestmark = pytest.mark.xdist_group("synth")

QUEUES = ("payment-events", "payment-rows")
"""Rows of files wait in a queue of their own."""


def test_queues_and_topic_are_encrypted_with_the_environments_key(stack: Stack) -> None:
    key = f"${{{stack.one('aws_kms_key').address}.arn}}"
    channels = [*stack.all("aws_sqs_queue"), *stack.all("aws_sns_topic")]
    assert {channel["kms_master_key_id"] for channel in channels} == {key}


def test_queues_and_topic_refuse_plain_http(stack: Stack) -> None:
    for channel in [*stack.all("aws_sqs_queue"), *stack.all("aws_sns_topic")]:
        (statement,) = filter(denies_plain_http, channel.statements)
        (resource,) = statement["Resource"]
        assert resource.endswith(f":{channel['name']}")


@pytest.mark.parametrize("name", QUEUES)
def test_a_message_goes_to_the_dead_letter_queue_after_fifty_receives(
    stack: Stack, name: str
) -> None:
    """Only crashes use them up."""
    queue = stack.one("aws_sqs_queue", name=stack.name(name))
    dead_letters = stack.one("aws_sqs_queue", name=stack.name("payment-events-dlq"))
    redrive = stack.one("aws_sqs_queue_redrive_policy", queue_url=f"${{{queue.address}.url}}")
    assert json.loads(redrive["redrive_policy"]) == {
        "deadLetterTargetArn": f"${{{dead_letters.address}.arn}}",
        "maxReceiveCount": 50,
    }


def test_only_the_queues_of_payments_may_send_dead_letters(stack: Stack) -> None:
    dead_letters = stack.one("aws_sqs_queue", name=stack.name("payment-events-dlq"))
    allowed = json.loads(dead_letters["redrive_allow_policy"])
    assert allowed["redrivePermission"] == "byQueue"
    for source, name in zip(allowed["sourceQueueArns"], QUEUES, strict=True):
        assert source.startswith("arn:aws:sqs:eu-central-1:")
        assert source.endswith(f":{stack.name(name)}")


def test_payments_wait_for_four_days_and_what_is_set_aside_is_kept_for_fourteen(
    stack: Stack,
) -> None:
    """A dead letter keeps the time stamp of its first queue."""
    waiting = {stack.name(name) for name in QUEUES}
    for queue in stack.all("aws_sqs_queue"):
        days = 4 if queue["name"] in waiting else 14
        assert queue["message_retention_seconds"] == days * 24 * 3600


def test_alarms_of_this_environment_may_publish_to_the_topic(stack: Stack) -> None:
    topic = stack.one("aws_sns_topic")
    (allowed,) = (statement for statement in topic.statements if statement["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Action"] == ["sns:Publish"]
    assert allowed["Condition"]["ArnLike"]["aws:SourceArn"].endswith(f":alarm:*-{stack.suffix}")
    assert "aws:SourceAccount" in allowed["Condition"]["StringEquals"]


@pytest.mark.parametrize(
    ("type_", "attribute"),
    [
        ("aws_iam_role_policy", "policy"),
        ("aws_sqs_queue", "policy"),
        ("aws_sqs_queue", "redrive_allow_policy"),
        ("aws_sqs_queue_redrive_policy", "redrive_policy"),
        ("aws_sfn_state_machine", "definition"),
        ("aws_sns_topic_subscription", "filter_policy"),
        ("aws_sns_topic_subscription", "redrive_policy"),
    ],
)
def test_json_is_compact_so_that_a_second_plan_shows_no_change(
    stack: Stack, type_: str, attribute: str
) -> None:
    found = [resource for resource in stack.resources if resource.type == type_]
    # A disposable environment tells nobody.
    assert found or type_ == "aws_sns_topic_subscription"
    for resource in found:
        if text := resource.attributes.get(attribute):
            assert text == json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True)


def subscription(stack: Stack, protocol: str) -> Resource:
    return stack.one("aws_sns_topic_subscription", protocol=protocol)


def test_without_subscribers_there_is_no_subscription(dev: Stack) -> None:
    assert [r for r in dev.resources if r.type == "aws_sns_topic_subscription"] == []


def test_only_alarms_go_to_on_call(prod: Stack) -> None:
    email = subscription(prod, "email")
    assert email["endpoint"] == "on-call@example.com"
    assert email["filter_policy_scope"] == "MessageBody"
    assert json.loads(email["filter_policy"]) == {"AlarmName": [{"exists": True}]}


def test_only_updates_go_to_who_asks_for_updates(prod: Stack) -> None:
    updates = subscription(prod, "sqs")
    assert updates["endpoint"].endswith(":ledger-updates")
    assert updates["filter_policy_scope"] == "MessageAttributes"
    assert json.loads(updates["filter_policy"]) == {
        "event_type": [
            {"prefix": "payment."},
            {"prefix": "refund."},
            {"prefix": "capture."},
            {"prefix": "batch."},
        ]
    }


@pytest.mark.parametrize("name", ["payment-alarms-dlq", "payment-updates-dlq"])
def test_what_a_subscriber_does_not_take_is_kept_and_only_the_topic_may_send_it(
    prod: Stack, name: str
) -> None:
    queue = prod.one("aws_sqs_queue", name=prod.name(name))
    topic = prod.one("aws_sns_topic")
    (subscribed,) = (
        each for each in prod.all("aws_sns_topic_subscription") if each.refers_to(queue)
    )
    assert json.loads(subscribed["redrive_policy"]) == {
        "deadLetterTargetArn": f"${{{queue.address}.arn}}"
    }
    (allowed,) = (each for each in queue.statements if each["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "sns.amazonaws.com"}
    assert allowed["Action"] == ["sqs:SendMessage"]
    assert allowed["Condition"]["ArnEquals"] == {"aws:SourceArn": f"${{{topic.address}.arn}}"}
