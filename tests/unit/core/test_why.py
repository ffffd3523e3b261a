"""Whatever stands in the way is told, each by a sentence that says what to do."""

import pytest
from msgspec.structs import replace

from headway.core.why import Facts, why
from headway.model.hold import Hold, Scope
from headway.model.plan import Step
from headway.model.release import Lane, Release, Tag
from headway.model.rollout import FleetView, NodeState, NodeView, Phase, Rollout
from headway.model.schedule import Shift

BUILD = "b" * 64
NODE = NodeView("p1", "z", 0.5, NodeState.DONE, BUILD)
FLEET = FleetView({"production": (NODE,)})
ROLLOUT = Rollout(
    id="web-4",
    app="web",
    base="a" * 64,
    target=BUILD,
    plan=(Step("production"),),
    by="ann",
    started_at=0.0,
    phase=Phase.SUCCEEDED,
    step=0,
    since=0.0,
    step_since=0.0,
    epoch=4,
    attempt=4,
    fractions={"production": 1.0},
    why="bbbb is live on every node",
)
RELEASE = Release(
    id="web-r3",
    app="web",
    number=3,
    lane=Lane.CODE,
    branch="release/web-3",
    base=None,
    main="c" * 40,
    tags=(Tag("web-3.0", "c" * 40),),
    changes=(),
    by="ann",
    at=1.0,
    why="cut",
)
FACTS = Facts(app="web", now=100.0, rollout=ROLLOUT, fleet=FLEET, live=BUILD)
HOLD = Hold("h1", Scope.APP, "web", "bob", "lunch", 1.0)

REASONS = [
    ({"rollout": None}, "web was never deployed; `headway deploy` starts a first rollout"),
    ({"lead": "this control plane does not act: x"}, "this control plane does not act: x"),
    ({"trouble": "the signal is not written yet: x"}, "the signal is not written yet: x"),
    ({"holds": (HOLD,)}, "web is held by bob: lunch; `headway hold lift h1` lifts it"),
    (
        {"holds": (replace(HOLD, on="web/canary"),)},
        "web/canary is held by bob: lunch; `headway hold lift h1` lifts it",
    ),
    ({"barred": "frozen until Monday: x"}, "frozen until Monday: x"),
    ({"queue": ("the train waits for ann",)}, "the train waits for ann"),
    ({"release": RELEASE}, "web-r3 waits for its build; `headway release build web-r3` makes it"),
    (
        {"release": replace(RELEASE, build="d" * 64)},
        "web-r3 is built and not deployed; `headway deploy web web-r3`",
    ),
    ({"unpushed": "the repository does not take it"}, "the repository does not take it"),
    (
        {"gate": ('#1 "x": nobody has approved it',), "gate_age": 180.0},
        'the gate is closed for #1 "x": nobody has approved it '
        "(seen 3 min ago; `headway release queue` looks again)",
    ),
    ({"fleet": FleetView()}, "no node is enrolled for web"),
    (
        {"fleet": FleetView({"production": (replace(NODE, state=NodeState.UNKNOWN),)})},
        "p1 is silent, and no step is green without them",
    ),
    ({"shift": Shift("ann")}, "ann is on shift"),
    ({"bot": True}, "Headway itself begins rollouts at this time, one in each slot"),
]


@pytest.mark.parametrize(("change", "sentence"), REASONS)
def test_each_reason_has_its_sentence(change: dict[str, object], sentence: str) -> None:
    assert sentence not in why(FACTS)
    assert sentence in why(replace(FACTS, **change))


def test_there_is_always_an_answer() -> None:
    assert why(FACTS) == (
        "nothing is rolling out; web-4 has succeeded: bbbb is live on every node",
    )


def test_the_worst_comes_first_and_nothing_twice() -> None:
    facts = replace(FACTS, lead="L", trouble="T", barred="B", holds=(HOLD, HOLD))
    told = why(facts)
    assert told[:2] == ("L", "T")
    assert len(set(told)) == len(told)


def test_what_is_live_or_under_way_is_no_reason() -> None:
    assert len(why(replace(FACTS, release=replace(RELEASE, build=BUILD)))) == 1
    rolling = replace(ROLLOUT, phase=Phase.ROLLING)
    told = why(replace(FACTS, rollout=rolling, release=RELEASE))
    assert all("web-r3" not in text for text in told)


def test_a_barred_step_is_told_with_the_rollout() -> None:
    waiting = replace(ROLLOUT, phase=Phase.WAITING, plan=(Step("canary"), Step("production")))
    told = why(replace(FACTS, rollout=waiting, barred="frozen"))
    assert told[0].startswith("web-4 is waiting")
    assert "frozen" in told
