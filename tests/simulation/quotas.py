"""Quotas by rate, as AWS keeps them for an account: so many calls a second, and some more at once."""

from dataclasses import dataclass
from random import Random
from typing import Final, Self

_SHARE_OF_TIGHT_WORLDS: Final = 0.2

_QUOTAS: Final = {
    "sfn.StartExecution": (0.2, 2.0),
    "sns.PublishBatch": (0.5, 3.0),
    "dynamodb.TransactWriteItems": (3.0, 10.0),
    "dynamodb.Query": (10.0, 20.0),
    "s3.GetObject": (1.0, 4.0),
    "sqs.SendMessageBatch": (1.0, 3.0),
}
"""Calls a second, and at once: as much too small for a run as the real ones are for a large file."""


@dataclass(slots=True)
class _Bucket:
    rate: float
    most: float
    left: float
    at: float = 0.0


class RateQuotas:
    """Says which calls come too often. A quota does not end with the faults of a run."""

    def __init__(self, buckets: dict[str, _Bucket]) -> None:
        self._buckets = buckets

    @classmethod
    def draw(cls, random: Random) -> Self:
        """Draw the quotas of a run: most runs have none that it could reach."""
        if random.random() >= _SHARE_OF_TIGHT_WORLDS:
            return cls({})
        return cls(
            {
                call: _Bucket(rate, most, most)
                for call, (rate, most) in _QUOTAS.items()
                if random.random() < 0.5
            }
        )

    def refuses(self, call: str, now: float) -> bool:
        """Take one call from what is left, or say that nothing is."""
        bucket = self._buckets.get(call)
        if bucket is None:
            return False
        bucket.left = min(bucket.most, bucket.left + (now - bucket.at) * bucket.rate)
        bucket.at = now
        if bucket.left < 1:
            return True
        bucket.left -= 1
        return False
