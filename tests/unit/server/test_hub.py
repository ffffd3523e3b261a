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
    """Its first watch breaks off."""

    def __init__(self) -> None:
        super().__init__()
        self.stumbled = False

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
