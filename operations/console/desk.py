"""What the pages ask of an environment: everything the operator can reach, in one place."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from lib.config import is_protected
from operations import api as apis
from operations import clients, trace
from operations.api import PaymentsApi
from operations.batch import files_of
from operations.batches import BatchFiles
from operations.console.books import Bookkeeping
from operations.console.health import Health
from operations.console.uploads import Uploads
from operations.journal import Journal, state_folder
from operations.ledger import Ledger
from operations.proving import Proof, Prover
from operations.redrive import Redriven, Redriving
from operations.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One environment, as one operator reaches it.

    Attributes:
        suffix: the environment.
        who: the ARN of the operator.
        api: its API.
        journal: what this user sent and has no answer to.
        files: its batch files.
        uploads: what this user uploaded.
        books: the last proof of its books.
        health: its alarms, queues and dead letters.
        story: tells the story of a payment; raises what AWS raises if the operator may not read it.
        redrive: puts dead letters back.
    """

    suffix: str
    who: str
    api: PaymentsApi
    journal: Journal
    files: BatchFiles
    uploads: Uploads
    health: Health
    books: Bookkeeping
    story: Callable[[str], Timeline | None]
    redrive: Callable[[], Redriven]

    @property
    def is_protected(self) -> bool:
        """Whether real money may be here."""
        return is_protected(self.suffix)

    @property
    def person(self) -> str:
        """Who the operator is, without the account's part of the ARN."""
        return self.who.rpartition(":")[2]


def open_desk(suffix: str) -> Desk:
    """Return the desk of the caller of this process.

    Raises:
        NoSuchEnvironment: there is no such environment where the credentials lead.
        BotoCoreError, ClientError: AWS cannot be asked.
    """
    api = apis.find(suffix)
    return Desk(
        suffix=suffix,
        who=clients.sts().get_caller_identity()["Arn"],
        api=api,
        journal=Journal(suffix),
        files=files_of(api, suffix),
        uploads=Uploads(state_folder() / f"uploads-{suffix}.json"),
        health=Health(suffix),
        books=Bookkeeping(lambda: _proving(suffix)),
        story=lambda payment_id: trace.witnesses(suffix).timeline(payment_id),
        redrive=lambda: _redriven(suffix),
    )


def _proving(suffix: str) -> Iterator[Proof]:
    return Prover(Ledger(clients.dynamodb(), suffix), datetime.now(UTC)).prove()


def _redriven(suffix: str) -> Redriven:
    done = Redriven()
    for _ in Redriving(clients.sqs(), suffix, done).run():
        pass
    return done
