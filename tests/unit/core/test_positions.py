"""Every fraction is exact to one node, and every prefix is spread over the zones."""

import math
from collections import Counter
from fractions import Fraction

import hypothesis.strategies as st
from hypothesis import given

from headway.core.positions import assign, newcomers

fleets = st.dictionaries(
    st.text("abcdefghij0123456789-", min_size=1, max_size=12),
    st.sampled_from(["east", "west", "north", "south"]),
    min_size=1,
    max_size=200,
)
thousandths = st.integers(0, 1000)


@given(fleets, thousandths)
def test_a_fraction_covers_exactly_its_share(places, thousandths) -> None:
    covered = sum(position < thousandths / 1000 for position in assign(places).values())
    assert covered == math.ceil(Fraction(thousandths * len(places), 1000))


@given(fleets, st.floats(0, 1))
def test_every_prefix_holds_each_zone_in_proportion(places, fraction) -> None:
    positions = assign(places)
    total = Counter(places.values())
    covered = Counter(places[node] for node, position in positions.items() if position < fraction)
    count = covered.total()
    for zone, size in total.items():
        assert abs(covered[zone] - count * size / len(places)) < len(total)


@given(fleets)
def test_positions_depend_on_nothing_but_the_fleet(places) -> None:
    assert assign(places) == assign(dict(reversed(places.items())))


@given(fleets, st.integers(1, 20))
def test_newcomers_find_a_free_place_and_move_nobody(places, count) -> None:
    taken = list(assign(places).values())
    for _ in range(count):
        place = next(newcomers(taken))
        assert 0 <= place < 1
        assert place not in taken
        taken.append(place)


def test_the_first_node_is_always_covered() -> None:
    assert next(newcomers([])) == 0.0
    assert min(assign({"a": "z", "b": "z"}).values()) == 0.0
