"""The topic is the train in one line, however long the line may be and whatever people write."""

import hypothesis.strategies as st
import pytest
from hypothesis import given
from msgspec import structs

from headway.chat.told import called, lines_of
from headway.chat.topic import IRC_BYTES, SLACK_CHARACTERS, bytes_of, topic
from headway.model.hold import Hold, Scope
from headway.model.journal import JournalEntry
from headway.model.rollout import Phase
from headway.model.train import Car, Door, Objection, Rider, Run, SignOff, State, Train

BUILD = "a" * 64
RUN = Run("web-1", BUILD, Phase.WAITING, "staging", attested=True)
GOOD = SignOff(BUILD, "staging")


def train(*cars: dict[str, Rider], **facts) -> Train:
    riders = {name: rider for car in cars for name, rider in car.items()}
    numbered = {str(i + 1): Car(tuple(car)) for i, car in enumerate(cars)}
    return Train("web", riders=riders, cars=numbered, order=tuple(numbered), **facts)


def rider(**facts) -> Rider:
    return Rider(0.0, **facts)


def test_a_clear_train() -> None:
    assert topic(Train("web")) == "clear"
    assert topic(Train("web", message="be quick")) == 'clear  !! "be quick"'


def test_everything_that_there_is_to_see() -> None:
    state = train(
        {"alice": rider(signed=GOOD), "bob": rider()},
        {"carol": rider(dark=True), "dan": rider(config=True)},
        run=RUN,
        holds=(Hold("h", Scope.TRAIN, "web", "eve", "lunch", 0.0),),
        message="be quick",
    )
    assert topic(state) == (
        '<staging> alice* + bob | carol ~ + dan (config) | HOLD "lunch"  !! "be quick"'
    )


def test_marks_of_those_who_are_not_good_and_of_doors() -> None:
    state = train(
        {"alice": rider(), "bob": rider(door=Door.ASK)},
        run=RUN,
        state=State.STOPPED,
        objections={"alice": Objection(0.0)},
    )
    assert topic(state) == "<staging stopped> alice! + bob (askme)"


def test_a_car_that_nobody_rides_and_one_that_somebody_drives() -> None:
    empty = Train("web", cars={"1": Car()}, order=("1",), run=RUN)
    assert topic(empty) == "<staging> (nobody)"
    driven = structs.replace(empty, cars={"1": Car(driver="dave")})
    assert topic(driven) == "<staging> [dave]"


def test_what_somebody_writes_cannot_pass_for_a_part_of_the_topic() -> None:
    state = train({"alice": rider()}, message='x" | mallory* !! <prod>\r\nQUIT')
    assert topic(state) == 'alice  !! "x\'   mallory*    prod   QUIT"'


def test_the_end_of_the_queue_goes_first_when_the_line_is_full() -> None:
    cars = [{f"rider-{i}-{j}": rider() for j in range(4)} for i in range(40)]
    state = train(*cars, run=RUN, message="m" * 60)
    shown = topic(state, 200)
    assert len(shown) <= 200
    assert shown.startswith("<staging> rider-0-0 + rider-0-1 + rider-0-2 + rider-0-3 | ")
    assert " more" in shown
    assert shown.endswith(f'!! "{"m" * 60}"')


@given(
    names=st.lists(st.text(st.characters(categories=("L", "N", "So")), min_size=1, max_size=40)),
    message=st.text(max_size=500),
    reason=st.text(max_size=500),
)
def test_it_fits_wherever_it_goes(names: list[str], message: str, reason: str) -> None:
    cars = [{f"{name}{i}": rider()} for i, name in enumerate(names)]
    hold = Hold("h", Scope.TRAIN, "web", "eve", reason, 0.0)
    state = train(*cars, holds=(hold,), message=message)
    for limit, length in ((IRC_BYTES, bytes_of), (SLACK_CHARACTERS, len)):
        line = topic(state, limit, length)
        assert length(line) <= limit
        assert line.isprintable()
        line.encode("utf-8")


@pytest.mark.parametrize(
    ("kind", "why", "changes", "lines"),
    [
        ("train-join", "alice joins car 1", {}, ("alice joins car 1",)),
        ("train-seen", "", {"run": {}}, ()),
        ("train-say", "alice says: hi", {}, ()),
        ("tell", "alice: you lead", {"to": ["alice"]}, ("alice: you lead",)),
        ("alert", "errors is 3 %", {}, ("alert: errors is 3 %",)),
        ("observed", "the wave rises to 30 %", {"fractions": {}}, ()),
        ("observed", "canary begins", {"step": 2}, ("web-1: canary begins",)),
        ("pause", "paused by bob", {"phase": "paused"}, ("web-1: paused by bob",)),
        ("token", "made", {}, ()),
        ("drift", "damage", {}, ()),
        ("lift", "a\x1b[31m", {}, ("a[31m",)),
    ],
)
def test_what_the_channel_is_told(kind: str, why: str, changes: dict, lines: tuple) -> None:
    entry = JournalEntry(1, 0.0, "web", "web-1", "alice", kind, why, changes)
    assert lines_of(entry) == lines
    assert called(entry) == tuple(changes.get("to", ()))
