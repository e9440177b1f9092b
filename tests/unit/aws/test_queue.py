"""The queue: every message arrives, in the one form."""

from typing import Any

import pytest

from payments.aws.queue import PaymentQueue
from payments.batches.records import (
    ValidRow,
)
from payments.batches.steps import encode_row
from payments.core.faults import ServiceUnavailable
from payments.core.messages import encode_message
from tests.unit.cloud import Cloud, payment_content, payment_request


class TestEncoding:
    """Rows as messages."""

    def test_a_row_is_encoded_as_any_other_payment(self) -> None:
        row = ValidRow(7, payment_content("pay-_1", 10**18 - 1, "USD"))
        request = payment_request(
            "pay-_1", 10**18 - 1, "USD", source="batch:b:7", correlation_id="b:7"
        )
        assert encode_row("b", row) == encode_message(request)


class TestSending:
    """Sending many messages to the queue."""

    def test_every_message_arrives_however_many(self, queue: PaymentQueue, cloud: Cloud) -> None:
        messages = [f"message-{number}" for number in range(95)]
        assert queue.send_all(iter(messages), calls_in_flight=4) == 95
        assert sorted(message["Body"] for message in cloud.messages()) == sorted(messages)

    def test_entries_that_sqs_refuses_are_sent_again(
        self, queue: PaymentQueue, cloud: Cloud
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
        assert queue.send_all(messages, calls_in_flight=1) == 10
        assert calls == [10, 5, 2, 1]
        assert sorted(message["Body"] for message in cloud.messages()) == sorted(messages)

    def test_messages_that_cannot_be_sent_are_not_passed_over(
        self, queue: PaymentQueue, cloud: Cloud
    ) -> None:
        cloud.sqs.delete_queue(QueueUrl=cloud.queue_url)
        with pytest.raises(ServiceUnavailable):
            queue.send_all(["message"], calls_in_flight=2)
