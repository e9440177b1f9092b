"""A console that serves on this machine, with everything behind it in process."""

import contextlib
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from operations.batches import BatchFiles
from operations.console import command
from operations.console.app import console
from operations.console.books import Bookkeeping
from operations.console.desk import Desk
from operations.console.health import Alarm, DeadLetter, Queue, Stuck
from operations.console.security import Session
from operations.console.uploads import Uploads
from operations.journal import Journal
from operations.proofs import Fault, Posting, Unit
from operations.proving import Proof
from operations.redrive import PutBack, Redriven
from operations.timeline import Moment, Timeline
from tests.unit.operations.fake_api import FakeApi

WHO = "arn:aws:iam::123456789012:user/anna"


class Bucket:
    """S3 as far as batch files need it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def put_object(self, **told: Any) -> dict[str, str]:
        """Keep an object."""
        self.objects[told["Bucket"], told["Key"]] = told["Body"].read()
        return {"VersionId": f"v{len(self.objects)}"}

    def copy_object(self, **told: Any) -> dict[str, str]:
        """Copy an object."""
        source = told["CopySource"]["Bucket"], told["CopySource"]["Key"]
        self.objects[told["Bucket"], told["Key"]] = self.objects[source]
        return {"VersionId": f"v{len(self.objects)}"}

    def get_object(self, **told: Any) -> dict[str, Any]:
        """Return an object."""
        return {"Body": Body(self.objects[told["Bucket"], told["Key"]])}


class Body(io.BytesIO):
    """What S3 answers with."""

    def iter_chunks(self) -> Iterator[bytes]:
        """Yield all of it."""
        yield self.read()


class Well:
    """An environment whose alarms, queues and letters are what a test says."""

    def __init__(self) -> None:
        self.letters = [DeadLetter(what="payment pay_9, from payment-events", reason="Poison: x")]
        self.error: Exception | None = None

    def alarms(self) -> list[Alarm]:
        """Return one alarm that fires, and one that does not."""
        if self.error:
            raise self.error
        at = datetime(2026, 3, 12, 19, 4, tzinfo=UTC)
        return [
            Alarm(name="payment-events-dlq-messages", state="ALARM", since=at, meaning="Look."),
            Alarm(name="payments-stuck", state="OK", since=at, meaning=""),
        ]

    def queues(self) -> list[Queue]:
        """Return two queues."""
        return [
            Queue(
                name="payment-events", holds="payments by API, on their way", waiting=3, in_flight=1
            ),
            Queue(
                name="payment-events-dlq", holds="what nobody could handle", waiting=1, in_flight=0
            ),
        ]

    def stuck(self) -> list[Stuck]:
        """Return one payment that is stuck."""
        return [Stuck(payment_id="pay_stuck", since="2026-03-12T18:00:00.000000Z")]

    def dead_letters(self) -> list[DeadLetter]:
        """Return the letters."""
        return self.letters


def proof(*faults: Fault) -> Proof:
    """Return a proof of books in which one payment of 99.99 USD was made and 9.99 refunded."""
    told, unit = Proof(), Unit("USD", 2)
    told.books.payments, told.books.records = 1, 5
    for debit, credit, amount in (
        ("processor", "client", 9999),
        ("client", "refunds_pending", 999),
        ("refunds_pending", "processor", 999),
    ):
        told.books.accounts.post(unit, Posting(debit, credit, amount))
    told.books.captured[unit], told.books.refunded[unit] = 9999, 999
    told.tell(*faults)
    return told


def story(payment: Mapping[str, Any], faults: list[str] | None = None) -> Timeline:
    """Return the story of a payment that was paid."""
    at = datetime(2026, 3, 12, 19, 3, 58, tzinfo=UTC)
    told = (
        ("PENDING", 0, "by api; audit record 1, 0123456789ab"),
        ("PROCESSING", 1, "by payment-processor, attempt 1; audit record 2, 4ab1c9d03e77"),
        ("COMPLETED", 2, "by payment-processor, attempt 1, reference ch_1; audit record 3, 9fe27a"),
        ("announcement", 2, "payment.completed, event id pay_9f3c146f2f0e:3"),
    )
    moments = [Moment(at + timedelta(seconds=after), what, how) for what, after, how in told]
    record = {"sequence": 1, "to": "PENDING", "actor": "api", "hash": "0" * 64}
    posting = {"debit": "processor", "credit": "client", "amount_minor": 9999}
    paid = {"sequence": 3, "to": "COMPLETED", "actor": "payment-processor", "hash": "1" * 64}
    return Timeline(
        {**payment, "source": "api", "correlation_id": "request-1"},
        moments,
        2,
        faults or [],
        [record, {**paid, "postings": [posting]}],
    )


@dataclass
class Served:
    """A console that serves, and what is behind it."""

    session: Session
    api: FakeApi
    journal: Journal
    bucket: Bucket
    health: Well
    stories: dict[str, Timeline | Exception]
    uploads: Uploads
    proofs: list[Proof | Exception]
    redriven: list[Redriven] = field(default_factory=list)

    @property
    def cookie(self) -> str:
        """What the operator's browser sends."""
        return f"{self.session.cookie_name}={self.session.cookie}"

    def ask(
        self, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[HTTPResponse, str]:
        """Send a request exactly so, and return answer and text."""
        connection = HTTPConnection(self.session.authority, timeout=20)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            sent = {"Host": self.session.authority, **(headers or {})}
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body.encode())))
            connection.endheaders(body.encode())
            answer = connection.getresponse()
            return answer, answer.read().decode()

    def page(self, path: str) -> str:
        """Return a page as the operator sees it."""
        return self.ask("GET", path, headers={"Cookie": self.cookie})[1]

    def post(self, path: str, form: str) -> tuple[HTTPResponse, str]:
        """Send a form as the operator's browser does."""
        headers = {
            "Cookie": self.cookie,
            "Origin": self.session.origin,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self.ask("POST", path, f"token={self.session.token}&{form}", headers)


@contextlib.contextmanager
def served(folder: Path, suffix: str = "test") -> Iterator[Served]:
    """Serve a console until the end."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        session = Session(f"127.0.0.1:{listening.getsockname()[1]}")
        api, bucket = FakeApi(), Bucket()
        files = BatchFiles(bucket, suffix, lambda batch_id: _look(api, batch_id))  # type: ignore[arg-type]  # as far as needed
        serves = Served(
            session=session,
            api=api,
            journal=Journal(suffix, folder),
            bucket=bucket,
            health=Well(),
            stories={},
            proofs=[Proof()],
            uploads=Uploads(folder / "uploads.json"),
        )

        def tell(payment_id: str) -> Timeline | None:
            told = serves.stories.get(payment_id)
            if isinstance(told, Exception):
                raise told
            return told

        def redrive() -> Redriven:
            done = Redriven(payments=[PutBack("pay_9", "payment-events", "Poison: x")])
            serves.redriven.append(done)
            serves.health.letters = []
            return done

        def prove() -> Iterator[Proof]:
            for told in serves.proofs:
                if isinstance(told, Exception):
                    raise told
                yield told

        desk = Desk(
            suffix=suffix,
            who=WHO,
            api=api.as_api,
            journal=serves.journal,
            files=files,
            uploads=serves.uploads,
            health=serves.health,  # type: ignore[arg-type]  # it has all that is used
            books=Bookkeeping(prove),
            story=tell,
            redrive=redrive,
        )
        server = command.server(desk_app=console(desk, session))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield serves
        finally:
            server.should_exit = True
            thread.join(10)


def _look(api: FakeApi, batch_id: str) -> Mapping[str, Any] | None:
    answer = api.request("GET", f"/batches/{batch_id}")
    return json.loads(answer.body) if answer.ok else None
