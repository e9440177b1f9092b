"""Finding payments that are stuck."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from payments.aws.payments import PaymentStore
from payments.aws.queue import PaymentQueues
from payments.core.faults import GatewayUnavailable, ServiceUnavailable
from payments.core.messages import Backlog
from payments.flows.charge import Charging
from payments.flows.sweep import Found, PaymentSweep
from tests.unit.cloud import (
    ROW,
    TABLES,
    WITNESS,
    Cloud,
    ScriptedGateway,
    add_open_index,
    payment_message,
    payment_request,
)

NOW = "2026-01-01T12:00:00.000000Z"
LONG_AGO = "2026-01-01T00:00:00.000000Z"


@pytest.fixture
def sweep(store: PaymentStore, queues: PaymentQueues, cloud: Cloud) -> PaymentSweep:
    """The sweep at noon, on a table with its index."""
    add_open_index(cloud.dynamodb, TABLES.payments)
    return PaymentSweep(store, queues, lambda: NOW)


@pytest.fixture
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every payment in one shard, so that their order is that of their acceptance."""
    monkeypatch.setattr("payments.aws.payments.OPEN_SHARDS", 1)


def accept(store: PaymentStore, *names: str) -> None:
    """Accept payments a second apart, long ago."""
    for number, name in enumerate(names):
        at = f"2026-01-01T00:00:{number:02}.000000Z"
        store.create(payment_request(name), actor="api", at=at)


def looked_at(sweep: PaymentSweep, *, most: int | None = None) -> list[str]:
    """Return the ids of what a look finds, in its order, with time for so many payments."""
    asked = iter(range(10**6))
    found = sweep.look(has_time=lambda: most is None or next(asked) < most)
    sweep.put_back(found)
    return [payment.payment_id for payment in found.stuck]


