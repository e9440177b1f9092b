"""What may become of an accepted row of a batch."""

from enum import StrEnum


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
