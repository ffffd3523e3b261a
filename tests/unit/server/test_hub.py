import asyncio
from collections.abc import AsyncIterator

import pytest

from headway.errors import Unavailable
from headway.signals import hub as hub_module
from headway.signals.hub import Hub, Subscription
from headway.signals.memory import MemorySignals
from headway.signals.port import Entry

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Encoder:
    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []

    def __call__(self, key: str, value: bytes) -> bytes:
        self.calls.append((key, value))
        return b"%s=%s;" % (key.encode(), value)


async def until(condition: object) -> None:
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.001)


async def first(subscription: Subscription) -> bytes:
    async with asyncio.timeout(10):
        async for batch in subscription.batches(quiet=60):
            return batch
    raise AssertionError("the subscription ended")


async def test_current_values_come_first_to_early_and_late_subscribers() -> None:
    store, encode = MemorySignals(), Encoder()
    await store.put("k", b"1", None)
    hub = Hub(store, encode)
    assert await first(hub.subscribe(["k"])) == b"k=1;"
    assert await first(hub.subscribe(["k"])) == b"k=1;"
    assert encode.calls == [("k", b"1")]
    await hub.close()


async def test_a_slow_reader_gets_only_the_newest_of_each_key() -> None:
    store, encode = MemorySignals(), Encoder()
    hub = Hub(store, encode)
    subscription = hub.subscribe(["a", "b"])
    revisions: dict[str, str | None] = {"a": None, "b": None}
    for number in range(100):
        for key in ("a", "b"):
            revisions[key] = await store.put(key, b"%d" % number, revisions[key])
        await asyncio.sleep(0)
    await until(lambda: ("b", b"99") in encode.calls)
    assert sorted((await first(subscription)).split(b";")) == [b"", b"a=99", b"b=99"]
    await hub.close()


async def test_each_value_is_encoded_once_for_all_readers() -> None:
    store, encode = MemorySignals(), Encoder()
    hub = Hub(store, encode)
    subscriptions = [hub.subscribe(["k"]) for _ in range(20)]
    await store.put("k", b"1", None)
    assert [await first(subscription) for subscription in subscriptions] == [b"k=1;"] * 20
    assert len(encode.calls) == 1
    await hub.close()


async def test_silence_is_announced() -> None:
    hub = Hub(MemorySignals(), Encoder())
    subscription = hub.subscribe(["k"])
    async for batch in subscription.batches(quiet=0.001):
        assert batch == b""
        break
    await hub.close()


async def test_a_key_that_nobody_reads_is_no_longer_watched() -> None:
    store = MemorySignals()
    hub = Hub(store, Encoder())
    one, two = hub.subscribe(["a", "b"]), hub.subscribe(["b"])
    assert hub.watched == 2
    hub.unsubscribe(one)
    assert hub.watched == 1
    hub.unsubscribe(two)
    assert hub.watched == 0
    await until(lambda: not store._changes._watchers)


async def test_keys_that_are_followed_together_are_one_watch_and_each_reader_has_its_own() -> None:
    store, encode, heard = MemorySignals(), Encoder(), []
    for number in range(50):
        await store.put(f"nodes/n{number}", b"%d" % number, None)
    hub = Hub(store, encode, lambda key, value: heard.append((key, value)))
    await hub.start()
    assert len(heard) == 50
    readers = [hub.subscribe([f"nodes/n{number}"]) for number in range(50)]
    assert hub.watched == 1
    assert (len(store._changes._watchers), len(store._changes._followers)) == (0, 1)
    assert [await first(reader) for reader in readers] == [
        b"nodes/n%d=%d;" % (n, n) for n in range(50)
    ]
    entry = await store.get("nodes/n7")
    assert entry is not None
    await store.put("nodes/n7", b"new", entry.revision)
    assert await first(readers[7]) == b"nodes/n7=new;"
    assert heard[50:] == [("nodes/n7", b"new")]
    assert not any(reader._pending for reader in readers)
    hub.unsubscribe(readers[7])
    await store.put("nodes/late", b"1", None)
    assert await first(hub.subscribe(["nodes/late"])) == b"nodes/late=1;"
    await hub.close()
    await until(lambda: not store._changes._followers)


async def test_a_reader_that_is_there_before_its_key_hears_of_it() -> None:
    store = MemorySignals()
    hub = Hub(store, Encoder())
    reader = hub.subscribe(["nodes/n1"])
    await asyncio.sleep(0)
    await store.put("nodes/n1", b"1", None)
    assert await first(reader) == b"nodes/n1=1;"
    await hub.close()


async def test_close_ends_readers() -> None:
    hub = Hub(MemorySignals(), Encoder())
    subscription = hub.subscribe(["k"])
    reader = asyncio.create_task(_drain(subscription))
    await asyncio.sleep(0)
    await hub.close()
    await asyncio.wait_for(reader, 10)


async def _drain(subscription: Subscription) -> None:
    async for _ in subscription.batches(quiet=60):
        pass


class Stumbling(MemorySignals):
    """Its first watch, and the first time that it is followed, breaks off."""

    def __init__(self) -> None:
        super().__init__()
        self.stumbled = False
        self.followed = 0

    def follow(self, prefix: str) -> AsyncIterator[dict[str, Entry | None]]:
        self.followed += 1
        return self._slip() if self.followed == 1 else super().follow(prefix)

    async def _slip(self) -> AsyncIterator[dict[str, Entry | None]]:
        yield {"nodes/a": Entry(b"1", "1"), "nodes/gone": Entry(b"1", "1")}
        raise Unavailable("the store went away")

    def watch(self, key: str) -> AsyncIterator[Entry | None]:
        if self.stumbled:
            return super().watch(key)
        self.stumbled = True
        return self._stumble()

    async def _stumble(self) -> AsyncIterator[Entry | None]:
        yield Entry(b"1", "1")
        raise Unavailable("the store went away")


async def test_a_watch_that_breaks_off_is_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "RETRY_SECONDS", 0.01)
    store, encode = Stumbling(), Encoder()
    await store.put("k", b"2", None)
    hub = Hub(store, encode)
    subscription = hub.subscribe(["k"])
    await until(lambda: ("k", b"2") in encode.calls)
    assert await first(subscription) in (b"k=2;", b"k=1;k=2;")
    await hub.close()


async def test_what_changed_and_went_while_the_store_was_away_is_told_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "RETRY_SECONDS", 0.01)
    store, heard = Stumbling(), []
    await store.put("nodes/a", b"2", None)
    hub = Hub(store, Encoder(), lambda key, value: heard.append((key, value)))
    await hub.start()
    reader = hub.subscribe(["nodes/a", "nodes/gone"])
    await until(lambda: ("nodes/a", b"2") in heard)
    seen = b""
    while b"nodes/a=2;" not in seen:
        seen = await first(reader)
    assert heard == [("nodes/a", b"1"), ("nodes/gone", b"1"), ("nodes/a", b"2")]
    late = hub.subscribe(["nodes/gone"])
    await asyncio.sleep(0)
    assert not late._pending
    await hub.close()


async def test_a_store_that_cannot_be_read_does_not_keep_a_hub_from_starting() -> None:
    class Away(MemorySignals):
        async def follow(self, prefix: str) -> AsyncIterator[dict[str, Entry | None]]:
            raise Unavailable("the store is away")
            yield {}

    hub = Hub(Away(), Encoder())
    await asyncio.wait_for(hub.start(), 5)
    await hub.close()
