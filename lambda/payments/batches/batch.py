"""A batch: one version of one file."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NotRequired, Self, TypedDict
from urllib.parse import unquote


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
"""Where the documentation tells people to put files of which nothing is to be paid."""

# The two words as one, or with anything between them that is neither a letter nor a digit.
_DRY_RUN: Final = re.compile(r"(?<![^\W_])dry[\W_]*runs?(?![^\W\d_])")


def looks_like_a_dry_run(key: str) -> bool:
    """Say whether any folder of a key is called a dry run, in whatever spelling.

    Case, full-width letters, invisible characters, encodings of URLs and whatever stands between
    the two words do not count: whoever wrote ``Dry_Run/`` did not mean to pay. Words that only
    contain the letters do: ``laundry-runs/`` is no dry run.

    >>> [looks_like_a_dry_run(key) for key in ("dry-run/a.csv", "x/DRY RUN/a.csv", "dry%2Drun/a")]
    [True, True, True]
    >>> [looks_like_a_dry_run(key) for key in ("dry-run.csv", "laundry-runs/a.csv")]
    [False, False]
    """
    decoded = unquote(key)
    while decoded != key:
        key, decoded = decoded, unquote(decoded)
    text = unicodedata.normalize("NFKC", key).casefold().replace("\\", "/")
    visible = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return any(_DRY_RUN.search(folder) for folder in visible.split("/")[:-1])


class BatchKind(StrEnum):
    """What the rows of a file ask for."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"


REFUNDS_PREFIX: Final = "refunds/"
"""Where files of refunds are put; those of their dry runs in a folder of that name below."""


def kind_of(key: str) -> BatchKind:
    """Return what a file asks for, by its key: the first folder that does not say dry run decides.

    Only the exact spelling asks for refunds, so that a policy of IAM on ``refunds/*`` says who may.
    A file of refunds elsewhere lacks a column of payments, and is refused whole.

    >>> [kind_of(key).value for key in ("refunds/a.csv", "dry-run/refunds/a.csv")]
    ['refunds', 'refunds']
    >>> [kind_of(key).value for key in ("Refunds/a.csv", "/refunds/a.csv", "march/refunds/a.csv")]
    ['payments', 'payments', 'payments']
    """
    folders = (each for each in key.split("/")[:-1] if not looks_like_a_dry_run(f"{each}/"))
    return BatchKind.REFUNDS if next(folders, "") == "refunds" else BatchKind.PAYMENTS


FILE_GONE: Final = "file_gone"
"""The code of a file whose version was deleted."""


class BatchDocument(TypedDict):
    """A batch as its workflow passes it on; see :class:`Batch`."""

    batch_id: str
    bucket: str
    key: str
    version_id: str
    submitted_by: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Batch:
    """One version of one file. Its id follows from bucket, key and version."""

    source: ObjectVersion
    submitted_by: str | None = None
    """IAM's unique id of who uploaded the file, if S3 said; its rows are theirs."""

    @property
    def batch_id(self) -> str:
        """``batch_`` and 32 hexadecimal digits of the SHA-256 over bucket, key and version."""
        name = f"{self.source.bucket}\n{self.source.key}\n{self.source.version_id}"
        return f"batch_{hashlib.sha256(name.encode()).hexdigest()[:32]}"

    @property
    def kind(self) -> BatchKind:
        """What its rows ask for."""
        return kind_of(self.source.key)

    @property
    def is_dry_run(self) -> bool:
        """Whether the file is only to be reported on."""
        return looks_like_a_dry_run(self.source.key)

    def to_dict(self) -> BatchDocument:
        """Return the batch as its workflow passes it on."""
        document: BatchDocument = {
            "batch_id": self.batch_id,
            "bucket": self.source.bucket,
            "key": self.source.key,
            "version_id": self.source.version_id,
        }
        if self.submitted_by is not None:
            document["submitted_by"] = self.submitted_by
        return document

    @classmethod
    def from_dict(cls, document: BatchDocument) -> Self:
        """Read what :meth:`to_dict` returned."""
        source = ObjectVersion(document["bucket"], document["key"], document["version_id"])
        return cls(source, document.get("submitted_by"))


BATCH_ID: Final = re.compile(r"batch_[0-9a-f]{32}")
"""What a batch id looks like; always used with ``fullmatch``."""
