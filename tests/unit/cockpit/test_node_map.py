import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.model.picture import LETTERS, ROLES, STATES, NodeMap
from headway.model.rollout import FleetView, NodeState, NodeView
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.node_map import MapNews, news, node_map, places
from tests.unit.cockpit import samples

letters = st.text(alphabet=sorted(LETTERS.values()), max_size=60)


def applied(before: str, told: bytes) -> str:
    """What a browser makes of news."""
    found = msgspec.json.decode(told, type=MapNews)
    drawn = [] if found.whole else list(before)
    for first, run in found.runs:
        drawn[first : first + len(run)] = list(run)
    return "".join(drawn)


@given(st.data(), letters)
def test_news_lead_from_any_map_to_any_other(data: st.DataObject, before: str) -> None:
    same_size = st.text(
        alphabet=sorted(LETTERS.values()), min_size=len(before), max_size=len(before)
    )
    after = data.draw(same_size)
    told = news(NodeMap("a", before), NodeMap("a", after))
    assert applied(before, told) == after
    assert applied("", news(None, NodeMap("a", after))) == after
    assert applied(before, news(NodeMap("b", before), NodeMap("a", after))) == after


def test_one_node_that_moves_among_ten_thousand_is_little_news() -> None:
    before = "A" * 10_000
    told = news(NodeMap("a", before), NodeMap("a", "A" * 9_000 + "F" + "A" * 999))
    assert len(told) < 100


def test_every_letter_is_one_state_and_one_part_and_prints_as_itself() -> None:
    assert len(set(LETTERS.values())) == len(STATES) * len(ROLES) == len(LETTERS)
    for letter in LETTERS.values():
        assert letter.isascii() and letter.isprintable()
    assert LETTERS[STATES[1], ROLES[2]] == chr(ord("A") + len(ROLES) + 2), "as map.js counts"


def test_letters_stand_in_the_order_in_which_nodes_move() -> None:
    facts = samples.paused()
    found, where = node_map(facts), places(facts)
    assert [tier.tier for tier in where.tiers] == list(samples.TIERS)
    names = [node for tier in where.tiers for node in tier.nodes]
    letter = dict(zip(names, found.letters, strict=True))
    assert letter["prod-09"] == LETTERS["failed", "old"]
    assert letter["stag-01"] == LETTERS["done", "new"]
    assert found.layout == where.layout


def test_the_layout_changes_with_who_is_there_and_not_with_what_they_do() -> None:
    facts = samples.rolling()
    moved = samples.paused()
    assert places(facts).layout == places(moved).layout
    production = facts.fleet.tiers["production"]
    fewer = FleetView(facts.fleet.tiers | {"production": production[1:]})
    assert places(replace(facts, fleet=fewer)).layout != places(facts).layout


@pytest.mark.parametrize("state", NodeState)
def test_a_node_that_runs_nothing_has_a_letter_too(state: NodeState) -> None:
    fleet = FleetView({"staging": (NodeView("a", "", 0.0, state),)})
    assert node_map(Facts("web", 1.0, fleet=fleet)).letters == LETTERS[state.value, "none"]
