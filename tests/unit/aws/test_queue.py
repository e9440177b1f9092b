"""The queues: every message arrives, in the queue that it belongs to."""

from typing import Any

import pytest

from payments.aws.payments import PaymentStore
from payments.aws.queue import MessageQueue, PaymentQueues
from payments.core.faults import ServiceUnavailable
from payments.core.messages import PaymentMessage, decode_message, message_of
from tests.unit.cloud import AT, ROW, Cloud, payment_request


class TestSending:
    """Sending many messages to a queue."""

    def test_every_message_arrives_however_many(self, rows: MessageQueue, cloud: Cloud) -> None:
        messages = [f"message-{number}" for number in range(95)]
        assert rows.send_all(iter(messages), calls_in_flight=4) == 95
        assert sorted(message["Body"] for message in cloud.messages()) == sorted(messages)

    def test_entries_that_sqs_refuses_are_sent_again(
        self, rows: MessageQueue, cloud: Cloud
    ) -> None:
        send, calls = cloud.sqs.send_message_batch, []

        def refuse_half(**arguments: Any) -> Any:
            calls.append(len(arguments["Entries"]))
            half = len(arguments["Entries"]) // 2
            refused = [
                {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"}
                for entry in arguments["Entries"][:half]
            ]
            kept = arguments["Entries"][half:]
            return {**send(QueueUrl=arguments["QueueUrl"], Entries=kept), "Failed": refused}

        cloud.sqs.send_message_batch = refuse_half  # type: ignore[method-assign]  # the fault
        messages = [f"message-{number}" for number in range(10)]
        assert rows.send_all(messages, calls_in_flight=1) == 10
        assert calls == [10, 5, 2, 1]
        assert sorted(message["Body"] for message in cloud.messages()) == sorted(messages)

    def test_messages_that_cannot_be_sent_are_not_passed_over(
        self, rows: MessageQueue, cloud: Cloud
    ) -> None:
        cloud.sqs.delete_queue(QueueUrl=cloud.rows_url)
        with pytest.raises(ServiceUnavailable):
            rows.send_all(["message"], calls_in_flight=2)


class TestOneMessage:
    """One message: its delay, its reason, and how long it stays hidden."""

    def test_a_message_waits_as_long_as_it_is_told_to(
        self, events: MessageQueue, cloud: Cloud
    ) -> None:
        events.send("later", delay_seconds=900)
        events.send("now")
        assert cloud.attributes(cloud.events_url) == {"": 1, "Delayed": 1, "NotVisible": 0}

    def test_a_message_that_is_set_aside_says_why(self, events: MessageQueue, cloud: Cloud) -> None:
        events.send("hopeless", reason="InvalidMessage: the message is not JSON")
        [message] = cloud.messages()
        assert message["MessageAttributes"]["reason"] == {
            "DataType": "String",
            "StringValue": "InvalidMessage: the message is not JSON",
        }

    def test_a_message_that_is_hidden_is_not_delivered_meanwhile(
        self, events: MessageQueue, cloud: Cloud
    ) -> None:
        events.send("newer")
        [received] = cloud.sqs.receive_message(QueueUrl=cloud.events_url, VisibilityTimeout=0)[
            "Messages"
        ]
        events.hide(received["ReceiptHandle"], 60)
        assert cloud.attributes(cloud.events_url) == {"": 0, "Delayed": 0, "NotVisible": 1}

    @pytest.mark.parametrize("call", ["send", "hide"])
    def test_a_queue_that_is_away_is_told_in_the_rules_terms(
        self, events: MessageQueue, cloud: Cloud, call: str
    ) -> None:
        cloud.sqs.delete_queue(QueueUrl=cloud.events_url)
        arguments = {"send": ("body",), "hide": ("receipt", 1)}[call]
        with pytest.raises(ServiceUnavailable):
            getattr(events, call)(*arguments)

    def test_a_queue_knows_its_name(self, events: MessageQueue) -> None:
        assert events.is_called("payment-events-dev")
        assert not events.is_called("payment-events-dev-2")
        assert not events.is_called("events-dev")


class TestQueues:
    """A file never stands before a customer: rows have a queue of their own."""

    def test_a_payment_goes_to_the_queue_of_its_source(
        self, queues: PaymentQueues, store: PaymentStore, cloud: Cloud
    ) -> None:
        by_api, _ = store.create(payment_request("by_api"), actor="api", at=AT)
        by_row, _ = store.create(payment_request("by_row", source=ROW), actor="batch", at=AT)
        queues.send(by_api)
        queues.send(by_row)
        assert queues.send_payments([by_api, by_row]) == 2
        for url, payment in ((cloud.events_url, by_api), (cloud.rows_url, by_row)):
            bodies = [message["Body"] for message in cloud.taken(url)]
            assert [decode_message(body) for body in bodies] == [message_of(payment)] * 2

    @pytest.mark.parametrize("source", ["api", ROW])
    def test_a_message_is_sent_again_to_the_queue_that_it_came_from(
        self, queues: PaymentQueues, cloud: Cloud, source: str
    ) -> None:
        message = PaymentMessage(payment_request(source=source), tries=3)
        queues.send_again(message.again())
        url = cloud.events_url if source == "api" else cloud.rows_url
        [sent] = cloud.taken(url)
        assert decode_message(sent["Body"]) == message.again()
        assert cloud.messages() == []
