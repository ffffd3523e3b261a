"""What the page's own scripts make of things, asked in a browser."""

import json

import pytest

from headway.model.plan import Checks, Step
from tests.acceptance.fleet import RealFleet
from tests.browser.chromium import Page
from tests.browser.publishing import publish

PAINTED = """tiers[0].nodes.map((_, index) => {
  const { data } = tiers[0].pen.getImageData(index * cell, 0, sprites.step, sprites.step);
  const wanted = (letters[index].charCodeAt(0) - FIRST) * sprites.step ** 2;
  return new Uint32Array(data.buffer).every((pixel, at) => pixel === sprites.ink[wanted + at]);
})"""
"""Whether each node's place on the map shows the shape of its letter."""

LINES = [
    {"at": 10, "kind": "deploy"},
    {"at": 15, "kind": "config"},
    {"at": 20, "kind": "revert"},
    {"at": 90, "kind": "deploy"},
    {"at": 200, "kind": "config"},
    {"at": 205, "kind": "deploy"},
]


@pytest.fixture
def opened(fleet: RealFleet, page: Page) -> Page:
    """The page of an app with four nodes, which a build was brought to."""
    step = Step("production", soak=0, checks=Checks.NONE, concurrency="100%")
    fleet.apply(step)
    for number in range(4):
        fleet.start_agent(f"p{number}", "production")
    fleet.enrolled(4)
    page.sign_in(fleet.url, fleet.token)
    return page


def test_the_map_follows_every_node_and_tells_its_name(fleet: RealFleet, opened: Page) -> None:
    before = opened.run("letters.join('')")
    fleet.deploy(publish(fleet, "one"))
    opened.wait(lambda: "Live everywhere" in opened.text("h1"), "the end")
    opened.wait(lambda: opened.run("letters.join('')") != before, "other letters")
    states = opened.run("letters.map(meaning)")
    assert states == [["done", "live"]] * 4
    names = opened.run("tiers.flatMap((tier) => tier.nodes)")
    assert sorted(names) == ["p0", "p1", "p2", "p3"]
    fleet.start_agent("p4", "production")
    opened.wait(lambda: opened.run("letters.length") == 5, "the node that has come")
    opened.wait(lambda: "p4" in opened.run("tiers.flatMap((tier) => tier.nodes)"), "its name")
    assert opened.run(PAINTED) == [True] * 5
    opened.run("apply({whole: false, layout, runs: [[3, 'BC']]})")
    assert opened.run("letters.slice(3).join('')") == "BC"
    assert opened.run(PAINTED) == [True] * 5


def test_lines_that_would_touch_become_one_with_their_number(opened: Page) -> None:
    found = opened.run(f"clusters({json.dumps(LINES)}, (at) => at)")
    assert [(one["kind"], len(one["lines"])) for one in found] == [
        ("revert", 3),
        ("deploy", 1),
        ("config", 2),
    ]


def test_times_are_in_the_reader_s_zone_or_in_utc(opened: Page) -> None:
    opened.run("document.body.insertAdjacentHTML('beforeend', '<time id=t data-at></time>')")
    opened.run("document.getElementById('t').dateTime = '2026-03-01T12:00:00Z'")
    opened.run("Intl.DateTimeFormat().resolvedOptions().timeZone")
    opened.run("localStorage.setItem('zone', 'utc'); showTimes()")
    assert opened.text("#t") == "2026-03-01 12:00:00"
    assert opened.run("written(Date.parse('2026-03-01T12:00:00Z'), 'Asia/Tokyo', true)") == (
        "2026-03-01 21:00:00"
    )
    opened.tab.click("#zone")
    assert opened.run("localStorage.getItem('zone')") == "own"
    assert opened.problems == []
