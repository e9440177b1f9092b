"""Which files an event of S3 says were uploaded."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from payments.batches.batch import Batch, ObjectVersion, unversioned
from payments.core.faults import InvalidMessage
from payments.core.messages import SUBMITTER

_CREATED: Final = "ObjectCreated"


def uploads(event: Mapping[str, Any]) -> Iterator[tuple[Batch, int]]:
    """Yield the batches that an S3 event says were uploaded, with the sizes of their files in bytes.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

    Raises:
        InvalidMessage: it is no event of S3's: what it stands for must not be passed over.
    """
    # S3 sends this once, when notifications are set up.
    if event.get("Event") == "s3:TestEvent":
        return
    if "Records" not in event:
        raise InvalidMessage("this is no event notification of S3")
    for record in event["Records"]:
        if "s3" not in record:
            raise InvalidMessage("this record is not of S3")
        if not record.get("eventName", _CREATED).startswith(_CREATED):
            continue
        uploaded = record["s3"]["object"]
        # S3 sends keys form-encoded: "+" is a space.
        key = unquote_plus(uploaded["key"])
        # What consoles make of a folder, not a file.
        if key.endswith("/") and not uploaded.get("size", 0):
            continue
        # A bucket without versions names none: then the content says which upload is meant.
        version_id = uploaded.get("versionId") or unversioned(uploaded["eTag"])
        source = ObjectVersion(record["s3"]["bucket"]["name"], key, version_id)
        yield Batch(source, _uploader(record)), uploaded.get("size", 0)


def _uploader(record: Mapping[str, Any]) -> str | None:
    """Return IAM's unique id of who uploaded a file: S3 writes ``AWS:`` before it."""
    principal: str = record.get("userIdentity", {}).get("principalId", "")
    unique_id = principal.removeprefix("AWS:")
    return unique_id if SUBMITTER.fullmatch(unique_id) else None
