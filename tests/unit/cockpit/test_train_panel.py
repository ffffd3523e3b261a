from msgspec.structs import replace

from headway.model.train import Train
from headway.server.chatting import show
from headway.server.cockpit.train_panel import train_panel
from tests.unit.cockpit.samples import TRAIN


def test_cars_stand_in_order_and_the_first_says_where_it_is() -> None:
    first, second = train_panel(show(TRAIN)).cars
    assert (first.where, second.where) == ("production", "")
    assert [rider.name for rider in first.riders] == ["alice", "bela", "carol"]
    assert [rider.leads for rider in first.riders] == [True, False, False]


def test_each_rider_has_a_mark_for_what_was_said() -> None:
    first, second = train_panel(show(TRAIN)).cars
    marks = {rider.name: rider.mark for rider in (*first.riders, *second.riders)}
    assert marks == {"alice": "good", "bela": "dark", "carol": "bad", "dan": "missing"}
    assert second.riders[0].notes == "config, rides alone"


def test_a_hold_stands_with_owner_and_reason_and_hides_what_the_schedule_says() -> None:
    held = train_panel(show(replace(TRAIN, frozen="closed until 9:00")))
    assert [(hold.by, hold.reason) for hold in held.holds] == [("omar", "lunch")]
    assert held.frozen == ""
    free = train_panel(show(replace(TRAIN, holds=(), frozen="closed until 9:00")))
    assert free.frozen == "closed until 9:00"


def test_an_empty_train_waits_for_nothing() -> None:
    panel = train_panel(show(Train("webapp")))
    assert (panel.word, panel.cars, panel.notes) == ("Nobody is aboard", (), ())
