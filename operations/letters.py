"""What a dead letter is, and where it belongs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from payments.batches.batch import Batch
from payments.batches.uploads import uploads
from payments.core.faults import InvalidMessage, NewerMessage
from payments.core.messages import decode_message
from payments.core.payment import API

_DAMAGED: Final = (LookupError, TypeError, ValueError, AttributeError)
"""What a document raises that is not of the form that its reader expects."""


@dataclass(frozen=True, slots=True)
class PaymentLetter:
    """The message of a payment or of an operation on one, and the queue that it belongs to, without the environment's suffix."""

    payment_id: str
    queue: str


@dataclass(frozen=True, slots=True)
class BatchLetter:
    """A batch whose workflow gave up on it; ``size`` is its file's, in bytes."""

    batch: Batch
    size: int


@dataclass(frozen=True, slots=True)
class UploadLetter:
    """Files whose workflows could not be started, with their sizes in bytes."""

    batches: Sequence[tuple[Batch, int]]


@dataclass(frozen=True, slots=True)
class UnknownLetter:
    """Something that cannot be put back, and why."""

    why: str


type Letter = PaymentLetter | BatchLetter | UploadLetter | UnknownLetter


def read_letter(body: str) -> Letter:
    """Say what the body of a dead letter is; whatever it holds, this does not fail."""
    try:
        message = decode_message(body)
    except NewerMessage as newer:
        return UnknownLetter(f"a newer release must put it back: {newer}")
    except InvalidMessage as fault:
        return _file(body) or UnknownLetter(f"nothing that can be put back: {fault}")
    queue = "payment-events" if message.source == API else "payment-rows"
    return PaymentLetter(message.payment_id, queue)


def _file(body: str) -> Letter | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if "batch" in document:
        return _batch(document)
    if "requestPayload" in document:
        return _upload(document["requestPayload"])
    return None


def _batch(document: Mapping[str, Any]) -> Letter:
    try:
        batch = Batch.from_dict(document["batch"])
        size, told = document["size"], document["batch"]["batch_id"]
        if not isinstance(size, int) or told != batch.batch_id:
            return UnknownLetter("a batch whose id or size is not that of its file")
    except _DAMAGED as fault:
        return UnknownLetter(f"a batch that cannot be read: {type(fault).__name__}: {fault}")
    return BatchLetter(batch, size)


def _upload(event: Mapping[str, Any]) -> Letter:
    """Read the event that Lambda gave up on: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html."""
    try:
        found = tuple(uploads(event))
    except (InvalidMessage, *_DAMAGED) as fault:
        return UnknownLetter(f"an event that names no upload: {type(fault).__name__}: {fault}")
    if not found:
        return UnknownLetter("an event that names no upload")
    return UploadLetter(found)
