"""What a hub is told."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, structs

from headway import settings

Url = Annotated[str, Meta(pattern=r"\Ahttps?://")]


class HubConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A hub's configuration file. Relative paths count from its directory.

    A hub keeps nothing: any number of them may run side by side, with the same file.
    """

    store: str
    """The signal store to watch, as a URL."""
    server: Url
    """The control plane, to which enrolments and reports are passed on."""
    release: Annotated[tuple[Path, ...], Meta(min_length=1)]
    """The control plane's public keys: those of the records that nodes are known by."""
    listen: str = "127.0.0.1:8701"
    """Address and port to listen at; port 0 takes a free one."""
    metrics: str | None = None
    """A private address and port at which its metrics are shown, without a token, at ``/metrics``;
    without it, nowhere."""
    tls_certificate: Path | None = None
    """A file with the certificate and its chain; with it, agents are served over TLS."""
    tls_key: Path | None = None
    """The file of the certificate's key, where that is another one."""
    log: str = "info"
    """``debug``, ``info`` or ``warning``."""


def load(path: Path) -> HubConfig:
    """Read and check the file ``path``. Raises InvalidInput with one sentence."""
    config = settings.read(path, HubConfig)
    here = path.absolute().parent
    return structs.replace(
        config,
        release=tuple(here / key for key in config.release),
        tls_certificate=here / config.tls_certificate if config.tls_certificate else None,
        tls_key=here / config.tls_key if config.tls_key else None,
    )
