"""All pages in a real browser, with words that mean harm: nothing runs, nobody is kept out."""

from axe_playwright_python.sync_playwright import Axe

from headway.model.hold import Scope
from headway.model.plan import Checks, Step
from headway.model.release_views import CutRequest
from headway.model.releasing import Releasing
from headway.model.views import HoldRequest, NodeHoldRequest
from tests.acceptance.fleet import RealFleet
from tests.browser.chromium import Page
from tests.browser.publishing import HOSTILE, publish
from tests.repository import Origin, git


def fill(fleet: RealFleet) -> list[str]:
    """An app with a past full of hostile words; the addresses of all its pages."""
    origin = Origin(fleet.home)
    origin.commit(HOSTILE, {"app.py": "one\n"})
    author = f"{HOSTILE.translate({60: None, 62: None})} <evil@example.org>"
    git(origin.clone, "commit", "-q", "--allow-empty", "--author", author, "-m", HOSTILE)
    git(origin.clone, "push", "-q", "origin", "main:main", "main:<img/onerror=alert(1)>")
    fleet.apply(
        Step("staging", soak=0, checks=Checks.NONE),
        releases=Releasing(repository=str(origin.bare)),
    )
    fleet.start_agent("s1", "staging")
    fleet.enrolled(1)
    builds = [publish(fleet, text) for text in ("one", "two")]
    rollout = fleet.deploy(builds[0])
    fleet.finish(rollout)
    with fleet.client() as client:
        release = client.cut_release("web", CutRequest(reason=HOSTILE)).release.id
        client.add_hold(HoldRequest(Scope.TIER, "web/staging", HOSTILE))
        client.hold_node("s1", NodeHoldRequest(HOSTILE))
    return [
        "history",
        f"history/{rollout}",
        "releases",
        "releases/queue",
        f"releases/{release}",
        "builds",
        f"builds/{builds[1]}?since={builds[0]}",
        "nodes",
        "nodes/s1",
        "schedule",
        "holds",
        "statistics",
        "audit",
        "settings",
    ]


def test_no_page_runs_what_somebody_wrote_and_none_keeps_anybody_out(
    fleet: RealFleet, page: Page
) -> None:
    addresses = fill(fleet)
    page.sign_in(fleet.url, fleet.token)
    seen = 0
    for address in addresses:
        page.go(f"{fleet.url}/apps/web/{address}")
        assert page.text("h1"), address
        assert "That did not work" not in page.text("h1"), (address, page.text(".notice"))
        assert page.run("document.title") != "owned"
        seen += "<script>" in page.text("main")
        for width, scheme in ((1280, "light"), (390, "dark")):
            page.look(width, 900, scheme)
            wide = page.run("document.documentElement.scrollWidth")
            assert wide <= width, f"{address} sticks out at {width}: {wide}"
            found = Axe().run(page.tab)
            assert found.violations_count == 0, f"{address}: {found.generate_report()}"
        assert page.problems == [], address
    assert seen >= 8, "the words are there to be read"
