"""The server's data directory: one server at a time, and what the first start leaves in it.

<data>/lock            held while a server runs
<data>/keys/           release.key and build.key, each with its public key beside it
<data>/admin.token     the first admin's token
<data>/headway.db      the database
<data>/signals.db      the embedded signal store, unless another is configured
<data>/artifacts/      what is published
<data>/repositories/   copies of the repositories that releases are made from
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from headway.errors import InvalidInput, Refused, StorageFailed
from headway.server.config import ServerConfig
from headway.signing import Signer, Trust


class Keys(Struct, frozen=True):
    """The keys that a server works with."""

    release: Signer
    build_trust: Trust
    signal_trust: Trust


@contextmanager
def occupied(data: Path) -> Iterator[None]:
    """Hold the data directory. Raises Refused when another server does, or StorageFailed."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "artifacts").mkdir(exist_ok=True)
        descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(f"the directory {data} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise Refused(f"another server is running on {data}; give this one its own") from None
    try:
        yield
    finally:
        os.close(descriptor)


def keys(config: ServerConfig) -> Keys:
    """The configured keys, or those of the data directory, made if they are missing."""
    release = Signer.load(config.release_key or _own_key(config.data, "release.key"))
    builds = config.build_trust or (_public(_own_key(config.data, "build.key")),)
    signals = Trust.of(release.public_pem, *map(_pem, config.signal_trust))
    return Keys(release, Trust.load(builds), signals)


def write_secret(path: Path, secret: str) -> None:
    """Keep a secret in a file that only its owner can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        raise StorageFailed(f"{path} cannot be written: {error.strerror}") from None


def _own_key(data: Path, name: str) -> Path:
    path = data / "keys" / name
    if not path.exists():
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StorageFailed(f"{path.parent} cannot be made: {error.strerror}") from None
        Signer.generate().save(path)
    return path


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"the public key {path} cannot be read: {error.strerror}") from None


def _public(path: Path) -> Path:
    return path.with_name(path.name + ".pub")
