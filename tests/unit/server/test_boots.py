"""Which of a node's agent processes is believed, without asking the node's clock."""

from msgspec import structs

from headway.model.report import Activity, Report
from headway.model.signal import NodeRecord, Seat
from headway.server.fleet import PRESENT_SECONDS, Fleet

OLD = Report("n1", "web", "old", 1, 5, Activity.IDLE, None, None, "", 0.0)
NEW = structs.replace(OLD, boot="new")


def listening() -> Fleet:
    fleet = Fleet()
    fleet.place(NodeRecord("n1", 1, "z", {"web": Seat("production", 0.0)}))
    return fleet


def test_what_a_dead_process_said_before_is_not_believed_again() -> None:
    fleet = listening()
    assert fleet.hear(OLD, 1.0)
    assert fleet.hear(NEW, 2.0)
    assert not fleet.hear(structs.replace(OLD, seq=2), 3.0)
    assert not fleet.hear(OLD, 3.0 + 10 * PRESENT_SECONDS)


def test_the_last_word_of_a_dead_process_does_not_silence_the_living_for_ever() -> None:
    fleet = listening()
    assert fleet.hear(NEW, 1.0)
    assert fleet.hear(OLD, 2.0), "never heard before, so it could be the later one"
    assert not fleet.hear(structs.replace(NEW, seq=2), 3.0)
    alive = structs.replace(NEW, seq=3)
    assert fleet.hear(alive, 2.0 + PRESENT_SECONDS)
    assert fleet.heard("n1", "web") == (alive, 2.0 + PRESENT_SECONDS)
    assert not fleet.hear(structs.replace(OLD, seq=2), 3.0 + PRESENT_SECONDS)
