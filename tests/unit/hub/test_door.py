"""Who may watch at a hub, by what the control plane has signed about each node."""

import asyncio
from hashlib import sha256

import msgspec
import pytest

from headway.errors import Denied, Unauthenticated, Unreachable
from headway.hub.door import HubDoor
from headway.hub.upstream import Upstream
from headway.model.signal import RECORD_TYPE, NodeRecord, record_key
from headway.signals.memory import MemorySignals
from headway.signing import Signer, Trust

pytestmark = pytest.mark.anyio
KEY = Signer.generate()


class Place:
    def __init__(self) -> None:
        self.store = MemorySignals()
        self.cut: list[str] = []
        upstream = Upstream("http://127.0.0.1:1")
        self.door = HubDoor(self.store, Trust.of(KEY.public_pem), upstream, self.cut.append)

    async def enrol(self, node: str, token: str, serial: int = 1, signer: Signer = KEY) -> bytes:
        hashed = sha256(token.encode()).hexdigest() if token else ""
        record = NodeRecord(node, serial, "z", {}, token=hashed)
        sealed = signer.seal(msgspec.json.encode(record), RECORD_TYPE)
        entry = await self.store.get(record_key(node))
        await self.store.put(record_key(node), sealed, entry.revision if entry else None)
        return sealed


async def test_a_node_enters_with_its_own_token_and_no_other() -> None:
    place = Place()
    await place.enrol("n1", "secret")
    await place.enrol("n2", "another")
    assert await place.door.admit("secret", "n1") == "n1"
    for secret, node in (("another", "n1"), ("secret", "n2"), ("", "n1"), ("secret", "n3")):
        with pytest.raises(Unauthenticated, match=f"not the token of {node}"):
            await place.door.admit(secret, node)


@pytest.mark.parametrize("node", ["", "../web", "a b", "n1/x", "n" * 200])
async def test_who_does_not_say_who_it_is_stays_outside(node: str) -> None:
    place = Place()
    with pytest.raises(Denied, match="which node"):
        await place.door.admit("secret", node)


async def test_a_node_without_a_token_lets_nobody_in() -> None:
    place = Place()
    await place.enrol("n1", "")
    with pytest.raises(Unauthenticated):
        await place.door.admit("", "n1")


async def test_a_record_that_the_control_plane_did_not_sign_counts_for_nothing() -> None:
    place = Place()
    await place.enrol("n1", "secret", signer=Signer.generate())
    with pytest.raises(Unauthenticated):
        await place.door.admit("secret", "n1")


async def test_a_record_under_another_nodes_key_counts_for_nothing() -> None:
    place = Place()
    sealed = await place.enrol("n1", "secret")
    await place.store.put(record_key("n2"), sealed, None)
    with pytest.raises(Unauthenticated):
        await place.door.admit("secret", "n2")


async def test_a_new_token_cuts_the_old_one_off_and_a_rolled_back_store_does_not_help() -> None:
    place = Place()
    old = await place.enrol("n1", "old")
    place.door.notice(record_key("n1"), old)
    new = await place.enrol("n1", "new", serial=2)
    place.door.notice(record_key("n1"), new)
    assert place.cut == ["n1"]
    place.door.notice(record_key("n1"), old)
    assert place.cut == ["n1"]
    with pytest.raises(Unauthenticated):
        await place.door.admit("old", "n1")
    assert await place.door.admit("new", "n1") == "n1"


async def test_what_was_noticed_is_known_while_the_store_is_away() -> None:
    place = Place()
    place.door.notice(record_key("n1"), await place.enrol("n1", "secret"))
    place.store.trouble = "the store is away"
    assert await place.door.admit("secret", "n1") == "n1"
    with pytest.raises(Unreachable, match="the store is away"):
        await place.door.admit("secret", "n2")


async def test_a_report_that_is_none_does_not_spoil_the_batch() -> None:
    place = Place()
    for body in (b"", b"[", b'{"token":"x"}', b'[]],"by":[', b"[" * 5000):
        with pytest.raises(Exception, match="the body"):
            await place.door.report("secret", body)
    with pytest.raises(Unreachable, match="does not answer"):
        await asyncio.wait_for(place.door.report("secret", b"[]"), 20)
