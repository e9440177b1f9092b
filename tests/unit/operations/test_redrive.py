"""Dead letters: payments go back to the queue, and what is none stays for a person."""

import pytest

from operations.redrive import main
from payments.core.messages import PaymentMessage, encode_message
from tests.unit.cloud import Cloud, payment_request

BATCH = '{"batch":{"batch_id":"b","bucket":"files","key":"a.csv","version_id":"v"},"size":1}'


@pytest.fixture
def queues(cloud: Cloud) -> tuple[str, str]:
    events, dead = (
        cloud.sqs.create_queue(QueueName=f"{name}-test")["QueueUrl"]
        for name in ("payment-events", "payment-events-dlq")
    )
    return events, dead


def bodies(cloud: Cloud, queue_url: str) -> list[str]:
    received = cloud.sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return [message["Body"] for message in received.get("Messages", [])]


def test_payments_go_back_and_batches_stay(
    cloud: Cloud, queues: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    events, dead = queues
    payment = encode_message(PaymentMessage(payment_request()))
    for body in (payment, BATCH, "poison"):
        cloud.sqs.send_message(QueueUrl=dead, MessageBody=body)
    assert main(["--env", "test"]) == 1
    assert bodies(cloud, events) == [payment]
    assert sorted(bodies(cloud, dead)) == sorted([BATCH, "poison"])
    assert "1 payments put back, 2 letters stay" in capsys.readouterr().out


@pytest.mark.usefixtures("queues")
def test_without_letters_there_is_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--env", "test"]) == 0
    assert capsys.readouterr().out == "0 payments put back, 0 letters stay\n"


@pytest.mark.usefixtures("cloud")
def test_an_environment_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--env", "none"]) == 2
    assert "'none' cannot be redriven" in capsys.readouterr().err