class TestLook:
    """What a look finds."""

    def test_what_is_not_final_after_fifteen_minutes_is_stuck(
        self, store: PaymentStore, sweep: PaymentSweep, charging: Charging
    ) -> None:
        for name, at in (
            ("old", "11:00:00.000000"),
            ("at_the_line", "11:45:00.000000"),
            ("young", "11:45:00.000001"),
            ("done", "10:00:00.000000"),
        ):
            store.create(payment_request(name), actor="api", at=f"2026-01-01T{at}Z")
        charging.charge_by_id("done", WITNESS)
        assert sorted(looked_at(sweep)) == ["at_the_line", "old"]

    def test_every_page_of_every_shard_is_looked_at_once_in_every_look(
        self, store: PaymentStore, sweep: PaymentSweep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("payments.aws.payments._OPEN_PAGE", 1)
        names = {f"pay_{number}" for number in range(40)}
        for name in names:
            store.create(payment_request(name), actor="api", at=LONG_AGO)
        for _ in range(2):
            assert sorted(looked_at(sweep)) == sorted(names)

    def test_it_stops_when_time_is_up(self, store: PaymentStore, sweep: PaymentSweep) -> None:
        accept(store, *(f"pay_{number}" for number in range(5)))
        assert len(looked_at(sweep, most=2)) == 2

    @pytest.mark.parametrize("damage", [{"status": {"S": "NO_STATUS"}}, {"version": None}])
    @pytest.mark.usefixtures("one_shard")
    def test_a_payment_that_cannot_be_read_is_told_and_stops_nothing(
        self, store: PaymentStore, sweep: PaymentSweep, cloud: Cloud, damage: dict[str, object]
    ) -> None:
        accept(store, "first", "damaged", "last")
        item = next(
            item for item in cloud.items(TABLES.payments) if item["payment_id"]["S"] == "damaged"
        )
        damaged = {name: value for name, value in {**item, **damage}.items() if value is not None}
        cloud.dynamodb.put_item(TableName=TABLES.payments, Item=damaged)
        found = sweep.look(has_time=lambda: True)
        assert [payment.payment_id for payment in found.stuck] == ["first", "last"]
        [(payment_id, error)] = found.unreadable.items()
        assert payment_id == "damaged"
        assert isinstance(error, ValueError | KeyError)


class Line:
    """The line before a processor that takes one payment in a second."""

    per_second = 1
    at_front: datetime | None = None

    def front(self) -> datetime | None:
        return self.at_front


class TestTurns:
    """A payment that only waits for its turn at the processor is not stuck."""

    @pytest.fixture
    def line(self) -> Line:
        return Line()

    @pytest.fixture
    def limited(
        self, sweep: PaymentSweep, store: PaymentStore, queues: PaymentQueues, line: Line
    ) -> PaymentSweep:
        """The sweep at noon, where the processor takes one payment in a second."""
        del sweep
        return PaymentSweep(store, queues, lambda: NOW, line=line)

    def accept_at(self, store: PaymentStore, time: str, source: str = "api") -> None:
        at = f"2026-01-01T{time}.000000Z"
        store.create(payment_request(f"{source[:3]}_{time[:5]}", source=source), actor="t", at=at)

    def wait(self, monkeypatch: pytest.MonkeyPatch, *backlogs: tuple[int, int]) -> None:
        told = tuple(Backlog(waiting=waiting, delayed=delayed) for waiting, delayed in backlogs)
        monkeypatch.setattr(PaymentQueues, "backlogs", lambda _: told)

    def test_the_time_that_its_queue_takes_is_added(
        self, store: PaymentStore, limited: PaymentSweep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for time in ("11:14:00", "11:16:00", "11:44:00", "11:46:00"):
            self.accept_at(store, time)
        self.wait(monkeypatch, (30 * 60, 0), (0, 0))
        assert looked_at(limited) == ["api_11:14"]
        self.wait(monkeypatch, (0, 0), (30 * 60, 0))
        assert sorted(looked_at(limited)) == ["api_11:14", "api_11:16", "api_11:44"]

    def test_what_is_behind_those_whose_turn_it_is_waits_however_long(
        self,
        store: PaymentStore,
        limited: PaymentSweep,
        line: Line,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """At the end of a long line, little waits, and it has waited for long."""
        for source in ("api", ROW):
            for time in ("10:14:00", "10:16:00", "11:40:00"):
                self.accept_at(store, time, source)
        self.wait(monkeypatch, (60, 0), (0, 0))
        line.at_front = datetime(2026, 1, 1, 10, 32, tzinfo=UTC)
        rows = {"bat_10:14", "bat_10:16", "bat_11:40"}
        assert set(looked_at(limited)) == {"api_10:14", "api_10:16"} | rows
        line.at_front = datetime(2026, 1, 1, 10, 30, tzinfo=UTC)
        assert set(looked_at(limited)) == {"api_10:14"} | rows
        # Nobody takes turns: what still waits is stuck.
        line.at_front = None
        assert set(looked_at(limited)) == {"api_10:14", "api_10:16", "api_11:40"} | rows

    def test_a_long_file_hides_no_stuck_payment_of_a_customer(
        self, store: PaymentStore, limited: PaymentSweep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.accept_at(store, "11:30:00")
        self.accept_at(store, "11:30:00", ROW)
        self.wait(monkeypatch, (0, 0), (10**6, 0))
        assert looked_at(limited) == ["api_11:30"]

    def test_what_was_put_off_may_come_a_delay_later(
        self, store: PaymentStore, limited: PaymentSweep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.accept_at(store, "11:40:00")
        self.accept_at(store, "11:29:00")
        self.wait(monkeypatch, (0, 1), (0, 0))
        assert looked_at(limited) == ["api_11:29"]

    def test_without_a_limit_no_queue_is_asked(
        self, store: PaymentStore, sweep: PaymentSweep, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.accept_at(store, "11:40:00")
        monkeypatch.setattr(PaymentQueues, "backlogs", lambda _: pytest.fail("asked"))
        assert looked_at(sweep) == ["api_11:40"]

    def test_the_queues_say_what_waits_and_what_was_put_off(
        self, queues: PaymentQueues, cloud: Cloud
    ) -> None:
        for delay in (0, 0, 900):
            cloud.sqs.send_message(QueueUrl=cloud.rows_url, MessageBody="x", DelaySeconds=delay)
        assert queues.backlogs() == (
            Backlog(waiting=0, delayed=0),
            Backlog(waiting=2, delayed=1),
        )


@pytest.mark.usefixtures("one_shard")
class TestRotation:
    """What hangs for good must not hide what a retry would finish."""

    def test_the_next_look_begins_behind_the_last_one_and_then_at_the_start(
        self, store: PaymentStore, sweep: PaymentSweep
    ) -> None:
        accept(store, "a", "b", "c", "d", "e")
        assert looked_at(sweep, most=2) == ["a", "b"]
        assert looked_at(sweep, most=2) == ["c", "d"]
        assert looked_at(sweep, most=2) == ["e", "a"]
        assert looked_at(sweep) == ["b", "c", "d", "e", "a"]

    def test_a_look_without_time_changes_nothing(
        self, store: PaymentStore, sweep: PaymentSweep
    ) -> None:
        accept(store, "a", "b", "c")
        assert looked_at(sweep, most=1) == ["a"]
        assert looked_at(sweep, most=0) == []
        assert looked_at(sweep, most=1) == ["b"]

    def test_another_process_begins_where_the_last_one_ended(
        self, store: PaymentStore, queues: PaymentQueues, sweep: PaymentSweep
    ) -> None:
        accept(store, "a", "b", "c")
        looked_at(sweep, most=2)
        assert looked_at(PaymentSweep(store, queues, lambda: NOW)) == ["c", "a", "b"]

    def test_what_came_meanwhile_is_seen_too(
        self, store: PaymentStore, sweep: PaymentSweep
    ) -> None:
        accept(store, "a", "b")
        looked_at(sweep)
        store.create(payment_request("new"), actor="api", at="2026-01-01T11:00:00.000000Z")
        assert looked_at(sweep) == ["new", "a", "b"]


def test_each_shard_remembers_where_its_own_look_ended(
    store: PaymentStore, sweep: PaymentSweep
) -> None:
    names = [f"pay_{number}" for number in range(30)]
    accept(store, *names)
    seen: set[str] = set()
    for _ in range(6):
        found = looked_at(sweep, most=5)
        assert not seen & set(found)
        seen |= set(found)
    assert seen == set(names)
    places = store.last_look()
    assert len({shard for shard, place in places.items() if place.shard == shard}) > 5


class TestPutBack:
    """What is stuck goes back to its queue."""

    def stuck(self, sweep: PaymentSweep) -> Found:
        return sweep.look(has_time=lambda: True)

    def test_what_is_stuck_is_queued_again_as_it_was_in_the_queue_it_came_from(
        self, store: PaymentStore, sweep: PaymentSweep, cloud: Cloud
    ) -> None:
        by_api, by_row = payment_request("by_api"), payment_request("by_row", source=ROW)
        for request in (by_api, by_row):
            store.create(request, actor="test", at=LONG_AGO)
        assert sweep.put_back(self.stuck(sweep)) == 2
        for url, request in ((cloud.events_url, by_api), (cloud.rows_url, by_row)):
            [message] = cloud.taken(url)
            assert payment_message(message["Body"]).request == request

    def test_only_a_payment_that_is_as_accepted_is_described_as_such(
        self, store: PaymentStore, sweep: PaymentSweep, cloud: Cloud
    ) -> None:
        store.create(payment_request(), actor="api", at=LONG_AGO)
        sweep.put_back(self.stuck(sweep))
        [message] = cloud.messages()
        assert payment_message(message["Body"]).accepted == store.get("pay_1")
        down = Charging(store, ScriptedGateway(charge=GatewayUnavailable()))
        with pytest.raises(GatewayUnavailable):
            down.charge_by_id("pay_1", WITNESS)
        sweep.put_back(self.stuck(sweep))
        [message] = cloud.messages()
        assert payment_message(message["Body"]).accepted is None

    def test_what_could_not_be_queued_is_looked_at_again(
        self, store: PaymentStore, sweep: PaymentSweep, cloud: Cloud
    ) -> None:
        accept(store, "a")
        cloud.sqs.delete_queue(QueueUrl=cloud.events_url)
        with pytest.raises(ServiceUnavailable):
            sweep.put_back(self.stuck(sweep))
        assert store.last_look() == {}

    def test_one_payment_is_put_back_by_its_id_while_it_is_open(
        self, store: PaymentStore, sweep: PaymentSweep, charging: Charging, cloud: Cloud
    ) -> None:
        assert sweep.put_back_by_id("pay_1") == 0
        payment, _ = store.create(payment_request(), actor="api", at=NOW)
        assert sweep.put_back_by_id("pay_1") == 1
        [message] = cloud.messages()
        assert payment_message(message["Body"]).accepted == replace(payment)
        charging.charge_by_id("pay_1", WITNESS)
        assert sweep.put_back_by_id("pay_1") == 0
        assert cloud.messages() == []
