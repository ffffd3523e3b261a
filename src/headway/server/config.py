"""What an operator configures."""

from pathlib import Path

from msgspec import Struct

from headway.errors import InvalidInput


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The server's configuration file; only ``data`` is needed.

    ``listen`` is an address and port; port 0 takes a free one. ``data`` is the directory that
    everything lies in. Without ``release_key`` and ``build_trust`` the keys in ``data/keys``
    are used, and made at the first start. ``signal_trust`` are further public keys whose
    signals in the store count, for example the last release key. ``artifacts`` is where builds
    are published, a directory or ``s3://BUCKET/PREFIX``; without it, ``data/artifacts``. ``log``
    is ``debug``, ``info`` or ``warning``. ``store`` is the URL of a signal store on Consul, etcd
    or ZooKeeper; without it, the embedded one in ``data/signals.db``. With ``direct``, agents
    that watch the store themselves are heard there too.
    """

    data: Path
    listen: str = "127.0.0.1:8700"
    release_key: Path | None = None
    build_trust: tuple[Path, ...] = ()
    signal_trust: tuple[Path, ...] = ()
    log: str = "info"
    artifacts: str | None = None
    store: str | None = None
    direct: bool = False

    def address(self) -> tuple[str, int]:
        """Host and port. Raises InvalidInput."""
        host, _, port = self.listen.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise InvalidInput(f'listen must be ADDRESS:PORT, not "{self.listen}"')
        return host.removeprefix("[").removesuffix("]"), int(port)
