"""Opening the signal store that a URL names, and loading the code of no other."""

from pathlib import Path

from headway.errors import InvalidInput
from headway.signals.location import Location, parse
from headway.signals.port import SignalStore


def open_store(url: str) -> SignalStore:
    """The store at ``url`` (``headway.signals.location`` has the forms), for one event loop.

    It is not connected to yet. Raises InvalidInput, also where a library is missing, and
    StorageFailed for a file that cannot be opened.
    """
    if url == "memory:":
        from headway.signals.memory import MemorySignals  # noqa: PLC0415

        return MemorySignals()
    if url.startswith("embedded:"):
        from headway.signals.embedded import EmbeddedSignals  # noqa: PLC0415

        return EmbeddedSignals(Path(url.removeprefix("embedded:")))
    location = parse(url)
    try:
        return _OPENERS[location.kind](location)
    except ImportError as error:
        extra = "zookeeper" if location.kind == "zk" else location.kind
        raise InvalidInput(
            f"{error.name} is missing for this store; install headway[{extra}]"
        ) from None


def _consul(location: Location) -> SignalStore:
    from headway.signals.consul import ConsulSignals  # noqa: PLC0415

    return ConsulSignals(location)


def _etcd(location: Location) -> SignalStore:
    from headway.signals.etcd import EtcdSignals  # noqa: PLC0415

    return EtcdSignals(location)


def _zookeeper(location: Location) -> SignalStore:
    from headway.signals.zookeeper import ZooKeeperSignals  # noqa: PLC0415

    return ZooKeeperSignals(location)


_OPENERS = {"consul": _consul, "etcd": _etcd, "zk": _zookeeper}
