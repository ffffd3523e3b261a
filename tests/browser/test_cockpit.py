"""A person in a real browser: signs in, sees what is live, presses the button, takes it back."""

import pytest

from headway.model.plan import Checks, Gate, Step
from headway.model.rollout import Phase
from tests.acceptance.fleet import RealFleet, real_fleet
from tests.browser.chromium import Page, chromium

HOSTILE = "<script>document.title='owned'</script> \"'&\u202egpj.exe"


@pytest.fixture
def fleet(tmp_path):
    with real_fleet(tmp_path) as running:
        yield running


@pytest.fixture
def page(program):
    program("chromium")
    with chromium() as opened:
        yield opened


def press(page: Page, action: str) -> None:
    """Click the button of an action, and wait for the page that answers."""
    page.run(f"document.querySelector('[formaction$=\"/{action}\"]').click()")
    page.arrive()


def publish(fleet: RealFleet, text: str) -> str:
    tree = fleet.home / "tree"
    tree.mkdir(exist_ok=True)
    (tree / "page").write_text(text)
    done = fleet.headway(
        *("build", "publish", str(tree), "--app", "web", "--commit", "abc"),
        *("--subject", HOSTILE, "--json"),
    )
    return str(done.stdout.split('"id": "')[1][:64])


def test_somebody_deploys_and_takes_it_back(fleet: RealFleet, page: Page) -> None:
    step = Step("staging", soak=0, checks=Checks.NONE)
    fleet.apply(step, Step("production", soak=0, checks=Checks.NONE, gate=Gate.MANUAL))
    fleet.start_agent("s1", "staging")
    fleet.start_agent("p1", "production")
    fleet.enrolled(2)
    rollout = fleet.deploy(publish(fleet, "one"))
    page.look(1280, 900)
    page.sign_in(fleet.url, fleet.token)
    page.wait(lambda: "Advance to production" in page.text("body"), "the button")
    press(page, "advance")
    page.wait(lambda: "Live everywhere" in page.text("body"), "the end, without a reload")
    assert fleet.view(rollout).rollout.phase is Phase.SUCCEEDED

    second = fleet.deploy(publish(fleet, "two"))
    page.wait(lambda: "Advance to production" in page.text("body"), "the second rollout")
    assert HOSTILE[:10] in page.text("body")
    with fleet.client() as client:
        from headway.model.views import ActionRequest

        client.act(second, "revert", ActionRequest(HOSTILE))
    page.wait(lambda: "everted" in page.text("h1"), "the revert, pressed by somebody else")
    page.wait(lambda: "held by" in page.text("body"), "the hold with its reason")
    assert page.run("document.title") != "owned"
    assert page.problems == []


def test_without_a_token_there_is_nothing_to_see(fleet: RealFleet, page: Page) -> None:
    fleet.apply(Step("staging"))
    page.go(f"{fleet.url}/apps/web")
    assert "staging" not in page.text("body")
    assert page.run("document.forms.length") == 1
    assert page.problems == []
