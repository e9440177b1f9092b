"""Every key that is written, in one place.

========================  ===========================  ==========================  ==============
kind of item              table                        partition key               sort key
========================  ===========================  ==========================  ==============
payment                   payments                     ``{payment_id}``
audit record              audit-logs                   ``{payment_id}``            sequence
operation on a payment    payment-operations           ``{payment_id}``            ``{kind}#{id}``
status of a batch         processing-status            ``batch#{batch_id}``        1, 2 or 3
range of a batch          processing-status            ``range#{batch_id}``        range number
outcomes of its rows      processing-status            ``outcomes#{n}#{batch_id}`` shard, or range
row that was not paid     processing-status            ``row#{shard}#{batch_id}``  line
claim of a dry run        processing-status            ``claim#{batch_id}#{id}``   0
its claim of a refund     processing-status            ``refund-claim#…``          0
what it leaves to refund  processing-status            ``refund-left#…``           0
sandbox's memory          processing-status            ``sandbox#{payment_id}``    0
its memory of operations  processing-status            ``sandbox-operation#…``     0
end of the last sweep     processing-status            ``sweep#``                  0
processor's next turn     processing-status            ``turn#``                   0
========================  ===========================  ==========================  ==============

``processing-status`` holds several kinds of items. Each kind has a prefix of its own that ends with
``#``, so that no two kinds can meet whatever the ids are: clients choose payment ids, and a payment
may be called like a batch.
"""

import zlib
from typing import Any, Final

type Key = dict[str, Any]
"""The key attributes of an item, in plain Python."""

TIME_SHARDS: Final = 32
"""Over how many partitions the index of all payments by time is spread.

A million payments a minute are 521 writes a second to each, of the 1,000 that a partition key takes:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"""

OUTCOME_SHARDS: Final = 512
"""How many items the outcomes of a batch's rows are counted over."""

OUTCOME_PARTITIONS: Final = 16
"""Over how many partitions these items are spread.

One partition takes 1,000 write units a second, and a count is two within its transaction:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
"""

ROW_SHARDS: Final = 16
"""Over how many partitions a batch's rows that were not paid are spread."""


def payment_key(payment_id: str) -> Key:
    """Return the key of a payment in the table of payments."""
    return {"payment_id": payment_id}


def time_shard(payment_id: str) -> int:
    """Return the partition of a payment in the index of all payments by time."""
    return zlib.crc32(payment_id.encode()) % TIME_SHARDS


def audit_key(payment_id: str, sequence: int) -> Key:
    """Return the key of an audit record; ``sequence`` counts a payment's records from 1."""
    return {"payment_id": payment_id, "sequence": sequence}


def operation_key(payment_id: str, kind: str, operation_id: str) -> Key:
    """Return the key of an operation on a payment, such as ``refund#r1``."""
    return {"payment_id": payment_id, "operation": f"{kind}#{operation_id}"}


def batch_status_key(batch_id: str, sequence: int) -> Key:
    """Return the key of a status of a batch, by its place in the batch's life."""
    return _status_key(batch_statuses(batch_id), sequence)


def batch_statuses(batch_id: str) -> str:
    """Return the partition of all statuses that a batch has had."""
    return f"batch#{batch_id}"


def range_key(batch_id: str, number: int) -> Key:
    """Return the key of the result of a range, by the range's number."""
    return _status_key(batch_ranges(batch_id), number)


def batch_ranges(batch_id: str) -> str:
    """Return the partition of the results of all ranges of a batch."""
    return f"range#{batch_id}"


def outcomes_key(batch_id: str, payment_id: str) -> Key:
    """Return the key under which the outcome of a row is counted: its payment's shard."""
    shard = zlib.crc32(payment_id.encode()) % OUTCOME_SHARDS
    return _outcomes_key(batch_id, shard)


def dry_run_outcomes_key(batch_id: str, range_number: int) -> Key:
    """Return the key under which the outcomes of a range of a dry run are written."""
    return _outcomes_key(batch_id, range_number)


def batch_outcomes(batch_id: str, partition: int) -> str:
    """Return one of the partitions in which the outcomes of a batch's rows are counted."""
    return f"outcomes#{partition}#{batch_id}"


def row_key(batch_id: str, line: int) -> Key:
    """Return the key of a row that was not paid, by its line in the file."""
    return _status_key(batch_rows(batch_id, line % ROW_SHARDS), line)


def batch_rows(batch_id: str, shard: int) -> str:
    """Return the partition of one shard of a batch's rows that were not paid."""
    return f"row#{shard}#{batch_id}"


def claim_key(batch_id: str, payment_id: str) -> Key:
    """Return the key of who has a payment id in a dry run."""
    return _status_key(f"claim#{batch_id}#{payment_id}", 0)


def refund_claim_key(batch_id: str, payment_id: str, refund_id: str) -> Key:
    """Return the key of who has the id of a refund in a dry run."""
    return _status_key(f"refund-claim#{batch_id}#{payment_id}#{refund_id}", 0)


def refund_left_key(batch_id: str, payment_id: str) -> Key:
    """Return the key of what the rows of a dry run leave to refund of a payment."""
    return _status_key(f"refund-left#{batch_id}#{payment_id}", 0)


def sandbox_key(payment_id: str) -> Key:
    """Return the key of what the sandbox gateway remembers of a payment."""
    return _status_key(f"{SANDBOX_PREFIX}{payment_id}", 0)


def sandbox_operation_key(payment_id: str, kind: str, operation_id: str) -> Key:
    """Return the key of what the sandbox gateway remembers of an operation."""
    return _status_key(f"{SANDBOX_OPERATION_PREFIX}{payment_id}#{kind}#{operation_id}", 0)


def turn_key() -> Key:
    """Return the key of the processor's next turn."""
    return _status_key("turn#", 0)


def sweep_key() -> Key:
    """Return the key of where the last look at open payments ended."""
    return _status_key("sweep#", 0)


SANDBOX_OPERATION_PREFIX: Final = "sandbox-operation#"
"""How the partitions of its memory of operations begin."""

SANDBOX_PREFIX: Final = "sandbox#"
"""How the partitions of the sandbox's memory begin."""


def _outcomes_key(batch_id: str, number: int) -> Key:
    return _status_key(batch_outcomes(batch_id, number % OUTCOME_PARTITIONS), number)


def _status_key(entity_id: str, sequence: int) -> Key:
    return {"entity_id": entity_id, "sequence": sequence}
