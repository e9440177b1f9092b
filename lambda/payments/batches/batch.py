"""A batch: one version of one file."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of one object: what a batch is.

    ``version_id`` is S3's, or :func:`unversioned` where the bucket keeps no versions.
    """

    bucket: str
    key: str
    version_id: str


def unversioned(etag: str) -> str:
    """Return what stands for a version id where there is none; no version id of S3 has a colon."""
    return f"null:{etag}"


DRY_RUN_PREFIX: Final = "dry-run/"
"""Files under this prefix are reported on as any other, and nothing of them is queued."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One version of one file. Its id follows from bucket, key and version."""

    source: ObjectVersion

    @property
    def batch_id(self) -> str:
        """``batch_`` and 32 hexadecimal digits of the SHA-256 over bucket, key and version."""
        name = f"{self.source.bucket}\n{self.source.key}\n{self.source.version_id}"
        return f"batch_{hashlib.sha256(name.encode()).hexdigest()[:32]}"

    @property
    def is_dry_run(self) -> bool:
        """Whether the file is only to be reported on."""
        return self.source.key.startswith(DRY_RUN_PREFIX)

    def to_dict(self) -> dict[str, str]:
        """Return the batch as its workflow passes it on."""
        return {
            "batch_id": self.batch_id,
            "bucket": self.source.bucket,
            "key": self.source.key,
            "version_id": self.source.version_id,
        }

    @classmethod
    def from_dict(cls, document: dict[str, str]) -> Self:
        """Read what :meth:`to_dict` returned."""
        return cls(ObjectVersion(document["bucket"], document["key"], document["version_id"]))


BATCH_ID: Final = re.compile(r"batch_[0-9a-f]{32}")
"""What a batch id looks like; always used with ``fullmatch``."""
