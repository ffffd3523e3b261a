"""A bad build in a real browser: the canary fails, it goes back by itself, and people see why."""

from msgspec import structs

from headway.model.plan import AppConfig, Checks, Guarding, Importance, Metric, Step
from headway.model.views import DeployRequest
from tests.acceptance.fleet import RealFleet
from tests.browser.chromium import Page
from tests.browser.publishing import HOSTILE, publish
from tests.browser.traffic import traffic

ERRORS = Metric(
    "errors", "errors", per="requests", importance=Importance.CRITICAL, above=0.02, floor=0.1
)
NOTED = """
window.told = [];
window.Notification = class {
  static permission = "granted";
  static requestPermission() { return Promise.resolve("granted"); }
  constructor(title, { body }) { window.told.push(`${title}: ${body}`); }
};
"""


def test_a_person_watches_the_canary_fail_and_lifts_the_hold(fleet: RealFleet, page: Page) -> None:
    canary = Step("canary", soak=60, concurrency="100%")
    production = Step("production", soak=0, checks=Checks.NONE, concurrency="100%")
    at_once = structs.replace(canary, soak=0, checks=Checks.NONE)
    plans = {"default": (canary, production), "first": (at_once, production)}
    config = AppConfig("web", plans=plans, metrics=(ERRORS,), guard=Guarding(warmup=0.5))
    with fleet.client() as client:
        client.apply_app(config)
    with traffic(fleet.home) as address:
        for node, tier in (("c1", "canary"), ("p1", "production"), ("p2", "production")):
            fleet.start_agent(node, tier, f'[apps.metrics]\nurl = "{address}/{node}"\n')
        fleet.enrolled(3)
        with fleet.client() as client:
            first = DeployRequest(publish(fleet, "GOOD"), plan="first")
            fleet.finish(client.deploy("web", first).rollout.id)
        publish(fleet, "BAD")
        page.tab.add_init_script(NOTED)
        page.sign_in(fleet.url, fleet.token)
        page.wait(lambda: "Deploy" in page.text("#next"), "the offer of the bad build")
        page.tab.click("#notify")
        page.press("#next")
        page.wait(lambda: "canary" in page.text("h1"), "the canary")
        page.wait(lambda: "everted" in page.text("h1"), "the revert, pressed by nobody")
    assert "errors on canary" in page.text(".facts"), "why, in a sentence"
    assert page.run("document.title").startswith("↺")
    page.wait(lambda: page.run("window.told.some((one) => one.startsWith('↺'))"), "a notification")
    drawn = "drawn.get('errors').lines.map((line) => line.kind)"
    page.wait(lambda: page.run(drawn)[-1:] == ["revert"], "the line of the revert on the graph")
    assert HOSTILE[:20] in page.text("body"), "shown as what it is"
    page.press("#holds button")
    page.go(f"{fleet.url}/apps/web")
    page.wait(lambda: "is held by" not in page.text("#holds"), "the hold to be gone")
    assert page.problems == []
