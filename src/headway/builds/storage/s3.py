"""An artifact store in a bucket of S3 or of whatever speaks its protocol, by boto3.

Credentials, region and endpoint come from where AWS's own tools take them: the environment
(``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL_S3`` …), the profile, or the machine's role.
"""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import IO, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from headway.builds.storage.patience import ATTEMPTS, Patience
from headway.builds.storage.port import CHUNK_BYTES, Stored, check_range, plain, room_for_a_copy
from headway.errors import (
    Busy,
    Denied,
    HeadwayError,
    InvalidInput,
    NotFound,
    Refused,
    StorageFailed,
    Unreachable,
)

CONNECTIONS = 8
"""How many connections to the bucket's server are kept."""

PART_BYTES = 16 * 1024 * 1024
"""Objects of more than this are sent in parts of this size, each held in memory while it is sent;
the protocol takes no more than 5 GB in one piece."""

_MOST_PARTS = 10_000
"""As many as the protocol allows; beyond 156 GiB the parts are larger for that."""

_IN_MEMORY_BYTES = 1024 * 1024
_TIMEOUT = 30.0
_RACING = "ConditionalRequestConflict"

log = logging.getLogger("headway.storage")


class S3Storage:
    """Objects at ``s3://BUCKET/PREFIX/path``, created under the condition that there is none.

    Some servers ignore that condition and say nothing. They are found out at the first write,
    which is then told in the log; two publishers at once could replace each other's objects.
    """

    def __init__(
        self,
        url: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        part_bytes: int = PART_BYTES,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or "@" in parts.netloc:
            raise InvalidInput("the store in a bucket must look like s3://BUCKET or s3://BUCKET/A")
        self._bucket = parts.netloc
        prefix = parts.path.strip("/")
        self._prefix = f"{plain(prefix)}/" if prefix else ""
        self._sleep = sleep
        self._part_bytes = part_bytes
        self._is_probed = False
        config = Config(
            connect_timeout=_TIMEOUT,
            read_timeout=_TIMEOUT,
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
        with self._explained("the bucket"):
            self._client: Any = boto3.session.Session().client("s3", config=config)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The object's bytes from ``offset``, at most ``length`` of them."""
        plain(path)
        check_range(offset, length)
        return self._read(path, offset, length)

    def size(self, path: str) -> int | None:
        """The object's size in bytes, or None where there is none."""
        key = self._key(path)
        try:
            with self._explained(path):
                found = self._client.head_object(Bucket=self._bucket, Key=key)
        except NotFound:
            return None
        return int(found["ContentLength"])

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Create the object, whole. Raises Refused when there is other content."""
        key = self._key(path)
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
            for chunk in chunks:
                with room_for_a_copy():
                    body.write(chunk)
            # Not every server minds the condition below, so what is there is looked at first.
            created = self.size(path) is None and self._create(path, key, body)
            if not created:
                self._compare(path, body)
            elif not self._is_probed and body.tell() <= _IN_MEMORY_BYTES:
                self._is_probed = True
                if self._create(path, key, body):
                    log.warning(
                        "the server of this bucket ignores If-None-Match: publish from one "
                        "place at a time, or two publishers may replace each other's objects"
                    )

    def list(self, directory: str) -> Iterator[Stored]:
        """Every object beneath ``directory``."""
        beneath = self._key(directory) + "/"
        with self._explained(directory):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=beneath):
                for one in page.get("Contents", ()):
                    path = one["Key"].removeprefix(self._prefix)
                    yield Stored(path, one["Size"], one["LastModified"].timestamp())

    def replace(self, path: str, content: bytes) -> None:
        """Put other content in an object's place."""
        key = self._key(path)
        with self._explained(path):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content)

    def delete(self, path: str) -> None:
        """Remove an object, if it is there."""
        key = self._key(path)
        with self._explained(path):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _read(self, path: str, offset: int, length: int | None) -> Iterator[bytes]:
        patience = Patience(ATTEMPTS, self._sleep)
        end = None if length is None else offset + length
        at = offset
        while end is None or at < end:
            with patience.tried(self._bucket, path):
                for piece in self._pieces(path, at, end):
                    at += len(piece)
                    patience.renew()
                    yield piece
                return

    def _pieces(self, path: str, at: int, end: int | None) -> Iterator[bytes]:
        asked = {"Range": f"bytes={at}-{'' if end is None else end - 1}"}
        ranged = asked if at or end is not None else {}
        try:
            with self._explained(path):
                answer = self._client.get_object(Bucket=self._bucket, Key=self._key(path), **ranged)
        except _BeyondTheEnd:
            return
        # A server may answer a range with the whole, which its missing Content-Range tells.
        skip = 0 if answer.get("ContentRange") else at
        left = None if end is None else end - at
        with closing(answer["Body"]) as body:
            while left is None or left > 0:
                try:
                    piece = body.read(CHUNK_BYTES)
                except BotoCoreError as error:
                    raise ConnectionError(str(error)) from None
                if not piece:
                    return
                kept = piece[skip:] if left is None else piece[skip : skip + left]
                skip = max(0, skip - len(piece))
                if left is not None:
                    left -= len(kept)
                if kept:
                    yield kept

    def _create(self, path: str, key: str, body: IO[bytes]) -> bool:
        """Put the object if there is none; False when there is one."""
        patience = Patience(ATTEMPTS, self._sleep)
        size = body.seek(0, os.SEEK_END)
        while True:
            with patience.tried(self._bucket, path), self._explained(path):
                try:
                    if size > self._part_bytes:
                        self._put_parts(key, body, size)
                    else:
                        body.seek(0)
                        self._client.put_object(
                            Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*"
                        )
                except ClientError as error:
                    if _status(error) == 412:
                        return False
                    if _code(error) == _RACING:
                        raise ConnectionError("another write is under way") from None
                    raise
                body.seek(0, os.SEEK_END)
                return True

    def _put_parts(self, key: str, body: IO[bytes], size: int) -> None:
        """Send the parts, then have them made one object if there is none; else nothing stays."""
        begun = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)
        upload = {"Bucket": self._bucket, "Key": key, "UploadId": begun["UploadId"]}
        most = max(self._part_bytes, -(-size // _MOST_PARTS))
        try:
            body.seek(0)
            parts = []
            for number in range(1, -(-size // most) + 1):
                sent = self._client.upload_part(**upload, PartNumber=number, Body=body.read(most))
                told = {name: sent[name] for name in ("ETag", "ChecksumCRC32") if name in sent}
                parts.append({"PartNumber": number, **told})
            self._client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            self._abort(upload)
            raise

    def _abort(self, upload: dict[str, str]) -> None:
        """Have the parts removed; what went wrong before this is what matters."""
        try:
            self._client.abort_multipart_upload(**upload)
        except (BotoCoreError, ClientError) as error:
            log.warning(
                "the parts of a broken upload to %s stay in the bucket, unseen, until a lifecycle "
                "rule (AbortIncompleteMultipartUpload) removes them: %s",
                upload["Key"],
                error,
            )

    def _compare(self, path: str, body: IO[bytes]) -> None:
        body.seek(0)
        refused = Refused(f"{path} is in the store already, with other content")
        for piece in self._read(path, 0, None):
            if body.read(len(piece)) != piece:
                raise refused
        if body.read(1):
            raise refused

    def _key(self, path: str) -> str:
        return self._prefix + plain(path)

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise _meaning(error, self._bucket, path) from None
        except NoCredentialsError:
            raise Denied(
                "there are no credentials for the bucket; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or a profile"
            ) from None
        except BotoCoreError as error:
            raise Unreachable(f"the bucket {self._bucket} does not answer: {error}") from None


class _BeyondTheEnd(Exception):
    """The range begins after the object's last byte."""


def _meaning(error: ClientError, bucket: str, path: str) -> Exception:
    status, code = _status(error), _code(error)
    if code == "NoSuchBucket":
        return InvalidInput(f"there is no bucket {bucket}; make it, or correct the store's URL")
    if status == 416:
        return _BeyondTheEnd()
    if status == 404:
        return NotFound(f"there is no {path} in the store; was it published?")
    kinds: dict[int, type[HeadwayError]] = {
        400: InvalidInput,
        401: Denied,
        403: Denied,
        429: Busy,
        507: StorageFailed,
        503: Busy if code == "SlowDown" else Unreachable,
    }
    return kinds.get(status, Unreachable)(f"the bucket {bucket} answered {code} to {path}")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
