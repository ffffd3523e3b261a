"""A large build through real agents, each a process with a door for the others of its zone."""

from benchmarks.peers_in_zone import ZONES, measure

MEGABYTES = 4
SEEDERS = 2


def test_the_origin_sends_a_large_build_to_few_of_many() -> None:
    told = measure(10, MEGABYTES, peers=True)
    assert told["origin_mb"] <= ZONES * SEEDERS * MEGABYTES + 2
    told = measure(5, MEGABYTES, peers=False)
    assert told["origin_mb"] >= 5 * MEGABYTES, "without peers all come from the origin"
