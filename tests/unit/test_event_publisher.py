"""The audit trail's stream: every event is announced, in order, at least once, and none blocks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from event_publisher import handler, publish
from payments.aws.items import serialize
from payments.aws.payments import PaymentStore
from payments.aws.queue import MessageQueue
from payments.core.announcements import announcement
from payments.core.faults import ServiceUnavailable
from payments.flows.charge import Charging
from payments.runtime import event_publisher as runtime
from payments.runtime.event_publisher import Announcing
from tests.unit.aws_events import context, load
from tests.unit.cloud import AT, TABLES, WITNESS, Cloud, payment_request

type Event = tuple[Mapping[str, Any], Mapping[str, str]]


@dataclass
class Topic:
    """A topic that notes each call; refuses or fails as the test says, one call after the other."""

    refusals: list[list[str] | Exception] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    published: list[Event] = field(default_factory=list)

    def publish(self, events: Sequence[Event]) -> Sequence[int]:
        ids = [document["event_id"] for document, _ in events]
        self.calls.append(ids)
        answer = self.refusals.pop(0) if self.refusals else []
        if isinstance(answer, Exception):
            raise answer
        self.published += [event for event in events if event[0]["event_id"] not in answer]
        return [place for place, event_id in enumerate(ids) if event_id in answer]

    @property
    def ids(self) -> list[str]:
        return [document["event_id"] for document, _ in self.published]


@pytest.fixture
def topic() -> Topic:
    """A topic that takes everything, unless the test says otherwise."""
    return Topic()


@pytest.fixture
def announcing(topic: Any, dead_letters: MessageQueue) -> Announcing:
    """What records are announced with."""
    return Announcing(topic=topic, dead_letters=dead_letters)


RECORD = load("dynamodb_stream")["Records"][1]


def stream(*records: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stream's event with records in this order; each has its place as its number."""
    return {
        "Records": [
            {
                **RECORD,
                "dynamodb": {
                    **RECORD["dynamodb"],
                    "NewImage": record,
                    "SequenceNumber": f"number-{place}",
                },
            }
            for place, record in enumerate(records)
        ]
    }


def image(payment_id: str, sequence: int = 3, **changes: Any) -> dict[str, Any]:
    """Return the image of a completed payment's record."""
    record = RECORD["dynamodb"]["NewImage"]
    named = {"payment_id": {"S": payment_id}, "sequence": {"N": str(sequence)}}
    changed = {**record, **named, **changes}
    return {name: value for name, value in changed.items() if value is not None}


def failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_real_event_announces_what_is_an_event(announcing: Announcing, topic: Topic) -> None:
    assert failed(publish(load("dynamodb_stream"), announcing)) == []
    [(document, attributes)] = topic.published
    assert document["event_id"] == "pay_123456:3"
    assert document["event_type"] == attributes["event_type"] == "payment.completed"
    assert document["payment"]["amount"] == "99.99"


def test_what_the_tables_hold_is_announced_as_the_api_tells_it(
    announcing: Announcing, topic: Topic, store: PaymentStore, charging: Charging, cloud: Cloud
) -> None:
    for name, amount_minor in (("pay_1", 100), ("pay_2", 40001)):
        store.create(payment_request(name, amount_minor), actor="api", at=AT)
        charging.charge_by_id(name, WITNESS)
    publish(stream(*cloud.items(TABLES.audit_logs)), announcing)
    assert sorted(topic.ids) == ["pay_1:3", "pay_2:3"]


def test_events_are_announced_in_the_order_of_the_stream_ten_to_a_call(
    announcing: Announcing, topic: Topic
) -> None:
    images = [image(f"pay_{number}") for number in range(25)]
    assert failed(publish(stream(*images), announcing)) == []
    assert topic.ids == [f"pay_{number}:3" for number in range(25)]
    assert [len(call) for call in topic.calls] == [10, 10, 5]


def test_an_event_is_the_same_however_often_its_record_comes(
    announcing: Announcing, topic: Topic
) -> None:
    for _ in range(3):
        publish(stream(image("pay_1")), announcing)
    assert len(topic.published) == 3
    assert all(event == topic.published[0] for event in topic.published)


def test_records_that_are_no_events_and_removals_are_passed_over(
    announcing: Announcing, topic: Topic, cloud: Cloud
) -> None:
    event = stream(
        image("pay_1", 2, event_type=None),
        image("pay_2"),
        image("pay_3"),
        image("pay_4"),
        image("pay_5"),
    )
    event["Records"][1]["eventName"] = "REMOVE"
    del event["Records"][1]["dynamodb"]["NewImage"]
    event["Records"][2]["eventName"] = "MODIFY"
    del event["Records"][3]["dynamodb"]["NewImage"]
    assert failed(publish(event, announcing)) == []
    assert topic.ids == ["pay_5:3"]
    assert cloud.taken(cloud.dead_letters_url) == []


