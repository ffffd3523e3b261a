"""Who acts on a store that several control planes share."""

import asyncio

import pytest
from msgspec import structs

from headway.errors import LeaseLost
from headway.model.signal import Signal, signal_key
from headway.server import leadership
from headway.server.leadership import Leading, lead, leader
from headway.server.publisher import Publisher
from headway.signals.memory import MemorySignals
from headway.signals.port import Entry
from headway.signing import Signer, Trust
from tests.unit.server.herd import NEW, OLD

pytestmark = pytest.mark.anyio

SIGNER = Signer.generate()
SIGNAL = Signal(
    app="web",
    epoch=1,
    rollout="web-1",
    base=OLD,
    target=NEW,
    fractions={},
    attempt=1,
    prepare=True,
    issued_at=1.0,
    by="alice",
    why="",
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "RETRY_SECONDS", 0.01)


def publisher(signals: MemorySignals, leading: Leading | None = None) -> Publisher:
    check = leading.check if leading else lambda: None
    return Publisher(signals, SIGNER, Trust.of(SIGNER.public_pem), check)


async def test_one_leads_and_the_other_waits_and_can_say_for_whom(signals: MemorySignals) -> None:
    assert "nobody leads" in await leader(signals)
    one = await lead(signals, "alpha (10.0.0.1:8700)")
    waiting = asyncio.create_task(lead(signals, "beta"))
    async with asyncio.timeout(20):
        while "alpha (10.0.0.1:8700) leads" not in await leader(signals):
            await asyncio.sleep(0.01)
    assert not waiting.done()
    one.check()
    await one.close()
    async with asyncio.timeout(20):
        two = await waiting
    assert two.fence > one.fence
    with pytest.raises(LeaseLost):
        one.check()
    await two.close()


async def test_who_does_not_hold_the_lease_any_more_writes_nothing(signals: MemorySignals) -> None:
    leading = await lead(signals, "alpha")
    writes = publisher(signals, leading)
    await writes.catch_up("web")
    await writes.put_signal(SIGNAL)
    await leading.close()
    with pytest.raises(LeaseLost):
        await writes.put_signal(structs.replace(SIGNAL, epoch=2))
    assert await writes.signal("web") == SIGNAL


class Slow(MemorySignals):
    """Lets something happen between the last look at the lease and the write."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: asyncio.Future[None] | None = None

    async def put(self, key, value, expect, lease=None):  # type: ignore[no-untyped-def]
        if key == signal_key("web") and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile
        return await super().put(key, value, expect, lease)


async def test_a_write_that_was_begun_under_the_last_leader_loses() -> None:
    signals = Slow()
    one = await lead(signals, "alpha")
    writes = publisher(signals, one)
    await writes.catch_up("web")
    await writes.put_signal(SIGNAL)
    signals.meanwhile = asyncio.get_running_loop().create_future()
    late = asyncio.create_task(writes.put_signal(structs.replace(SIGNAL, epoch=2)))
    hanging = signals.meanwhile
    while signals.meanwhile is not None:
        await asyncio.sleep(0)
    await one.close()
    two = await lead(signals, "beta")
    hanging.set_result(None)
    with pytest.raises(LeaseLost):
        await late
    assert await publisher(signals).signal("web") == SIGNAL
    await two.close()


async def test_while_nobody_else_has_led_it_leads_on_and_else_it_gives_up(
    signals: MemorySignals,
) -> None:
    one = await lead(signals, "alpha")
    before = one.fence
    await one._leadership.lease.release()
    async with asyncio.timeout(20):
        while one.fence == before:
            await asyncio.sleep(0.01)
    one.check()
    assert one.fence == before + 1
    waiting = asyncio.create_task(lead(signals, "beta"))
    await asyncio.sleep(0.05)
    await one._leadership.lease.release()
    async with asyncio.timeout(20):
        two = await waiting
        await one.deposed()
    two.check()
    with pytest.raises(LeaseLost):
        one.check()
    await two.close()
    await one.close()


async def test_the_touch_changes_nothing_but_the_revision(signals: MemorySignals) -> None:
    await signals.put(signal_key("web"), b"whatever", None)
    before = await signals.get(signal_key("web"))
    leading = await lead(signals, "alpha")
    after = await signals.get(signal_key("web"))
    assert isinstance(before, Entry)
    assert isinstance(after, Entry)
    assert (after.value, after.revision != before.revision) == (before.value, True)
    await leading.close()


async def test_who_led_in_between_and_has_gone_is_noticed_by_the_fence(
    signals: MemorySignals,
) -> None:
    one = await lead(signals, "alpha")
    counter = await signals.get("elections/control/fence")
    assert counter is not None
    await signals.put("elections/control/fence", b"%d" % (one.fence + 1), counter.revision)
    await one._leadership.lease.release()
    async with asyncio.timeout(20):
        await one.deposed()
    with pytest.raises(LeaseLost):
        one.check()
    await one.close()
