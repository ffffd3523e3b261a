"""What the screen says, from 3 nodes to 10,000, at the smallest size and at a larger one."""

import unicodedata

import pytest
from msgspec.structs import replace

from headway.model.hold import Hold, Scope
from headway.model.picture import LETTERS, Alarm, EntryLine, NodeMap, TrainLine, VerdictLine
from headway.model.rollout import NodeState, Phase
from headway.monitor import face, node_map
from headway.monitor.face import View
from headway.monitor.layout import Want, share
from tests.unit.monitor.samples import HOSTILE, NOW, picture

SIZES = [(80, 24), (120, 40)]


def drawn(shown: View, width: int = 80, height: int = 24) -> str:
    lines = face.draw(shown, width, height).lines
    assert len(lines) == height
    assert {line.cell_len for line in lines} == {width}
    return "\n".join(line.plain for line in lines)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("nodes", [3, 274, 10_000])
@pytest.mark.parametrize("phase", list(Phase)[:6])
def test_every_part_of_the_picture_is_there(
    phase: Phase, nodes: int, width: int, height: int
) -> None:
    shown = picture(nodes, phase)
    text = drawn(View(shown, NOW, may_act=True), width, height)
    for part in (
        "shop",
        "<production> alice*",
        shown.banner.word,
        shown.banner.sentence,
        "Pipeline",
        "▸production",
        "Plan default",
        "production 25 %",
        "Verdicts",
        "latency has 12 of the 50",
        f"Nodes {nodes:,}",
        "Journal",
        "⏎ nodes",
    ):
        assert part in text


def test_the_soak_counts_down_and_the_end_is_told() -> None:
    soaking = picture(phase=Phase.SOAKING)
    assert "42 s to go" in drawn(View(soaking, NOW))
    assert "12 s to go" in drawn(View(soaking, NOW + 30))
    assert "ended 1 min ago" in drawn(View(picture(phase=Phase.SUCCEEDED), NOW))


def test_after_a_revert_it_says_why_and_what_keeps_the_app() -> None:
    hold = Hold("revert-shop-41", Scope.APP, "shop", "headway", "errors is 4.1 %", NOW)
    reverted = picture(phase=Phase.REVERTED, holds=(hold,))
    text = drawn(View(reverted, NOW, may_act=True))
    assert "Reverted" in text
    assert "↺ errors is 4.1 % of 12,881 requests, the limit is 2 %" in text
    assert "shop is held by headway for that" in text
    assert "headway hold lift revert-shop-41" in text
    other = replace(hold, reason="the disk is swapped", on="shop/canary", by="bela")
    text = drawn(View(replace(reverted, holds=(other,)), NOW))
    assert "shop/canary is held by bela: the disk is swapped" in text


def test_only_who_may_deploy_sees_the_keys_of_actions() -> None:
    last = drawn(View(picture(), NOW, may_act=True)).splitlines()[-1]
    assert last.strip() == "a advance  p pause  r revert  x abort  ⏎ nodes  ? help  q quit"
    viewer = drawn(View(picture(), NOW, may_act=False))
    assert viewer.splitlines()[-1].strip() == "⏎ nodes  ? help  q quit"
    assert "(takes a deployer)" in viewer


def test_keys_are_those_of_the_state() -> None:
    def keys(phase: Phase) -> str:
        return drawn(View(picture(phase=phase), NOW, may_act=True)).splitlines()[-1]

    assert "a advance" not in keys(Phase.ROLLING)
    assert "R retry  A accept  r revert" in keys(Phase.PAUSED)
    assert "r revert" not in keys(Phase.REVERTING)
    assert keys(Phase.REVERTED).split() == ["⏎", "nodes", "?", "help", "q", "quit"]


def test_the_most_urgent_is_never_pushed_out() -> None:
    alarms = tuple(Alarm("failed", f"metric {n} fails") for n in range(9))
    holds = tuple(
        Hold(f"h{n}", Scope.APP, "shop", "bela", f"reason {n} " * 30, NOW) for n in range(9)
    )
    crowded = picture(10_000, alarms=alarms, holds=holds)
    text = drawn(View(crowded, NOW, may_act=True))
    assert "metric 0 fails" in text
    assert "more" in text
    assert "Advance to production 50 %" in text
    for part in ("Pipeline", "Nodes 10,000", "Journal", "a advance"):
        assert part in text


