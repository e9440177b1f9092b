"""Adapter: batch files and their reports in S3. Every AWS failure is ``ServiceUnavailable``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from payments.aws.failures import unavailable
from payments.batches.batch import FILE_GONE, ObjectVersion
from payments.core.faults import ServiceUnavailable, UnreadableFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# Small enough that the rows of a block stay in the processor's cache: a tenth faster than 1 MiB.
_BLOCK_BYTES: Final = 64 * 1024

# The last: an object without a version was overwritten.
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion", "PreconditionFailed"})

# The batch processor may read every object of the bucket, so these are about the object's own key.
# https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
_FORBIDDEN: Final = frozenset(
    {
        "AccessDenied",
        # Encrypted with a key that only the uploader has (SSE-C).
        "InvalidRequest",
        "KMS.AccessDeniedException",
        "KMS.DisabledException",
        "KMS.KMSInvalidStateException",
        "KMS.NotFoundException",
    }
)


class _ObjectRequest(TypedDict):
    Bucket: str
    Key: str
    VersionId: str
    IfMatch: NotRequired[str]


def _request_for(source: ObjectVersion) -> _ObjectRequest:
    """Return what S3 is asked for, so that it answers this version or none."""
    version_id, _, etag = source.version_id.partition(":")
    request: _ObjectRequest = {
        "Bucket": source.bucket,
        "Key": source.key,
        "VersionId": version_id,
    }
    return {**request, "IfMatch": f'"{etag}"'} if etag else request


class ObjectStore:
    """Objects as streams of bytes."""

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def read(
        self, source: ObjectVersion, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """Yield an object's bytes from ``start`` to ``end`` (exclusive), in blocks.

        Raises:
            UnreadableFile: this version is not there any more.
        """
        try:
            if start == 0 and end is None:
                # An empty object has no byte 0, so S3 refuses any range of it.
                answer = self._client.get_object(**_request_for(source))
            else:
                stretch = f"bytes={start}-{'' if end is None else end - 1}"
                answer = self._client.get_object(**_request_for(source), Range=stretch)
            yield from answer["Body"].iter_chunks(_BLOCK_BYTES)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _GONE:
                raise UnreadableFile(FILE_GONE, "this version of the file was deleted") from error
            if code in _FORBIDDEN:
                raise UnreadableFile(
                    "not_readable",
                    "the file may not be read or decrypted; upload it again without a key of its"
                    " own, so that the bucket's key encrypts it",
                ) from error
            if code == "InvalidObjectState":
                raise UnreadableFile(
                    "archived", "the file is archived; restore it and upload it again"
                ) from error
            raise ServiceUnavailable("the batch file could not be read") from error
        except BotoCoreError as error:
            raise ServiceUnavailable("the batch file could not be read") from error

    def write(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write an object whole."""
        with unavailable("the batch report could not be written"):
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
