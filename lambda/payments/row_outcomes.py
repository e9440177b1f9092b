"""What may become of an accepted row of a batch, and where that is kept.

Outcomes are counted over many items, so that no item is written by every row of a large file. One
shard takes about 500 transactional writes a second; hundreds of shards leave room for any batch.
"""

import zlib
from enum import StrEnum
from typing import Final

COUNT_SHARDS: Final = 512
ROW_SHARDS: Final = 16


class RowOutcome(StrEnum):
    """The end of an accepted row: paid, failed, or not paid because its id was taken."""

    COMPLETED = "completed"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


def batch_row(source: str) -> tuple[str, int] | None:
    """Return batch id and line of a payment's source; ``None`` if it came by API."""
    kind, _, row = source.partition(":")
    if kind != "batch":
        return None
    batch_id, _, line = row.rpartition(":")
    return batch_id, int(line)


def counts_entity(batch_id: str) -> str:
    """Return the key under which a batch's outcomes are counted; each shard is a sequence."""
    return f"{batch_id}#counts"


def count_shard(payment_id: str) -> int:
    """Return the shard in which a payment's outcome is counted."""
    return zlib.crc32(payment_id.encode()) % COUNT_SHARDS


def rows_entity(batch_id: str, line: int) -> str:
    """Return the key under which a line is kept that was not paid; the line is its sequence."""
    return f"{batch_id}#rows#{line % ROW_SHARDS}"
