"""What may enter a release, who is to blame, which way it takes, and when lanes wait."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.core import bisect, lanes, short_path, suspects
from headway.core import release as core
from headway.core.journal import changes, fold
from headway.core.paths import matches
from headway.core.plan import check
from headway.errors import Refused
from headway.model.hold import Hold, Scope
from headway.model.plan import DEFAULT_PLAN, AppConfig, Checks, Gate, Metric, Step
from headway.model.release import (
    Built,
    Change,
    CheckState,
    Cut,
    Lane,
    OpenRevert,
    Pick,
    Picked,
    PickKind,
    Pushed,
    PushRelease,
    Release,
    Review,
    Tag,
)
from headway.model.releasing import ConfigLane, Need, Releasing
from headway.model.rollout import Phase, Rollout

BOTH = (Need.REVIEW, Need.TESTS)
BUILD = "b" * 64


def change(number: int, subject: str = "", **more: object) -> Change:
    made = Change(
        commit=f"{number:040x}",
        author="ann",
        subject=subject or f"Change {number}",
        dark=core.is_dark(subject),
        number=number,
        review=Review.APPROVED,
        tests=CheckState.GREEN,
    )
    return replace(made, **more)


def cut(*brought: Change, **more: object) -> Release:
    given = {
        "app": "web",
        "number": 3,
        "lane": Lane.CODE,
        "base": "0" * 40,
        "main": brought[-1].commit if brought else "f" * 40,
        "changes": brought,
        "needs": BOTH,
        "returning": (),
        "by": "ann",
        "reason": "",
        "override": "",
        "now": 1.0,
    } | more
    return core.cut(**given).state


def picked(state: Release, kind: PickKind, *brought: Change, override: str = "") -> Release:
    head = int(state.head, 16)
    picks = tuple(
        Pick(kind, one, f"{head + 0xA000 + index:040x}", "bob", 2.0)
        for index, one in enumerate(brought)
    )
    return core.decide(state, Picked(picks, override), BOTH).state


def test_a_release_has_a_branch_and_a_tag_which_are_pushed() -> None:
    decision = core.cut(
        app="web",
        number=3,
        lane=Lane.CODE,
        base="0" * 40,
        main="f" * 40,
        changes=(change(1), change(2)),
        needs=BOTH,
        returning=(),
        by="ann",
        reason="Monday",
        override="",
        now=1.0,
    )
    assert decision.why == "ann cuts web-r3 with 2 changes: Monday"
    tag = Tag("web-3.0", "f" * 40)
    assert decision.effects == (PushRelease("web-r3", "release/web-3", tag),)
    assert (decision.state.id, decision.state.head) == ("web-r3", "f" * 40)


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ({"review": Review.MISSING}, '#2 "Change 2": nobody has approved it'),
        ({"review": Review.REFUSED}, "a reviewer has asked for changes"),
        ({"review": Review.UNKNOWN}, "no review of it is known"),
        ({"tests": CheckState.RED}, "its checks have failed"),
        ({"tests": CheckState.RUNNING}, "its checks still run"),
        ({"tests": CheckState.UNKNOWN}, "no checks of it are known"),
    ],
)
def test_only_what_is_reviewed_and_green_enters(spoilt: dict[str, object], sentence: str) -> None:
    bad = change(2, **spoilt)
    with pytest.raises(Refused, match=sentence):
        cut(change(1), bad)
    state = cut(change(1), bad, override="the site is down")
    assert sentence in state.overrides[0]
    assert "overrules the gate: the site is down; it objected that" in state.why
    assert cut(change(1), bad, needs=()).overrides == ()


def test_the_config_lane_needs_a_review_but_no_tests() -> None:
    flags = change(1, lane=Lane.CONFIG, tests=CheckState.UNKNOWN)
    assert cut(flags, lane=Lane.CONFIG).overrides == ()
    with pytest.raises(Refused, match="nobody has approved it"):
        cut(replace(flags, review=Review.MISSING), lane=Lane.CONFIG)


def test_without_changes_there_is_no_release_but_the_first_has_everything() -> None:
    with pytest.raises(Refused, match="nothing was merged since what is live"):
        cut()
    assert cut(base=None).why == "ann cuts web-r3 with everything so far"


def test_what_was_taken_back_and_is_in_main_still_does_not_come_back_unnoticed() -> None:
    bad = change(2)
    earlier = picked(cut(change(1), bad), PickKind.REVERT, bad)
    (sentence,) = core.returning([earlier], frozenset({bad.commit}), [change(5)])
    assert sentence.startswith('#2 "Change 2" was taken back on web-r3, and main still has it')
    assert core.returning([earlier], frozenset(), [change(5)]) == ()
    with pytest.raises(Refused, match="merge its revert first"):
        cut(change(5), returning=(sentence,))


def test_the_bot_takes_what_is_fit_and_stops_at_the_first_that_is_not() -> None:
    queue = (change(1), change(2), change(3, tests=CheckState.RUNNING), change(4))
    assert core.fit(queue, BOTH, 10) == queue[:2]
    assert core.fit(queue, BOTH, 1) == queue[:1]
    assert core.fit(queue[2:], BOTH, 10) == ()


def test_a_pick_makes_a_new_head_and_voids_the_build() -> None:
    state = cut(change(1))
    state = core.decide(state, Built(BUILD, state.head, "ci")).state
    assert state.build == BUILD
    fixed = picked(state, PickKind.HOTFIX, change(7))
    assert fixed.build is None
    assert fixed.tags[-1].name == "web-3.1"
    assert core.is_hotfix(fixed)
    assert not core.is_hotfix(state)
    late = core.decide(fixed, Built(BUILD, state.head, "ci")).state
    assert late.build is None, "the build of an older head is not the release's"
    again = core.decide(fixed, Built("c" * 64, fixed.head, "ci")).state
    assert again.build == "c" * 64


def test_a_pick_expects_the_branch_where_it_was_left_and_asks_for_the_revert_on_main() -> None:
    state = cut(change(1))
    pick = Pick(PickKind.REVERT, change(1), "e" * 40, "bob", 2.0, "errors")
    ask = OpenRevert("web-r3", "headway/revert", "d" * 40, "Revert", "")
    decision = core.decide(state, Picked((pick,)), BOTH, (ask,))
    push = PushRelease("web-r3", "release/web-3", Tag("web-3.1", "e" * 40), state.head)
    assert decision.effects == (push, ask)
    assert decision.why == 'bob takes back #1 "Change 1" on web-r3, now web-3.1: errors'


def test_the_gate_binds_hotfixes_and_never_reverts() -> None:
    bad = change(7, tests=CheckState.RED)
    with pytest.raises(Refused, match="its checks have failed"):
        picked(cut(change(1)), PickKind.HOTFIX, bad)
    assert picked(cut(change(1)), PickKind.HOTFIX, bad, override="now").overrides
    assert picked(cut(change(1)), PickKind.REVERT, bad).overrides == ()


def test_a_release_is_cut_once() -> None:
    state = cut(change(1))
    with pytest.raises(Refused, match="is cut already"):
        core.decide(state, Cut(state))


@given(st.lists(st.sampled_from(["hotfix", "revert", "pushed", "built", "stale"]), max_size=12))
def test_folding_the_journal_gives_the_release(steps: list[str]) -> None:
    state = cut(change(1), change(2))
    rows = [changes(None, state)]
    for number, step in enumerate(steps, 10):
        before = state
        match step:
            case "hotfix":
                state = picked(state, PickKind.HOTFIX, change(number))
            case "revert":
                state = picked(state, PickKind.REVERT, change(1))
            case "pushed":
                state = core.decide(state, Pushed(state.head)).state
            case "built":
                state = core.decide(state, Built(f"{number:064x}", state.head, "ci")).state
            case _:
                state = core.decide(state, Built(BUILD, "9" * 40, "ci")).state
        rows.append(changes(before, state))
        assert state.build is None or before.head == state.head
        assert len({tag.name for tag in state.tags}) == len(state.tags)
    assert fold(rows, Release) == state


@pytest.mark.parametrize(
    ("subject", "dark"),
    [
        ("DARK: new search", True),
        ("DARK new search", True),
        ("DARKEN the header", False),
        ("dark mode", False),
        ("Add DARK mode", False),
        ("", False),
    ],
)
def test_dark_is_a_word_at_the_beginning(subject: str, dark: bool) -> None:
    assert core.is_dark(subject) is dark


def test_all_dark_is_all_of_it() -> None:
    dark = [change(number, "DARK thing") for number in (1, 2)]
    assert core.is_all_dark(cut(*dark))
    assert not core.is_all_dark(cut(*dark, change(3)))
    assert not core.is_all_dark(picked(cut(*dark), PickKind.HOTFIX, change(3)))
    assert not core.is_all_dark(cut(base=None))


def test_changes_are_found_by_number_or_commit() -> None:
    queue = (change(12), change(0xABCDEF), replace(change(7), commit="12" * 20))
    assert core.find(queue, "#12") == queue[:1]
    assert core.find(queue, "12") == queue[:1]
    assert core.find(queue, "#99") == ()
    assert core.find(queue, "121212") == (queue[2],)
    assert core.find(queue, "12121") == ()


def test_notes_say_everything_and_no_markup_of_others() -> None:
    hostile = change(2, "DARK [x](javascript:alert(1)) <b>")
    state = cut(change(1, url="https://forge/pr/1"), hostile, change(3, lane=Lane.CONFIG))
    state = picked(state, PickKind.REVERT, change(1))
    text = core.notes(state)
    assert text.startswith("# web-3.1\n\n## Changes\n\n- Change 1 ([#1](https://forge/pr/1), ann)")
    assert "## Dark\n\n- DARK \\[x\\](javascript:alert(1)) \\<b\\> (#2, ann)" in text
    assert "## Of the other lane\n\n- Change 3" in text
    assert "## Taken back\n\n- Change 1" in text


# Lanes.

FLAGS = ConfigLane("web-flags", ("flags/", "config/*.toml"))


@pytest.mark.parametrize(
    ("path", "pattern", "yes"),
    [
        ("flags/a/b.toml", "flags/", True),
        ("flagship/a", "flags/", False),
        ("flags", "flags/", False),
        ("config/a.toml", "config/*.toml", True),
        ("config/sub/a.toml", "config/*.toml", False),
        ("src/x/y.py", "src/**/*.py", True),
        ("src/y.py", "src/**/*.py", True),
        ("a.b", "a?b", True),
        ("a/b", "a?b", False),
        ("a+b(c)", "a+b(c)", True),
        ("flags/with\nnewline", "flags/", True),
    ],
)
def test_patterns(path: str, pattern: str, yes: bool) -> None:
    assert matches(path, [pattern]) is yes


def test_a_change_is_of_the_config_lane_if_it_touches_nothing_else() -> None:
    assert core.lane_of(["flags/a", "config/b.toml"], FLAGS) is Lane.CONFIG
    assert core.lane_of(["flags/a", "src/b.py"], FLAGS) is Lane.CODE
    assert core.lane_of([], FLAGS) is Lane.CODE
    assert core.lane_of(["flags/a"], None) is Lane.CODE


def rollout(phase: Phase, tier: str = "canary", resume_to: Phase | None = None) -> Rollout:
    return Rollout(
        id="web-4",
        app="web",
        base="a" * 64,
        target="b" * 64,
        plan=(Step(tier=tier), Step(tier="production")),
        by="ann",
        started_at=0.0,
        phase=phase,
        step=0,
        since=0.0,
        step_since=0.0,
        epoch=4,
        attempt=4,
        fractions={},
        why="so",
        resume_to=resume_to,
    )


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("tier", ["canary", "production"])
def test_one_moves_in_a_tier_at_a_time(phase: Phase, tier: str) -> None:
    waits = bool(lanes.must_wait(tier, rollout(phase), ()))
    expected = phase is Phase.REVERTING or (phase in lanes.MOVING and tier == "canary")
    assert waits is expected


def test_a_paused_step_still_has_its_tier_and_nobody_alone_waits() -> None:
    assert lanes.must_wait("canary", rollout(Phase.PAUSED, resume_to=Phase.SOAKING), ())
    assert not lanes.must_wait("canary", rollout(Phase.PAUSED, resume_to=Phase.WAITING), ())
    assert not lanes.must_wait("canary", None, ())


def test_after_a_revert_the_other_lane_waits_for_the_hold_to_be_lifted() -> None:
    hold = Hold("revert-web-4", Scope.APP, "web", "headway", "errors", 1.0)
    other = rollout(Phase.REVERTED)
    assert "the other lane went back" in lanes.must_wait("staging", other, (hold,))
    assert lanes.must_wait("staging", other, ()) == ""
    assert lanes.must_wait("staging", other, (replace(hold, id="h2"),)) == ""


def test_two_lanes_never_wait_for_each_other() -> None:
    """A step that has begun does not wait, so somebody always goes on: no deadlock."""
    tiers = ("canary", "production")
    for one, two, mine, theirs in product(Phase, Phase, tiers, tiers):
        left = replace(rollout(one, mine), app="web", id="web-4")
        right = replace(rollout(two, theirs), app="web-flags", id="web-flags-4")
        stuck_left = one is Phase.WAITING and lanes.must_wait("production", right, ())
        stuck_right = two is Phase.WAITING and lanes.must_wait("production", left, ())
        assert not (stuck_left and stuck_right)


def test_a_mixed_change_goes_out_with_the_code_first() -> None:
    mixed, plain = change(1), change(2, lane=Lane.CONFIG)
    sentence = lanes.unfinished([mixed, plain], {mixed.commit, plain.commit})
    assert sentence == '#1 "Change 1" touches code too, and that is not live yet'
    assert lanes.unfinished([mixed, plain], {plain.commit}) == ""


def test_whose_repository_an_app_is_made_from() -> None:
    web = AppConfig(name="web", releases=Releasing(repository="/r", config=FLAGS))
    configs = [AppConfig(name="other"), web, AppConfig(name="web-flags")]
    assert lanes.home(configs, "web") == lanes.Home(web, Lane.CODE, "web-flags")
    assert lanes.home(configs, "web-flags") == lanes.Home(web, Lane.CONFIG, "web")
    assert lanes.home(configs, "other") is None


# Who is to blame.

ERRORS = Metric(name="errors", counter="errors", paths=("src/checkout/",))


def test_the_change_that_touches_what_the_metric_points_at_is_suspected() -> None:
    state = cut(change(1, paths=("docs/a",)), change(2, paths=("src/checkout/pay.py",)), change(3))
    ranking = suspects.suspects(state, [ERRORS])
    assert suspects.named(ranking) is ranking[0]
    assert ranking[0].change.number == 2
    assert suspects.sentence(ranking, [ERRORS]) == (
        '#2 "Change 2" is suspected: it touches src/checkout/pay.py, which errors points at'
    )


def test_a_change_that_is_mostly_there_is_suspected_before_one_that_grazes_it() -> None:
    state = cut(
        change(1, paths=("src/checkout/a", *(f"docs/{n}" for n in range(9)))),
        change(2, paths=("src/checkout/b",)),
    )
    assert suspects.suspects(state, [ERRORS])[0].change.number == 2


def test_where_nothing_tells_changes_apart_none_is_named() -> None:
    state = cut(change(1), change(2), change(3, "DARK"))
    ranking = suspects.suspects(state, [ERRORS])
    assert suspects.named(ranking) is None
    assert "nothing tells 3 changes apart for errors" in suspects.sentence(ranking, [ERRORS])
    assert ranking[-1].change.number == 3
    assert suspects.named(suspects.suspects(cut(change(1)), [ERRORS])) is not None


def test_what_is_taken_back_already_is_not_suspected_and_what_was_picked_is() -> None:
    state = picked(cut(change(1), change(2)), PickKind.REVERT, change(1))
    assert [one.change.number for one in suspects.suspects(state, [])] == [2]
    state = picked(state, PickKind.HOTFIX, change(9))
    assert {one.change.number for one in suspects.suspects(state, [])} == {2, 9}


@given(st.integers(1, 300), st.data())
def test_bisect_finds_the_one_to_blame_in_few_probes(size: int, data: st.DataObject) -> None:
    guilty = data.draw(st.integers(1, size))
    state = bisect.begin(cut(*(change(number) for number in range(1, size + 1))))
    probes = 0
    while (commit := bisect.probe(state)) is not None:
        probes += 1
        state = bisect.tell(state, commit, good=int(commit, 16) < guilty)
    culprit = bisect.culprit(state)
    assert culprit is not None
    assert culprit.number == guilty
    assert probes <= (size - 1).bit_length()


def test_bisect_takes_no_answer_to_what_it_did_not_ask() -> None:
    state = bisect.begin(cut(change(1), change(2)))
    with pytest.raises(Refused, match="is not what was to be tried"):
        bisect.tell(state, "9" * 40, good=True)
    with pytest.raises(Refused, match="no list of changes"):
        bisect.begin(cut(base=None))


# Shorter ways.


def test_the_short_path_takes_each_tier_at_once_and_keeps_the_checks() -> None:
    short = short_path.short_path(DEFAULT_PLAN)
    check("dark", short)
    assert [(step.tier, step.share, step.gate) for step in short] == [
        (tier, 1.0, Gate.AUTO) for tier in ("staging", "dogfood", "canary", "production")
    ]
    assert short[0].smoke
    assert short[2].soak == 300
    assert short[3].checks is Checks.REQUIRE


def test_a_hotfix_goes_on_from_where_its_release_was() -> None:
    plan = short_path.go_on_from(DEFAULT_PLAN, 4)
    check("default", plan)
    assert all(step.gate is Gate.AUTO for step in plan[:5])
    assert all(step.soak == 0 for step in plan[:4])
    assert [step.checks for step in plan[:4]] == [Checks.WATCH] * 4
    assert plan[4].soak == DEFAULT_PLAN[4].soak
    assert plan[5:] == DEFAULT_PLAN[5:]
    for before, after in zip(DEFAULT_PLAN, plan, strict=True):
        limits = ("tier", "share", "concurrency", "zone_concurrency", "max_failed", "smoke")
        assert all(getattr(before, key) == getattr(after, key) for key in limits)


def test_a_probe_ends_before_the_last_tier() -> None:
    plan = short_path.probe_path(DEFAULT_PLAN)
    check("bisect", plan)
    assert [step.gate for step in plan] == [Gate.AUTO] * 3 + [Gate.MANUAL] * 5
