import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.core.plan import title
from headway.model.plan import DEFAULT_PLAN
from headway.model.rollout import FleetView, NodeState, Phase
from headway.server.cockpit import page as page_module
from headway.server.cockpit.page import make_page
from headway.server.cockpit.standing import upcoming
from tests.unit.cockpit import samples
from tests.unit.cockpit.samples import NEW, OLD


def test_a_rollout_under_way_is_named_with_who_what_why_and_where() -> None:
    page = make_page(samples.rolling())
    assert (page.banner.word, page.banner.where) == ("Rolling out", "production 25 %")
    assert page.tab == "▲ production 25 % · webapp"
    assert page.rollout is not None
    assert page.rollout.target.subject == "Search: rank by freshness, not by id"
    assert page.rollout.begun == "alice deploys 3f2a81bc90de: search results were stale"
    assert page.live is not None and page.live.id == OLD
    assert page.idle == ()


def test_what_goes_on_by_itself_has_no_next_button_but_can_be_stopped() -> None:
    actions = make_page(samples.rolling()).actions
    assert actions.next is None
    assert actions.wait
    assert [button.action for button in actions.small] == ["pause"]
    assert [button.action for button in actions.hurting] == ["revert", "abort"]


def test_a_closed_gate_has_one_large_button_that_names_the_step_it_begins() -> None:
    actions = make_page(samples.waiting()).actions
    assert actions.next is not None
    assert (actions.next.action, actions.next.label) == ("advance", "Advance to production 10 %")
    assert actions.seen == "2-waiting"


def test_a_step_whose_tier_has_no_nodes_is_not_what_comes_next() -> None:
    view = samples.waiting().rollout
    assert view is not None
    without = replace(view, tiers=tuple(t for t in view.tiers if t.tier != "production"))
    assert upcoming(view) == 3
    assert upcoming(without) is None


def test_a_paused_rollout_names_everything_that_is_on_fire() -> None:
    page = make_page(samples.paused())
    assert page.banner.symbol == "‖"
    assert [(alarm.state, alarm.sentence) for alarm in page.alarms] == [
        ("failed", "errors 2.31 %, above 2 %"),
        ("failed", "1 node went back after a failed flip"),
        ("unknown", "1 node not heard from"),
        ("unknown", "latency: no node has reported it for 60 s"),
    ]
    assert page.calm == ""
    assert [button.action for button in page.actions.small] == ["retry"]


def test_a_reverted_rollout_says_why_and_leads_on_to_its_hold() -> None:
    page = make_page(samples.reverted())
    assert page.banner.because == "reverted 3f2a81bc90de: errors 4.80 %, above 2 %"
    assert page.actions.command == "headway hold lift revert-webapp-41"
    assert page.actions.hurting == ()
    assert page.alarms == (), "what is over is not on fire"
    assert page.calm == "78 nodes heard from, none failed", "nor is a failed metric within bounds"
    assert [hold.on for hold in page.holds] == ["webapp"]


def test_once_the_hold_is_lifted_the_verdict_still_says_why() -> None:
    lifted = replace(samples.reverted(), holds=())
    assert make_page(lifted).banner.because == "errors 4.80 %, above 2 %"


def test_what_is_live_can_be_reverted_and_says_how_to_deploy() -> None:
    page = make_page(samples.live())
    assert page.tab == "✓ Live everywhere · webapp"
    assert page.actions.command == "headway deploy webapp BUILD"
    assert [button.action for button in page.actions.hurting] == ["revert"]
    assert page.idle, "why nothing is deploying always has an answer"
    assert all(tier.fraction == "100 %" for tier in page.tiers)


def test_an_app_that_was_never_deployed_has_a_page_too() -> None:
    page = make_page(samples.EVERY["empty"]())
    assert page.banner.word == "Never deployed"
    assert page.rollout is None
    assert page.idle == ("webapp was never deployed",)


def test_tiers_share_their_bar_among_the_builds_that_their_nodes_run() -> None:
    production = make_page(samples.rolling()).tiers[-1]
    assert [(share.build.id, share.nodes) for share in production.shares] == [(NEW, 14), (OLD, 50)]
    assert [bar.role for bar in production.bars] == ["new", "old"]
    assert sum(bar.width for bar in production.bars) == pytest.approx(100, abs=0.1)
    assert production.bars[1].start == pytest.approx(production.bars[0].width, abs=0.01)
    assert {s.state: s.nodes for s in production.states} == {"done": 61, "moving": 2, "held": 1}
    assert production.current


