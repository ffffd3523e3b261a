"""What an operator configures."""

from pathlib import Path

from msgspec import Struct


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The server's configuration file; only ``data`` is needed.

    ``listen`` is an address and port; port 0 takes a free one. ``data`` is the directory that
    everything lies in. Without ``release_key`` and ``build_trust`` the keys in ``data/keys``
    are used, and made at the first start. ``signal_trust`` are further public keys whose
    signals in the store count, for example the last release key. ``artifacts`` is where builds
    are published, a directory or ``s3://BUCKET/PREFIX``; without it, ``data/artifacts``. With
    ``tls_certificate``, a file with the certificate and its chain, everything is served over TLS;
    ``tls_key`` is the file of its key, where that is another one. ``log`` is ``debug``, ``info``
    or ``warning``.
    """

    data: Path
    listen: str = "127.0.0.1:8700"
    release_key: Path | None = None
    build_trust: tuple[Path, ...] = ()
    signal_trust: tuple[Path, ...] = ()
    log: str = "info"
    artifacts: str | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
