"""The picture for terminals: the cockpit's words, and a letter for every node."""

from secrets import token_hex

import msgspec
import pytest
from httpx2 import Response

from headway.model.access import Role
from headway.model.picture import LETTERS, ROLES, Picture, Places, meaning
from headway.model.rollout import NodeState, Phase
from headway.server.cockpit.gather import gather
from headway.server.cockpit.page import make_page
from tests.unit.cockpit.conftest import TIERS, Visitor, deploy
from tests.unit.server.herd import OLD, Herd

pytestmark = pytest.mark.anyio


async def ask(visitor: Visitor, path: str) -> Response:
    headers = {"Authorization": f"Bearer {await visitor.token(Role.VIEWER, token_hex(4))}"}
    return await visitor.client.get(f"/v1/apps/{path}", headers=headers)


async def look(visitor: Visitor) -> Picture:
    answer = await ask(visitor, "web/picture")
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Picture)


async def test_it_has_the_words_of_the_cockpit(visitor: Visitor, herd: Herd) -> None:
    assert (await look(visitor)).banner.word == "Never deployed"
    await deploy(herd, OLD)
    seen, page = await look(visitor), make_page(await gather(herd.plane, "web"))
    assert seen.phase is Phase.WAITING
    for part in ("banner", "alarms", "actions", "tiers", "rollout", "idle", "journal", "holds"):
        shown = msgspec.to_builtins(getattr(page, part))
        assert _within(msgspec.to_builtins(getattr(seen, part)), shown), part
    assert seen.actions.next is not None
    assert seen.actions.next.action == "advance"
    assert seen.actions.seen == "0-waiting"
    assert seen.train.topic == "clear"


def _within(told: object, shown: object) -> bool:
    """Whether everything that is told is shown, too."""
    if isinstance(told, dict) and isinstance(shown, dict):
        return all(_within(value, shown[key]) for key, value in told.items())
    if isinstance(told, list | tuple) and isinstance(shown, list | tuple):
        return len(told) == len(shown) and all(map(_within, told, shown))
    return told == shown


async def test_each_letter_is_about_the_node_in_its_place(visitor: Visitor, herd: Herd) -> None:
    await deploy(herd, OLD)
    seen = await look(visitor)
    answer = await ask(visitor, "web/places")
    places = msgspec.json.decode(answer.content, type=Places)
    assert places.layout == seen.map.layout
    names = [node for tier in places.tiers for node in tier.nodes]
    assert [tier.tier for tier in places.tiers] == [tier.tier for tier in seen.tiers]
    told = {name: meaning()[letter] for name, letter in zip(names, seen.map.letters, strict=True)}
    assert set(told) == set(TIERS)
    assert told["s1"] == (NodeState.DONE, "new")
    assert told["p1"] == (NodeState.DONE, "none")
    await Herd(herd.plane, {"p9": "production"}).enrol()
    assert (await look(visitor)).map.layout != seen.map.layout


async def test_an_app_that_is_not_there_is_not_found(visitor: Visitor) -> None:
    for path in ("picture", "places"):
        assert (await ask(visitor, f"nope/{path}")).status_code == 404


def test_no_two_kinds_of_nodes_have_the_same_letter() -> None:
    assert len(set(LETTERS.values())) == len(NodeState) * len(ROLES)
