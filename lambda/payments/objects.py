"""Adapter: batch files and their reports in S3. Every AWS failure is ``ServiceUnavailable``."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from payments.errors import ServiceUnavailable, UnreadableFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_BLOCK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of one object: what a batch is."""

    bucket: str
    key: str
    version_id: str


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
                answer = self._client.get_object(
                    Bucket=source.bucket, Key=source.key, VersionId=source.version_id
                )
            else:
                answer = self._client.get_object(
                    Bucket=source.bucket,
                    Key=source.key,
                    VersionId=source.version_id,
                    Range=f"bytes={start}-{'' if end is None else end - 1}",
                )
            yield from answer["Body"].iter_chunks(_BLOCK_BYTES)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "NoSuchVersion"}:
                raise UnreadableFile("file_gone", "this version of the file was deleted") from error
            raise ServiceUnavailable("the batch file could not be read") from error
        except BotoCoreError as error:
            raise ServiceUnavailable("the batch file could not be read") from error

    def write(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Write an object whole."""
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise ServiceUnavailable("the batch report could not be written") from error