def test_no_call_is_made_where_there_is_no_event(announcing: Announcing, topic: Topic) -> None:
    publish(stream(image("pay_1", event_type=None)), announcing)
    publish({"Records": []}, announcing)
    assert topic.calls == []


def test_an_event_that_is_refused_is_delivered_again_with_all_that_follow(
    announcing: Announcing, topic: Topic
) -> None:
    topic.refusals = [[], ["pay_13:3", "pay_17:3"]]
    event = stream(*(image(f"pay_{number}") for number in range(25)))
    assert failed(publish(event, announcing)) == ["number-13"]
    assert topic.calls[-1][-1] == "pay_19:3"
    again = {"Records": event["Records"][13:]}
    assert failed(publish(again, announcing)) == []
    assert set(topic.ids) == {f"pay_{number}:3" for number in range(25)}


def test_the_place_of_a_refused_event_is_its_own_where_records_before_it_are_no_events(
    announcing: Announcing, topic: Topic
) -> None:
    topic.refusals = [["pay_3:3"]]
    event = stream(
        image("pay_0", event_type=None), image("pay_1"), image("pay_2", to=None), image("pay_3")
    )
    assert failed(publish(event, announcing)) == ["number-3"]


@pytest.mark.parametrize(("calls_before", "first"), [(0, "number-0"), (1, "number-10")])
def test_a_topic_that_is_away_leaves_the_whole_call_for_another_time(
    announcing: Announcing, topic: Topic, calls_before: int, first: str
) -> None:
    topic.refusals = [*([] for _ in range(calls_before)), ServiceUnavailable("away")]
    event = stream(*(image(f"pay_{number}") for number in range(25)))
    assert failed(publish(event, announcing)) == [first]
    assert len(topic.calls) == calls_before + 1


@pytest.mark.parametrize(
    "damage",
    [
        {"to": None},
        {"to": {"S": "NO_STATUS"}},
        {"currency": {"N": "1"}},
        {"amount_minor": {"S": "1"}},
        {"amount_minor": {"N": "1.5"}},
        {"at": {"L": [{"S": "2026"}]}},
        {"at": {"B": "AAECAwQ="}},
        {"correlation_id": {"NULL": True}},
        {"event_type": {"SS": ["payment.completed"]}},
        {"failure_code": {"S": "without a message"}},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_read_is_set_aside_and_stops_nothing(
    announcing: Announcing, topic: Topic, cloud: Cloud, damage: dict[str, Any]
) -> None:
    damaged = image("pay_2", **damage)
    event = stream(image("pay_1"), damaged, image("pay_3"))
    assert failed(publish(event, announcing)) == []
    assert topic.ids == ["pay_1:3", "pay_3:3"]
    [letter] = cloud.taken(cloud.dead_letters_url)
    assert json.loads(letter["Body"]) == damaged
    assert letter["MessageAttributes"]["reason"]["StringValue"]


def test_a_record_that_cannot_be_set_aside_is_delivered_again(
    announcing: Announcing, cloud: Cloud
) -> None:
    cloud.sqs.delete_queue(QueueUrl=cloud.dead_letters_url)
    event = stream(image("pay_1"), image("pay_2", to=None), image("pay_3"))
    assert failed(publish(event, announcing)) == ["number-0"]


def test_an_event_is_rendered_from_its_record_alone(announcing: Announcing, topic: Topic) -> None:
    record = announcing.read(image("pay_1"))
    publish(stream(serialize(record)), announcing)
    assert topic.published == [announcement(record)]


def test_a_smaller_call_is_made_of_fewer_records(announcing: Announcing, topic: Topic) -> None:
    small = replace(announcing, events_at_once=2)
    publish(stream(*(image(f"pay_{number}") for number in range(5))), small)
    assert [len(call) for call in topic.calls] == [2, 2, 1]


def test_the_handler_answers_with_what_is_not_announced_yet(
    announcing: Announcing, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "announcing", lambda: announcing)
    topic.refusals = [ServiceUnavailable("away")]
    given = context()
    given.function_name = "event-publisher-dev"
    given.memory_limit_in_mb = 512
    given.invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
    event = load("dynamodb_stream")
    first = event["Records"][0]["dynamodb"]["SequenceNumber"]
    assert handler(event, given) == {"batchItemFailures": [{"itemIdentifier": first}]}
