"""What the steps of a batch need of the world: its file, a queue for rows, records of the batch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from payments.batches.batch import ObjectVersion
from payments.batches.progress import (
    BatchProgress,
    BatchStatus,
    IdHolder,
    NotPaidRow,
    RangeResult,
    RefundSums,
)
from payments.batches.records import ValidRow
from payments.core.amounts import Amounts
from payments.core.content import Content, RefundContent
from payments.core.payment import Payment, RowOutcome

type RefundKey = tuple[str, str]
"""The id of a payment, and that of a refund on it."""


class Files(Protocol):
    """Batch files and reports, as bytes."""

    def read(
        self, source: ObjectVersion, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """Yield a file's bytes from ``start`` to ``end`` (exclusive), in blocks."""
        ...

    def write(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write an object whole."""
        ...


class RowQueue(Protocol):
    """The queue that rows of a file go to."""

    def send_all(self, messages: Iterable[str]) -> int:
        """Make every message durable in the queue and return how many they were."""
        ...

    def waiting(self) -> int:
        """Return about how many messages wait in the queue."""
        ...


class Records(Protocol):
    """What is known of batches."""

    @property
    def row_shards(self) -> int:
        """Over how many shards rows that were not paid are spread."""
        ...

    def record(
        self,
        batch_id: str,
        status: BatchStatus,
        at: str,
        *,
        details: Mapping[str, Any] | None = None,
    ) -> str:
        """Write a status of a batch unless it has one at this point; return since when."""
        ...

    def record_range(self, batch_id: str, result: RangeResult, at: str) -> None:
        """Write what became of a range."""
        ...

    def progress(self, batch_id: str) -> BatchProgress | None:
        """Return a batch as it stands, or ``None``."""
        ...

    def not_paid(self, batch_id: str, shards: Iterable[int]) -> Iterator[NotPaidRow]:
        """Yield the rows that were not paid in these shards."""
        ...


@dataclass(frozen=True, slots=True)
class RefundsSeen:
    """What a dry run finds of some refunds and their payments.

    Attributes:
        payments: the payments that there are.
        holders: who has the id of a refund: a refund that was accepted before, or a row of the file.
        amounts: those of payments that rows of the file have reserved something of, after that.
    """

    payments: Mapping[str, Payment]
    holders: Mapping[RefundKey, IdHolder]
    amounts: Mapping[str, Amounts]


class DryRuns(Protocol):
    """What a dry run asks of the payments, and remembers of its own rows."""

    def claim(
        self, batch_id: str, rows: Sequence[ValidRow[Content]], at: str
    ) -> Mapping[str, IdHolder]:
        """Return who has the payment id of each of at most 100 rows.

        What is returned for an id once is returned for the whole batch from then on.
        """
        ...

    def record_not_paid(self, batch_id: str, rows: Sequence[NotPaidRow], at: str) -> None:
        """Write at most 100 rows that would not be paid."""
        ...

    def refunds(self, batch_id: str, contents: Sequence[RefundContent]) -> RefundsSeen:
        """Return what there is of at most 40 refunds and their payments."""
        ...

    def claim_refunds(
        self,
        batch_id: str,
        claims: Mapping[RefundKey, IdHolder],
        before: RefundsSeen,
        amounts: Mapping[str, Amounts],
        at: str,
    ) -> bool:
        """Write who has which refund and what is left of the payments, if all is as before; say whether."""
        ...

    def record_outcomes(
        self,
        batch_id: str,
        range_number: int,
        counts: Mapping[RowOutcome, int],
        at: str,
        *,
        refunds: RefundSums = ...,
    ) -> None:
        """Write how many rows of a range would have which outcome, and what would be refunded."""
        ...
