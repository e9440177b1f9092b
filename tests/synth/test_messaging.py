"""Events are encrypted, sent over TLS, and never lost after their last try."""

import json

import pytest

from tests.synth.terraform import Stack, denies_plain_http

pytestmark = pytest.mark.xdist_group("synth")


def test_queues_and_topic_are_encrypted_with_the_environments_key(stack: Stack) -> None:
    key = f"${{{stack.one('aws_kms_key').address}.arn}}"
    channels = [*stack.all("aws_sqs_queue"), *stack.all("aws_sns_topic")]
    assert {channel["kms_master_key_id"] for channel in channels} == {key}


def test_queues_and_topic_refuse_plain_http(stack: Stack) -> None:
    for channel in [*stack.all("aws_sqs_queue"), *stack.all("aws_sns_topic")]:
        (statement,) = filter(denies_plain_http, channel.statements)
        (resource,) = statement["Resource"]
        assert resource.endswith(f":{channel['name']}")


def test_a_message_goes_to_the_dead_letter_queue_after_five_receives(stack: Stack) -> None:
    queue = stack.one("aws_sqs_queue", name=stack.name("payment-events"))
    dead_letters = stack.one("aws_sqs_queue", name=stack.name("payment-events-dlq"))
    redrive = stack.one("aws_sqs_queue_redrive_policy")
    assert redrive["queue_url"] == f"${{{queue.address}.url}}"
    assert json.loads(redrive["redrive_policy"]) == {
        "deadLetterTargetArn": f"${{{dead_letters.address}.arn}}",
        "maxReceiveCount": 5,
    }


def test_only_the_event_queue_may_send_dead_letters(stack: Stack) -> None:
    dead_letters = stack.one("aws_sqs_queue", name=stack.name("payment-events-dlq"))
    allowed = json.loads(dead_letters["redrive_allow_policy"])
    assert allowed["redrivePermission"] == "byQueue"
    (source,) = allowed["sourceQueueArns"]
    assert source.startswith("arn:aws:sqs:eu-central-1:")
    assert source.endswith(f":{stack.name('payment-events')}")


def test_messages_are_kept_for_fourteen_days(stack: Stack) -> None:
    for queue in stack.all("aws_sqs_queue"):
        assert queue["message_retention_seconds"] == 14 * 24 * 3600


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
    ],
)
def test_json_is_compact_so_that_a_second_plan_shows_no_change(
    stack: Stack, type_: str, attribute: str
) -> None:
    for resource in stack.all(type_):
        if text := resource.attributes.get(attribute):
            assert text == json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True)