def test_steps_tell_what_is_done_where_it_stands_and_what_is_to_come() -> None:
    panel = make_page(samples.rolling()).rollout
    assert panel is not None
    assert [step.place for step in panel.steps] == ["done"] * 4 + ["current"] + ["later"] * 3
    assert [step.title for step in panel.steps] == [title(step) for step in DEFAULT_PLAN]
    assert panel.steps[2].terms == "begun by hand, soaks 5 min"


def test_a_paused_step_is_marked_as_stopped() -> None:
    panel = make_page(samples.paused()).rollout
    assert panel is not None
    assert (panel.steps[4].place, panel.steps[4].note) == ("stopped", "paused")


def test_the_worst_nodes_are_listed_first() -> None:
    page = make_page(samples.paused())
    assert [node.state for node in page.troubled] == ["failed", "unknown"]
    assert "GET /health answered 500" in page.troubled[0].why


def test_only_so_many_nodes_are_listed_and_the_rest_is_counted() -> None:
    facts = samples.paused()
    failed = next(n for n in facts.fleet.tiers["production"] if n.state is NodeState.FAILED)
    many = tuple(replace(failed, node=f"more-{n}") for n in range(page_module.LISTED_NODES))
    production = (*facts.fleet.tiers["production"], *many)
    fleet = FleetView(facts.fleet.tiers | {"production": production})
    page = make_page(replace(facts, fleet=fleet))
    assert len(page.troubled) == page_module.LISTED_NODES
    assert page.troubled_more == 2


def test_a_tier_links_to_what_it_has_more_than_the_next() -> None:
    page = make_page(samples.waiting())
    assert [tier.ahead_of for tier in page.tiers] == ["", "", OLD, ""]


def test_the_journal_is_newest_first_and_does_not_repeat_who_acted() -> None:
    newest, *_, oldest = make_page(samples.rolling()).journal
    assert newest.seq > oldest.seq
    assert (oldest.actor, oldest.why.split()[0]) == ("", "alice")
    assert newest.actor == "headway"


@given(
    phase=st.sampled_from(Phase),
    step=st.integers(0, len(DEFAULT_PLAN) - 1),
    next_action=st.sampled_from(["", "advance", "resume", "deploy"]),
)
def test_every_state_has_a_page(phase: Phase, step: int, next_action: str) -> None:
    facts = samples.rolling()
    assert facts.rollout is not None
    state = replace(facts.rollout.rollout, phase=phase, step=step)
    page = make_page(
        replace(facts, rollout=replace(facts.rollout, rollout=state, next=next_action))
    )
    assert page.banner.word
    assert page.actions.next or page.actions.wait or page.actions.command


def test_a_node_whose_files_have_changed_is_listed_though_it_is_done() -> None:
    facts = samples.rolling()
    done = next(n for n in facts.fleet.tiers["production"] if n.state is NodeState.DONE)
    drifted = {done.node: "webapp 9c41d07be2a8 is not as published: a/b.css changed"}
    listed = make_page(replace(facts, drifted=drifted)).troubled
    before = [node.node for node in make_page(facts).troubled]
    assert sorted(node.node for node in listed) == sorted([*before, done.node])
    [line] = [node for node in listed if node.node == done.node]
    assert line.why.endswith("a/b.css changed")


def test_what_was_just_taken_back_is_not_what_to_deploy_next() -> None:
    bad = samples.BUILDS[NEW]
    free = replace(samples.reverted(), holds=(), newest=bad)
    assert make_page(free).actions.next is None
    fixed = replace(bad, id="f" * 64, subject="Search: rank as before")
    offered = make_page(replace(free, newest=fixed)).actions
    assert offered.next is not None and offered.build == fixed.id
    assert offered.next.label == "Deploy ffffffffffff · Search: rank as before"
    assert make_page(replace(samples.reverted(), newest=fixed)).actions.next is None, "it is held"
