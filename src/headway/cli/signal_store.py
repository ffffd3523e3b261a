"""An app's signal straight in its store, for commands that run without a control plane."""

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from headway.errors import Conflict, Indeterminate, NotFound, Refused, StorageFailed, Untrusted
from headway.model.report import PRESENCE_SHARDS, Presence, Report, presence_key, presence_shard
from headway.model.signal import SIGNAL_TYPE, Signal, signal_key
from headway.signals.port import Revision, SignalStore
from headway.signals.stores import open_store
from headway.signing import Signer, Trust

EMBEDDED = "embedded:"


class Standing(Struct, frozen=True):
    """The signal that stands in the store, and the revision that a write must replace."""

    signal: Signal
    revision: Revision


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SignalStore]:
    """The store at ``url``. An embedded one must be there, and no server may be running on it.

    Raises InvalidInput, NotFound, Refused or StorageFailed.
    """
    with _to_ourselves(url):
        store = open_store(url)
        try:
            yield store
        finally:
            await store.close()


async def read(store: SignalStore, app: str, trust: Trust) -> Standing:
    """The app's signal, verified. Raises NotFound, Untrusted or StoreError."""
    entry = await store.get(signal_key(app))
    if entry is None:
        there = sorted(key.removeprefix(signal_key("")) for key in await store.list(signal_key("")))
        raise NotFound(
            f"the store holds no signal of {app[:80]}; it has those of {', '.join(there)}"
            if there
            else "the store holds no signal at all; is its URL the one in the server's file?"
        )
    try:
        signal = msgspec.json.decode(trust.open(entry.value, SIGNAL_TYPE), type=Signal)
    except Untrusted as error:
        raise Untrusted(
            f"the signal of {app} is not signed with this key ({error.sentence}); name the control"
            " plane's release key, or with --trust the public key that the signal was signed with"
        ) from None
    except msgspec.MsgspecError as error:
        raise Untrusted(f"the signal of {app} is not understood: {error}") from None
    return Standing(signal, entry.revision)


async def replace(store: SignalStore, standing: Standing, signal: Signal, signer: Signer) -> None:
    """Write ``signal`` in place of the one that stands, if that still does.

    Raises Refused when something else has been written meanwhile, or StoreError.
    """
    sealed = signer.seal(msgspec.json.encode(signal), SIGNAL_TYPE)
    try:
        await store.put(signal_key(signal.app), sealed, standing.revision)
    except Conflict:
        raise Refused(
            f"the signal of {signal.app} has changed meanwhile, so somebody else is at work; look"
            " at it with `headway emergency show` and try again"
        ) from None
    except Indeterminate:
        entry = await store.get(signal_key(signal.app))
        if entry is None or entry.value != sealed:
            raise


async def spoken(store: SignalStore, app: str) -> tuple[Report, ...]:
    """What nodes say of the app in the store itself, where they report there. Raises StoreError.

    No node's word is signed; whoever may write to the store may have written it.
    """
    said = []
    for number in range(PRESENCE_SHARDS):
        for key, entry in (await store.list(presence_shard(number))).items():
            try:
                presence = msgspec.json.decode(entry.value, type=Presence)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if key == presence_key(presence.enrolment.node):
                said += [report for report in presence.reports if report.app == app]
    return tuple(sorted(said, key=lambda report: report.node))


@contextmanager
def _to_ourselves(url: str) -> Iterator[None]:
    """Keep a server from starting on an embedded store while it is changed behind its back."""
    if not url.startswith(EMBEDDED):
        yield
        return
    file = Path(url.removeprefix(EMBEDDED))
    if not file.is_file():
        raise NotFound(f"there is no signal store {file}; it is signals.db in the server's data")
    try:
        descriptor = os.open(file.parent / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(
            f"the directory {file.parent} cannot be used: {error.strerror}"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Refused(
            f"a server is running on {file.parent} and holds this store; go back with"
            " `headway rollout revert APP`, or stop that server first"
        ) from None
    else:
        yield
    finally:
        os.close(descriptor)
