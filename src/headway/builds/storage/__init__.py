"""Where artifacts lie."""

from pathlib import Path

from headway.builds.storage.directory import DirectoryStorage
from headway.builds.storage.http import HttpStorage
from headway.builds.storage.port import Storage, Warehouse
from headway.errors import InvalidInput

__all__ = ["DirectoryStorage", "HttpStorage", "Storage", "Warehouse", "open", "warehouse"]


def open(location: str | Path, token: str | None = None) -> Storage:
    """The store at an http(s) URL under which its paths lie, in a bucket, or in a directory.

    The control plane's own store is at ``https://HOST/v1/store``. ``token`` is sent as a bearer
    token and is of use with a URL only.
    """
    text = str(location)
    if text.startswith(("http://", "https://")):
        return HttpStorage(text, token)
    return warehouse(location)


def warehouse(location: str | Path) -> Warehouse:
    """The store in a bucket (``s3://BUCKET/PREFIX``) or a directory, to be kept tidy from here."""
    text = str(location)
    if text.startswith("s3://"):
        try:
            # Most nodes need no bucket, and boto3 is as large as the rest of an agent.
            from headway.builds.storage.s3 import S3Storage  # noqa: PLC0415
        except ImportError:
            raise InvalidInput("for a store in a bucket, install headway[s3]") from None
        return S3Storage(text)
    if "://" in text:
        scheme = text.partition("://")[0]
        raise InvalidInput(
            f"a store cannot be reached by {scheme!a}; use a directory, http(s) or s3"
        )
    return DirectoryStorage(Path(location))
