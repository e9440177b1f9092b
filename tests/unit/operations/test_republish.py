"""Announcing again: what was recorded in a span of time, in order, as it was announced before."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from operations import republish
from operations.cli import main
from payments.aws.items import deserialize
from payments.aws.payments import PaymentStore, Tables
from payments.aws.sandbox_ledger import SandboxLedger
from payments.core.announcements import announcement
from payments.flows.charge import Charging
from payments.gateways.sandbox import SandboxGateway
from tests.unit.cloud import AT, WITNESS, Cloud, create_table, payment_request

TABLES = Tables(
    payments="payments-test",
    processing_status="status",
    audit_logs="audit-logs-test",
    operations="payment-operations-test",
)
TIMES = ("2026-03-12T19:00:00.000000Z", "2026-03-12T20:00:00.000000Z")
"""When ``early`` and ``late`` ended."""
SPAN = ["--from", "2026-03-12T19:00Z", "--to", "2026-03-12T21:00Z"]


@pytest.fixture
def trail(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Two payments that ended, one that is open, and a topic whose events a queue gets."""
    monkeypatch.setattr(republish, "_FIRST_PAUSE_SECONDS", 0)
    create_table(cloud.dynamodb, TABLES.payments, {"payment_id": "S"})
    create_table(cloud.dynamodb, TABLES.audit_logs, {"payment_id": "S", "sequence": "N"})
    store = PaymentStore(cloud.dynamodb, TABLES)
    gateway = SandboxGateway(SandboxLedger(cloud.dynamodb, TABLES.processing_status))
    for name, at, amount_minor in (
        ("early", TIMES[0], 100),
        ("late", TIMES[1], 40001),
        ("open", None, 100),
    ):
        store.create(payment_request(name, amount_minor), actor="api", at=AT)
        if at:
            Charging(store, gateway, lambda at=at: at).charge_by_id(name, WITNESS)  # type: ignore[misc]  # a clock
    sns = boto3.client("sns")
    topic = sns.create_topic(Name="payment-notifications-test")["TopicArn"]
    queue = cloud.sqs.get_queue_attributes(QueueUrl=cloud.events_url, AttributeNames=["QueueArn"])
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=queue["Attributes"]["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )
    return cloud


def published(cloud: Cloud) -> list[dict[str, Any]]:
    events = [json.loads(message["Body"]) for message in cloud.taken(cloud.events_url)]
    return sorted(events, key=lambda event: str(event["event_id"]))


def run(*arguments: str) -> int:
    return main(["republish", "--env", "test", *arguments])


def records(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """Return each payment's record that is an event."""
    return {
        item["payment_id"]["S"]: item
        for item in cloud.items(TABLES.audit_logs)
        if "event_type" in item
    }


def test_events_are_published_again_as_they_were(
    trail: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run(*SPAN) == 0
        expected = [announcement(deserialize(each))[0] for each in records(trail).values()]
        assert published(trail) == sorted(expected, key=lambda event: event["event_id"])
    assert "2 events of 2 payments published, 0 unreadable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("first", "end", "names"),
    [
        (TIMES[0], TIMES[1], ["early"]),
        ("2026-03-12T19:00:00.000001Z", "2026-03-12T20:00:00.000001Z", ["late"]),
        ("2026-03-12T20:00+01:00", "2026-03-12T22:00+01:00", ["early", "late"]),
        ("2026-03-12T20:00:01Z", "2030-01-01T00:00Z", []),
        ("2020-01-01T00:00Z", TIMES[0], []),
    ],
)
def test_the_first_moment_is_in_the_span_and_the_last_is_not(
    trail: Cloud, first: str, end: str, names: list[str]
) -> None:
    assert run("--from", first, "--to", end) == 0
    assert [event["payment"]["payment_id"] for event in published(trail)] == names


def test_a_dry_run_counts_and_publishes_nothing(
    trail: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*SPAN, "--dry-run") == 0
    assert capsys.readouterr().out == ("2 events of 2 payments would be published, 0 unreadable\n")
    assert published(trail) == []


def test_the_events_of_a_payment_are_published_in_order(
    trail: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No payment has several events today; the order must hold on the day that one has."""
    record = records(trail)["early"]
    for sequence in range(4, 30):
        trail.dynamodb.put_item(
            TableName=TABLES.audit_logs, Item={**record, "sequence": {"N": str(sequence)}}
        )
    calls = watch_topic(monkeypatch)
    assert run(*SPAN) == 0
    ids = [event_id for call in calls for event_id in call if event_id.startswith("early")]
    assert ids == [f"early:{sequence}" for sequence in range(3, 30)]
    assert max(len(call) for call in calls) == 10


def watch_topic(
    monkeypatch: pytest.MonkeyPatch, *answers: list[int] | Exception
) -> list[list[str]]:
    """Note the event ids of each call; answer with the places that are refused, or an error."""
    calls: list[list[str]] = []
    remaining = list(answers)

    class Sns:
        def publish_batch(self, **arguments: Any) -> dict[str, Any]:
            entries = arguments["PublishBatchRequestEntries"]
            calls.append([json.loads(each["Message"])["event_id"] for each in entries])
            answer = remaining.pop(0) if remaining else []
            if isinstance(answer, Exception):
                raise answer
            return {"Failed": [{"Id": str(place)} for place in answer]}

    monkeypatch.setattr("operations.clients.sns", Sns)
    return calls


THROTTLED = ClientError(
    {"Error": {"Code": "Throttled", "Message": "Rate exceeded"}}, "PublishBatch"
)


def test_what_the_topic_refuses_is_published_again_with_all_that_follow(
    trail: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = watch_topic(monkeypatch, THROTTLED, [1], [0])
    assert run(*SPAN) == 0
    both = sorted(records(trail))
    [first, second] = calls[0]
    assert sorted(each.partition(":")[0] for each in calls[0]) == both
    assert calls == [[first, second], [first, second], [second], [second]]
    assert "2 events of 2 payments published" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "told"),
    [(THROTTLED, "Rate exceeded"), ([0], "the topic refuses some of them each time")],
)
@pytest.mark.usefixtures("trail")
def test_a_topic_that_does_not_take_events_ends_the_command_with_what_was_done(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: list[int] | Exception,
    told: str,
) -> None:
    monkeypatch.setattr(republish, "MESSAGES_PER_CALL", 1)
    watch_topic(monkeypatch, [], *[answer] * 6)
    assert run(*SPAN) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "1 of 1 payments were; run the same command again" in error


@pytest.mark.parametrize(
    "damage",
    [
        {"at": {"N": "1"}},
        {"at": {"S": "yesterday"}},
        {"at": {"S": "2026-03-12T19:00:00"}},
        {"amount_minor": {"N": "1.5"}},
        {"amount_minor": {"S": "100"}},
        {"currency": {"B": b"USD"}},
        {"correlation_id": None},
        {"to": {"L": [{"S": "COMPLETED"}]}},
        {"event_type": {"M": {}}},
    ],
    ids=str,
)
def test_a_record_that_is_damaged_is_named_and_the_others_are_published(
    trail: Cloud, capsys: pytest.CaptureFixture[str], damage: dict[str, Any]
) -> None:
    item = {**records(trail)["early"], **damage}
    damaged = {name: value for name, value in item.items() if value is not None}
    trail.dynamodb.put_item(TableName=TABLES.audit_logs, Item=damaged)
    assert run(*SPAN) == 1
    told = capsys.readouterr().out
    assert "cannot be read: early record 3: " in told
    assert "1 events of 1 payments published, 1 unreadable" in told
    assert [event["payment"]["payment_id"] for event in published(trail)] == ["late"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--from", "yesterday", "--to", "2026-03-12T21:00Z"], "'yesterday' is no time"),
        (["--from", "2026-03-12T19:00", "--to", "2026-03-12T21:00Z"], "with a time zone"),
        (["--from", "2026-03-12T21:00Z", "--to", "2026-03-12T19:00Z"], "must be before"),
        (["--from", "2026-03-12T21:00Z", "--to", "2026-03-12T21:00Z"], "must be before"),
        (["--from", "2026-03-12T21:00Z"], "--to"),
    ],
)
def test_a_span_that_is_none_is_refused_with_what_would_be_right(
    capsys: pytest.CaptureFixture[str], arguments: list[str], fault: str
) -> None:
    try:
        code = run(*arguments)
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code == 2
    assert fault in capsys.readouterr().err


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("arguments", [SPAN, [*SPAN, "--dry-run"]])
def test_an_environment_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["republish", "--env", "none", *arguments]) == 2
    assert "Events of 'none' cannot be published again" in capsys.readouterr().err
