"""A person in a real browser: signs in, deploys, sees the canary fail, and what became of it."""

from axe_playwright_python.sync_playwright import Axe

from headway.model.plan import Checks, Gate, Step
from headway.model.rollout import Phase
from headway.model.views import ActionRequest, TokenRequest
from tests.acceptance.fleet import RealFleet
from tests.browser.chromium import Page
from tests.browser.publishing import HOSTILE, publish


def two_tiers(fleet: RealFleet) -> None:
    step = Step("staging", soak=0, checks=Checks.NONE)
    fleet.apply(step, Step("production", soak=0, checks=Checks.NONE, gate=Gate.MANUAL))
    fleet.start_agent("s1", "staging")
    fleet.start_agent("p1", "production")
    fleet.enrolled(2)


def latest(fleet: RealFleet) -> str:
    with fleet.client() as client:
        rollout = client.app("web").rollout
        assert rollout is not None
        return rollout


def test_somebody_deploys_and_it_is_taken_back(fleet: RealFleet, page: Page) -> None:
    two_tiers(fleet)
    publish(fleet, "one")
    page.sign_in(fleet.url, fleet.token)
    page.press("#next")
    page.wait(lambda: "Advance to production" in page.text("#next"), "the button")
    page.press("#next")
    page.wait(lambda: "Live everywhere" in page.text("h1"), "the end, without a reload")
    assert fleet.view(latest(fleet)).rollout.phase is Phase.SUCCEEDED

    publish(fleet, "two")
    page.wait(lambda: "Deploy" in page.text("#next"), "the offer of the second build")
    page.press("#next")
    page.wait(lambda: "Advance to production" in page.text("#next"), "the second rollout")
    assert HOSTILE[:10] in page.text("body")
    with fleet.client() as client:
        client.act(latest(fleet), "revert", ActionRequest(HOSTILE))
    page.wait(lambda: "everted" in page.text("h1"), "the revert, pressed by somebody else")
    page.wait(lambda: "held by" in page.text("body"), "the hold with its reason")
    assert page.run("document.title").startswith("↺")
    assert page.problems == []


def test_nobody_is_kept_out_by_how_they_look_at_it(fleet: RealFleet, page: Page) -> None:
    two_tiers(fleet)
    fleet.deploy(publish(fleet, "one"))
    page.sign_in(fleet.url, fleet.token)
    page.wait(lambda: "Advance to production" in page.text("#next"), "the button")
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light")):
        page.look(width, 900, scheme)
        found = Axe().run(page.tab)
        assert found.violations_count == 0, found.generate_report()
        assert page.run("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    page.look(1280, 900)
    page.tab.focus("#map canvas >> nth=1")
    page.wait(lambda: "p1 · " in page.text("#tip"), "the node under the focus")
    page.tab.keyboard.press("Tab")
    page.wait(lambda: page.tab.locator("#tip").is_hidden(), "the label to go")
    page.tab.hover("#map canvas >> nth=0", position={"x": 5, "y": 5})
    page.wait(lambda: "s1 · done" in page.text("#tip"), "the node under the pointer")
    assert page.problems == []


def test_two_people_see_each_other_and_a_stale_button_does_not_fire(
    fleet: RealFleet, page: Page
) -> None:
    two_tiers(fleet)
    rollout = fleet.deploy(publish(fleet, "one"))
    with fleet.client() as client:
        bob = client.create_token(TokenRequest("bob", "deployer")).token
    page.sign_in(fleet.url, fleet.token)
    page.wait(lambda: "Advance to production" in page.text("#next"), "the button")
    other = page.another()
    other.tab.route("**/live", lambda route: route.abort())
    other.sign_in(fleet.url, bob)
    other.wait(lambda: "Not live" in other.text("#lost"), "the word that it is not live")
    page.press("#next")
    page.wait(lambda: fleet.view(rollout).rollout.phase is Phase.SUCCEEDED, "the end")
    other.press("#next")
    assert "moved on" in other.text(".notice")
    other.tab.unroute("**/live")
    other.go(f"{fleet.url}/apps/web")
    page.wait(lambda: "bob" in page.text(".facts"), "bob, who looks on")


def test_without_a_token_there_is_nothing_to_see(fleet: RealFleet, page: Page) -> None:
    fleet.apply(Step("staging"))
    page.go(f"{fleet.url}/apps/web")
    assert "staging" not in page.text("body")
    assert page.run("document.forms.length") == 1
    assert page.problems == []