def test_what_is_not_live_says_so_with_its_age() -> None:
    gone = View(picture(), NOW, age=7.0, trouble="http://server cannot be reached")
    assert "NOT LIVE, 7 s old: http://server cannot be reached" in drawn(gone)
    silent = View(picture(), NOW, age=25.0)
    assert "NOT LIVE, 25 s old" in drawn(silent)
    assert "NOT LIVE" not in drawn(View(picture(), NOW, age=3.0))


@pytest.mark.parametrize(("width", "height"), [(20, 5), (40, 10), (80, 12), (300, 100), (1, 1)])
def test_any_size_is_drawn(width: int, height: int) -> None:
    drawn(View(picture(10_000, failed=2), NOW, may_act=True), width, height)


def test_a_small_fleet_leaves_its_lines_to_the_journal() -> None:
    small, large = (face.draw(View(picture(n), NOW), 80, 24) for n in (3, 10_000))
    assert small.map[1] == 2
    assert large.map[1] >= 3
    assert small.journal[1] > large.journal[1]


def test_one_failed_node_of_ten_thousand_is_seen_on_the_map() -> None:
    lines = face.draw(View(picture(10_000, failed=1), NOW), 80, 24)
    first, height = lines.map
    shown = "\n".join(line.plain for line in lines.lines[first + 1 : first + height])
    assert shown.count("x") == 1


def test_every_node_is_behind_exactly_one_cell() -> None:
    for nodes in (3, 41, 274, 10_000):
        shown = picture(nodes)
        for width, height in ((80, 4), (120, 12), (30, 3)):
            seen: list[int] = []
            for y in range(1, height):
                for x in range(width):
                    cell = node_map.cell_at(shown, width, height, x, y)
                    if cell is not None:
                        seen += range(cell.first, cell.first + cell.nodes)
            assert seen == list(range(nodes)), (nodes, width, height)


def test_the_worst_of_a_cell_is_shown() -> None:
    done, old = LETTERS[NodeState.DONE, "new"], LETTERS[NodeState.DONE, "old"]
    failed, moving = LETTERS[NodeState.FAILED, "old"], LETTERS[NodeState.MOVING, "old"]
    assert node_map.worst(done * 90 + failed + moving) == failed
    assert node_map.worst(done + moving + done) == moving
    assert node_map.worst(done + old) == old


def test_hostile_text_is_text() -> None:
    """No escape code, no markup, no line end and no change of direction gets through."""
    shown = picture(subject=HOSTILE)
    shown = replace(
        shown,
        banner=replace(shown.banner, sentence=HOSTILE, because=HOSTILE, where=HOSTILE),
        alarms=(Alarm("failed", HOSTILE),),
        train=TrainLine(HOSTILE, HOSTILE),
        holds=(Hold("h", Scope.APP, HOSTILE, HOSTILE, HOSTILE, NOW),),
        journal=(EntryLine(1, NOW, "x", HOSTILE, HOSTILE), *shown.journal),
        actions=replace(shown.actions, why=HOSTILE, blockers=(HOSTILE,)),
        map=NodeMap("x", shown.map.letters),
    )
    shown = replace(
        shown,
        rollout=replace(shown.rollout, verdicts=(VerdictLine(HOSTILE, "fail", "failed", HOSTILE),)),
        tiers=tuple(replace(tier, tier=f"{tier.tier}{HOSTILE}") for tier in shown.tiers),
    )
    view = View(shown, NOW, may_act=True, notice=HOSTILE, trouble=HOSTILE)
    for width, height in SIZES:
        text = drawn(view, width, height)
        assert "[bold red]boo[/]" in text
        odd = {char for char in text if unicodedata.category(char)[0] == "C"} - {"\n"}
        assert not odd


def test_lines_are_shared_out_by_need() -> None:
    wants = {"a": Want(2, 6), "b": Want(3, 4), "c": Want(3, 100)}
    assert share(20, wants) == {"a": 6, "b": 4, "c": 10}
    assert share(10, wants) == {"a": 4, "b": 3, "c": 3}
    assert share(6, wants) == {"a": 3, "b": 3, "c": 0}
    assert sum(share(7, wants).values()) == 7
