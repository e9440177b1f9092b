"""``payments redrive``: put dead letters back where they belong, and say why the others stay."""

import argparse
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from operations import clients, screen
from operations.arns import beside
from operations.failures import tell
from operations.letters import (
    BatchLetter,
    Letter,
    PaymentLetter,
    UnknownLetter,
    UploadLetter,
    read_letter,
)
from operations.options import DONE, INTERRUPTED, NO, Commands, add_command
from payments.aws.workflows import Workflow
from payments.batches.batch import Batch
from payments.batches.states import BatchInput
from payments.core.faults import ServiceUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

RECEIVED_SECONDS: Final = 900
"""How long a letter that was received is hidden: more than enough to put ten of them back."""

KEPT_SECONDS: Final = 3600
"""How long a letter that stays is hidden, so that it is not seen again while others wait. At the end
it is shown again; only if the command is killed it stays hidden for so long."""

_AT_ONCE: Final = 10
"""The most that one call of SQS takes."""

_RECEIVES_WITHOUT_NEWS: Final = 3
"""SQS answers from a part of its servers, so that one answer may hold nothing new by chance."""

_MOST_LINES: Final = 20
_MOST_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class PutBack:
    """A letter that went back: a payment to its queue, or a file's batch to its workflow.

    ``reason`` is why it was set aside, if the letter says so.
    """

    what: str
    to: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A letter that stays in the dead-letter queue, and why it does."""

    message_id: str
    why: str
    reason: str | None
    body: str


@dataclass(slots=True)
class Redriven:
    """What became of the letters; ``notes`` are what went wrong without harm."""

    payments: list[PutBack] = field(default_factory=list)
    files: list[PutBack] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Redriving:
    """Puts the dead letters of one environment back.

    A letter is deleted after it was put back. So one that is interrupted is put back twice, which is
    still one payment or one batch.
    """

    def __init__(self, client: "SQSClient", environment: str, done: Redriven) -> None:
        """Open the queues; what is done is in ``done`` immediately, whatever happens later."""
        self._client = client
        self._environment = environment
        self._done = done
        self._dead = self._url("payment-events-dlq")
        self._queues = {name: self._url(name) for name in ("payment-events", "payment-rows")}
        self._workflow: Workflow | None = None
        self._put_back: set[str] = set()
        self._receipts: dict[str, str] = {}

    def run(self) -> Generator[Redriven]:
        """Look at every letter once.

        Yields:
            What was done so far, after each call that received letters.
        """
        without_news = 0
        try:
            while without_news < _RECEIVES_WITHOUT_NEWS:
                letters = self._receive()
                if not letters:
                    return
                new = [each for each in letters if not self._is_known(each)]
                without_news = 0 if new else without_news + 1
                self._handle(new)
                yield self._done
            self._done.notes.append(
                "letters that stay came back before all were seen: there may be more, so run the"
                " command again"
            )
        finally:
            self._show_again()

    def _url(self, name: str) -> str:
        return self._client.get_queue_url(QueueName=f"{name}-{self._environment}")["QueueUrl"]

    def _receive(self) -> "Sequence[MessageTypeDef]":
        return self._client.receive_message(
            QueueUrl=self._dead,
            MaxNumberOfMessages=_AT_ONCE,
            MessageAttributeNames=["reason"],
            VisibilityTimeout=RECEIVED_SECONDS,
            WaitTimeSeconds=1,
        ).get("Messages", [])

    def _is_known(self, letter: "MessageTypeDef") -> bool:
        """Say whether a letter was handled before; it comes back once it is hidden no more."""
        message_id = letter["MessageId"]
        if message_id in self._put_back:
            # It could not be deleted then.
            self._delete([letter])
            return True
        if message_id in self._receipts:
            self._receipts[message_id] = letter["ReceiptHandle"]
            self._hide({message_id: letter["ReceiptHandle"]}, KEPT_SECONDS)
            return True
        return False

    def _handle(self, letters: "Sequence[MessageTypeDef]") -> None:
        by_queue: dict[str, list[tuple[MessageTypeDef, str]]] = {name: [] for name in self._queues}
        gone = []
        for letter in letters:
            match read_letter(letter["Body"]):
                case PaymentLetter(payment_id, queue):
                    by_queue[queue].append((letter, payment_id))
                case UnknownLetter(why):
                    self._keep(letter, why)
                case found:
                    if self._is_started(letter, found):
                        gone.append(letter)
        for queue, payments in by_queue.items():
            gone.extend(self._sent(queue, payments))
        self._put_back.update(letter["MessageId"] for letter in gone)
        self._delete(gone)
        kept = [letter["MessageId"] for letter in letters if letter["MessageId"] in self._receipts]
        self._hide({each: self._receipts[each] for each in kept}, KEPT_SECONDS)

    def _sent(
        self, queue: str, payments: "Sequence[tuple[MessageTypeDef, str]]"
    ) -> "list[MessageTypeDef]":
        """Send payments to their queue; return the letters that it took."""
        if not payments:
            return []
        answer = self._client.send_message_batch(
            QueueUrl=self._queues[queue],
            Entries=[
                {"Id": str(place), "MessageBody": letter["Body"]}
                for place, (letter, _) in enumerate(payments)
            ],
        )
        refused = {int(each["Id"]): each["Code"] for each in answer.get("Failed", [])}
        sent = []
        for place, (letter, payment_id) in enumerate(payments):
            if place in refused:
                self._keep(letter, f"the queue refused it: {refused[place]}")
                continue
            self._done.payments.append(PutBack(payment_id, queue, reason_of(letter)))
            sent.append(letter)
        return sent

    def _is_started(self, letter: "MessageTypeDef", found: Letter) -> bool:
        """Start the workflows of the files that a letter is about; say whether all are."""
        workflow = self._batch_workflow()
        try:
            match found:
                case BatchLetter(batch, size):
                    # Under its own id: the workflow has ended, so this is its next execution.
                    workflow.ensure_running(batch.batch_id, _input(batch, size))
                    started = [batch]
                case UploadLetter(batches):
                    for batch, size in batches:
                        workflow.start_once(batch.batch_id, _input(batch, size))
                    started = [batch for batch, _ in batches]
                case _:
                    return False
        except ServiceUnavailable as error:
            self._keep(letter, f"{error} ({error.__cause__})" if error.__cause__ else str(error))
            return False
        for batch in started:
            what = f"{batch.batch_id} (s3://{batch.source.bucket}/{batch.source.key})"
            self._done.files.append(PutBack(what, "payment-batch-workflow", reason_of(letter)))
        return True

    def _batch_workflow(self) -> Workflow:
        if self._workflow is None:
            arn = self._client.get_queue_attributes(
                QueueUrl=self._dead, AttributeNames=["QueueArn"]
            )["Attributes"]["QueueArn"]
            name = f"stateMachine:payment-batch-workflow-{self._environment}"
            self._workflow = Workflow(clients.stepfunctions(), beside(arn, "states", name))
        return self._workflow

    def _keep(self, letter: "MessageTypeDef", why: str) -> None:
        self._receipts[letter["MessageId"]] = letter["ReceiptHandle"]
        self._done.kept.append(Kept(letter["MessageId"], why, reason_of(letter), letter["Body"]))

    def _delete(self, letters: "Sequence[MessageTypeDef]") -> None:
        """Delete letters that were put back; one that is not deleted comes again and is known then."""
        if not letters:
            return
        failed: Sequence[Mapping[str, Any]]
        try:
            failed = self._client.delete_message_batch(
                QueueUrl=self._dead,
                Entries=[
                    {"Id": str(place), "ReceiptHandle": letter["ReceiptHandle"]}
                    for place, letter in enumerate(letters)
                ],
            ).get("Failed", [])
        except ClientError as error:
            failed = [{"Code": error.response["Error"]["Code"]}] * len(letters)
        if failed:
            codes = ", ".join(sorted({each["Code"] for each in failed}))
            self._done.notes.append(
                f"{len(failed)} letters were put back and could not be deleted ({codes}); put back"
                " again, they are still the same payments and batches"
            )

    def _show_again(self) -> None:
        hidden = self._hide(self._receipts, 0)
        if hidden:
            minutes = KEPT_SECONDS // 60
            self._done.notes.append(
                f"{hidden} letters that stay are hidden for up to {minutes} minutes more"
            )

    def _hide(self, receipts: Mapping[str, str], seconds: int) -> int:
        """Hide letters for so long from now on; return how many stay as they are.

        A receipt that is over says that its letter is visible already.
        """
        failed = 0
        for several in batched(receipts.values(), _AT_ONCE):
            try:
                answer = self._client.change_message_visibility_batch(
                    QueueUrl=self._dead,
                    Entries=[
                        {"Id": str(place), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
                        for place, receipt in enumerate(several)
                    ],
                )
            except (ClientError, BotoCoreError):
                failed += len(several)
            else:
                refused = answer.get("Failed", [])
                failed += sum(each["Code"] not in _VISIBLE_ALREADY for each in refused)
        return failed


_VISIBLE_ALREADY: Final = frozenset(
    {
        "AWS.SimpleQueueService.MessageNotInflight",
        "InvalidParameterValue",
        "MessageNotInflight",
        "ReceiptHandleIsInvalid",
    }
)


def _input(batch: Batch, size: int) -> BatchInput:
    return {"batch": batch.to_dict(), "size": size}


def reason_of(letter: "MessageTypeDef") -> str | None:
    """Return why a letter was set aside, if it says so."""
    reason = letter.get("MessageAttributes", {}).get("reason")
    return reason.get("StringValue") if reason else None


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(
        commands, "redrive", run, "put dead letters back where they belong, and say why others stay"
    )


def run(options: argparse.Namespace) -> int:
    """Redrive; return ``NO`` if letters remain, ``FAILED`` if it failed, whatever it did before."""
    done = Redriven()
    try:
        with (
            screen.progress("receiving dead letters") as show,
            closing(Redriving(clients.sqs(), options.env, done).run()) as running,
        ):
            for state in running:
                show(_counts(state))
    except KeyboardInterrupt:
        _report(done, as_json=options.json, only_if_any=False)
        return INTERRUPTED
    except clients.AWS_FAILURES as error:
        _report(done, as_json=options.json, only_if_any=True)
        return tell(f"The dead letters of {options.env!r} cannot be redriven", error)
    _report(done, as_json=options.json, only_if_any=False)
    return NO if done.kept else DONE


def _counts(done: Redriven) -> str:
    return (
        f"{len(done.payments)} payments and {len(done.files)} files put back,"
        f" {len(done.kept)} letters stay"
    )


def _report(done: Redriven, *, as_json: bool, only_if_any: bool) -> None:
    if only_if_any and not (done.payments or done.files or done.kept):
        return
    if as_json:
        screen.document(asdict(done))
        return
    _lines(
        [
            f"put back: {each.what} → {each.to}{_because(each.reason)}"
            for each in (*done.payments, *done.files)
        ]
    )
    _lines(
        [
            f"stays: {each.message_id}: {each.why}{_because(each.reason)}: {_shortened(each.body)}"
            for each in done.kept
        ]
    )
    for note in done.notes:
        screen.say(note)
    screen.say(_counts(done))


def _lines(lines: Sequence[str]) -> None:
    for line in lines[:_MOST_LINES]:
        screen.say(line)
    if len(lines) > _MOST_LINES:
        screen.say(f"… and {len(lines) - _MOST_LINES} more; --json tells all")


def _because(reason: str | None) -> str:
    return f" (set aside: {_shortened(reason)})" if reason else ""


def _shortened(text: str) -> str:
    """Return a text as one line that no terminal acts on."""
    shown = screen.visible(text)
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[:_MOST_CHARACTERS]}…"
