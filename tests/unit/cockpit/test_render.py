from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.model.access import Identity, Role
from headway.model.picture import ROLES, STATES
from headway.model.rollout import FleetView
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.live import frame
from headway.server.cockpit.page import make_page
from headway.server.cockpit.render import ACTION_REGIONS, REGIONS, regions, render
from tests.unit.cockpit import samples
from tests.unit.cockpit.reading import Reader, read

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></textarea><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; & <b>",
    "javascript:alert(1)",
    "\u202egnp.exe\u2066 \u200f",
    "a\r\ndata: x\n\nevent: banner\ndata: <b>",
    "\x00\x1b[31m\x85\u2028",
    "x" * 2000,
    "شركة " * 20,
)


def whole(facts: Facts, acts: bool = True, notice: str = "", name: str = "alice") -> str:
    page = make_page(facts)
    return render(
        "app",
        page=page,
        regions=regions(page, acts),
        acts=acts,
        app=facts.app,
        here="",
        apps=[facts.app, "other"],
        caller=Identity(name, Role.DEPLOYER),
        csrf="seal",
        notice=notice,
    )


def poisoned(facts: Facts, text: str) -> Facts:
    """The same facts with ``text`` wherever somebody else chooses the words."""
    assert facts.rollout is not None and facts.train is not None
    state = facts.rollout.rollout
    verdicts = tuple(replace(v, sentence=text, metric=text) for v in state.verdicts)
    view = replace(
        facts.rollout,
        rollout=replace(state, by=text, why=text, verdicts=verdicts, plan_name=text),
        next_why=text + " ",
        blockers=(text,),
    )
    return replace(
        facts,
        rollout=view,
        begun=text,
        builds={
            id: replace(b, subject=text, commit=text, by=text) for id, b in facts.builds.items()
        },
        fleet=FleetView(
            {
                tier: tuple(
                    replace(n, node=f"{n.node}{text}", zone=text, why=text)
                    if n.state != "done"
                    else n
                    for n in nodes
                )
                for tier, nodes in facts.fleet.tiers.items()
            }
        ),
        train=replace(
            facts.train,
            leader=text,
            notes=(text,),
            train=replace(
                facts.train.train,
                riders={
                    name: replace(rider, message=text, changes=(text,))
                    for name, rider in facts.train.train.riders.items()
                },
                holds=tuple(replace(h, by=text, reason=text) for h in facts.train.train.holds),
                message=text,
                commander=text,
            ),
        ),
        present=(text, f"{text}2"),
        holds=tuple(replace(h, on="webapp", by=text, reason=text) for h in facts.holds),
        journal=tuple(replace(e, actor=text, why=f"-{text}") for e in facts.journal),
        why=(text,),
    )


def shape(reader: Reader) -> list[str]:
    return [tag for tag, _ in reader.elements]


@pytest.mark.parametrize("name", samples.EVERY)
@pytest.mark.parametrize("acts", [True, False])
def test_every_page_is_well_formed_and_holds_nothing_inline(name: str, acts: bool) -> None:
    read(whole(samples.EVERY[name](), acts))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", ["rolling", "waiting", "paused", "reverted", "live"])
def test_hostile_text_is_shown_and_changes_nothing_else(name: str, text: str) -> None:
    facts = samples.EVERY[name]()
    tame = read(whole(poisoned(facts, "tame"), notice="tame", name="tame"))
    hostile = read(whole(poisoned(facts, text), notice=text, name=text))
    assert shape(hostile) == shape(tame)
    assert not {char for char in hostile.shown if "\u202a" <= char <= "\u202e" or char == "\x1b"}


@settings(max_examples=60)
@given(st.text(min_size=1, max_size=60))
def test_no_text_breaks_a_page(text: str) -> None:
    tame = read(whole(poisoned(samples.paused(), "tame")))
    assert shape(read(whole(poisoned(samples.paused(), text)))) == shape(tame)


@given(st.text(max_size=60))
def test_a_region_stays_within_its_event(text: str) -> None:
    html = regions(make_page(poisoned(samples.paused(), text)), True)["banner"]
    sent = frame("banner", html).decode()
    head, *data = sent.removesuffix("\n\n").split("\n")
    assert head == "event: banner"
    assert "\r" not in sent
    assert all(line.startswith("data: ") for line in data)


def test_who_only_looks_sees_no_button_and_no_form_to_act() -> None:
    reader = read(whole(samples.waiting(), acts=False))
    assert reader.buttons() == {}
    assert [form["action"] for form in reader.all("form")] == ["/sign-out"]
    assert set(regions(make_page(samples.waiting()), False)) == set(REGIONS)


def test_every_button_carries_the_standing_that_the_page_shows() -> None:
    buttons = read(whole(samples.waiting())).buttons()
    assert set(buttons) == {"advance", "pause", "revert", "abort"}
    for action, button in buttons.items():
        assert (button["name"], button["value"], button["form"]) == ("seen", "2-waiting", "act")
        assert button["formaction"] == f"/apps/webapp/rollouts/webapp-41/{action}"


def test_what_hurts_asks_for_a_reason_and_the_rest_does_not() -> None:
    buttons = read(whole(samples.waiting())).buttons()
    free = {action for action, button in buttons.items() if "formnovalidate" in button}
    assert free == {"advance", "pause"}


def test_every_form_has_its_seal() -> None:
    reader = read(whole(samples.waiting()))
    posts = [form for form in reader.all("form") if form["method"] == "post"]
    seals = [field for field in reader.all("input") if field.get("name") == "csrf"]
    assert len(posts) == len(seals) == 3
    assert {field["value"] for field in seals} == {"seal"}


def test_state_is_told_in_title_icon_and_words() -> None:
    reader = read(whole(samples.paused()))
    assert "‖ production 25 % · webapp" in reader.shown
    icon = next(link for link in reader.all("link") if link["rel"] == "icon")
    assert icon["href"].endswith("/paused.svg")
    assert "Paused" in reader.shown


def test_the_map_is_there_before_any_script_has_asked_for_it() -> None:
    facts = samples.paused()
    [place] = [div for div in read(whole(facts)).all("div") if div.get("id") == "map"]
    sizes = msgspec.json.decode(place["data-tiers"])
    assert sizes == [[tier, len(nodes)] for tier, nodes in facts.fleet.tiers.items()]
    assert len(place["data-letters"]) == sum(size for _, size in sizes)
    assert place["data-states"].split() == list(STATES)
    assert place["data-roles"].split() == list(ROLES)


def test_parts_are_the_same_bytes_as_long_as_nothing_changes() -> None:
    early = samples.waiting()
    late = replace(early, now=early.now + 60)
    assert regions(make_page(early), True) == regions(make_page(late), True)


def test_every_live_part_of_the_page_is_one_that_is_sent() -> None:
    reader = read(whole(samples.waiting()))
    swapped = [a["sse-swap"] for _, a in reader.elements if "sse-swap" in a]
    assert sorted(swapped) == sorted((*REGIONS, *ACTION_REGIONS, "map"))


def test_htmx_neither_evaluates_nor_styles() -> None:
    metas = read(whole(samples.live())).all("meta")
    config: dict[str, Any] = msgspec.json.decode(
        next(m["content"] for m in metas if m.get("name") == "htmx-config")
    )
    assert config["includeIndicatorStyles"] is False
    assert config["allowEval"] is False
