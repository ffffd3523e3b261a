"""A push as people live it: a real repository, a real IRC server, a control plane, and agents.

Three people join by chat, deploy to staging, sign off, and go to production. One says uhoh, the
train stops, the change is taken back, and a new build goes out. Whoever asks, journal, topic,
cockpit or command line, is told the same story.
"""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from headway.client.api import Client
from headway.core.journal import fold_train
from headway.model.plan import Checks, Gate, Step
from headway.model.releasing import Releasing
from headway.model.rollout import Phase
from headway.model.train import State
from headway.model.views import TokenRequest
from headway.server.cockpit.gather import JOURNAL_ENTRIES
from tests.acceptance.fleet import APP, RealFleet, real_fleet
from tests.contract.irc_server import IrcServer, Person, ngircd
from tests.repository import Origin

NODES = {"s1": "staging", "p1": "production", "p2": "production"}
QUICK: dict[str, Any] = {"soak": 0.0, "checks": Checks.NONE, "concurrency": "100%"}
PLAN = (
    Step("staging", **QUICK),
    Step("production", share=0.5, gate=Gate.MANUAL, **QUICK),
    Step("production", gate=Gate.MANUAL, **QUICK),
)


@pytest.fixture
def irc(program, tmp_path: Path) -> Iterator[IrcServer]:
    with ngircd(program, tmp_path / "irc") as server:
        yield server


@pytest.fixture
def fleet(tmp_path: Path, irc: IrcServer) -> Iterator[RealFleet]:
    chat = f"""
[[chat]]
kind = "irc"
app = "{APP}"
server = "{irc.address}"
channel = "#push"
tls = false
pace = 0.3
"""
    with real_fleet(tmp_path, server=chat) as running:
        yield running


def told(fleet: RealFleet, *arguments: str) -> Any:
    return json.loads(fleet.headway(*arguments, "--json").stdout)


def arrives(fleet: RealFleet, irc: IrcServer, name: str) -> Person:
    """Somebody comes into the channel and says who they are in Headway."""
    with fleet.client() as client:
        token = client.create_token(TokenRequest(name, "deployer")).token
    with Client(fleet.url, token) as own:
        code = own.link_chat().code
    person = Person(irc, name)
    person.whisper("headway", f".link {code}")
    person.heard(f"you are {name} from now on")
    return person


def state(fleet: RealFleet) -> State:
    with fleet.client() as client:
        return client.train(APP).train.state


def cockpit(fleet: RealFleet) -> str:
    """The words on the app's page."""
    with httpx2.Client(base_url=fleet.url, follow_redirects=True) as browser:
        form = browser.get("/sign-in").text
        seal = re.search(r'name="csrf" value="([^"]+)"', form)
        assert seal
        signed = {"csrf": seal[1], "token": fleet.token, "next": f"/apps/{APP}"}
        page = browser.post("/sign-in", data=signed)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def test_a_push_from_the_station_to_production_and_back_and_forth(
    fleet: RealFleet, irc: IrcServer, tmp_path: Path
) -> None:
    origin = Origin(tmp_path)
    origin.commit("The first", {"app.txt": "one\n"})
    fleet.apply(*PLAN, releases=Releasing(repository=str(origin.bare)))
    for name, tier in NODES.items():
        fleet.start_agent(name, tier)
    fleet.enrolled(len(NODES))
    fleet.headway("release", "cut", APP, "--repo", str(origin.clone))
    first = told(fleet, "deploy", APP, "web-r1")["rollout"]["id"]
    while fleet.view(first).rollout.phase is not Phase.SUCCEEDED:
        fleet.wait("a gate", lambda: fleet.view(first).next in ("advance", "deploy"))
        if fleet.view(first).next == "advance":
            fleet.headway("rollout", "advance", first)

    origin.commit("Good", {"other.txt": "good\n"})
    bad = origin.merge("Bad", {"app.txt": "bad\n"})
    fleet.headway("release", "cut", APP, "--repo", str(origin.clone))

    # Three people join.
    stranger = Person(irc, "mallory")
    ann, bob, carol = (arrives(fleet, irc, name) for name in ("ann", "bob", "carol"))
    stranger.say(".join")
    stranger.heard("mallory: I do not know you")
    stranger.say(".status")
    stranger.heard("mallory: clear")
    ann.say('.join "the cart"')
    bob.say(".join with ann; in")
    bob.topic("ann + bob*")
    carol.say('.join "a button"; .in')
    carol.topic("ann + bob* + carol*")
    ann.heard("ann brings 2 changes")

    # They deploy to staging, and sign off.
    bob.say(".at staging")
    bob.heard("bob: ann leads")
    ann.say(".at staging web-r2")
    ann.heard("ann takes the train to staging, with")
    carol.heard("ann bob carol: you're up on staging with")
    ann.topic("<staging> ann + bob + carol")
    assert fleet.tree("s1")["app.txt"] == "bad\n"
    assert fleet.tree("p1")["app.txt"] == "one\n"
    ann.say(".at production")
    ann.heard("ann: ann bob carol has not signed off on staging")
    for person in (ann, bob, carol):
        person.say(".good")
    ann.heard("ann: everyone is ready; `.at production` goes on")
    ann.topic("<staging> ann* + bob* + carol*")

    # They go to production, where one says uhoh, and the train stops.
    ann.say(".at prod")
    ann.heard("ann bob carol: you're up on production with")
    carol.say(".uhoh the cart is empty")
    ann.heard("uhoh from carol: the cart is empty; the train stops")
    ann.topic("<production stopped> ann + bob + carol!")
    rollout = told(fleet, "train", "show", APP)["train"]["run"]["rollout"]
    assert fleet.view(rollout).rollout.phase is Phase.PAUSED
    assert sorted(fleet.tree(name)["app.txt"] for name in ("p1", "p2")) == ["bad\n", "one\n"]
    ann.say(".at prod")
    ann.heard("ann: uhoh from carol (the cart is empty)")
    refused = fleet.headway("rollout", "resume", rollout, ok=False)
    assert "uhoh from carol (the cart is empty)" in refused.stderr
    stopped = told(fleet, "train", "show", APP)

    # The change is taken back: revert, cherry-pick, new build; every sign-off is void.
    fleet.headway(
        "release", "revert", "web-r2", bad, "--reason", "empty cart", "--repo", str(origin.clone)
    )
    fleet.headway("deploy", APP, "web-r2", "--supersede", "--reason", "without the bad one")
    ann.heard("takes the place of")

    def ready() -> bool:
        return state(fleet) in (State.TESTING, State.READY, State.ARRIVED)

    while state(fleet) is not State.ARRIVED:
        fleet.wait("the riders' turn", ready, lambda: str(told(fleet, "train", "show", APP)))
        if state(fleet) is State.TESTING:
            for person in (ann, bob, carol):
                person.say(".good")
            fleet.wait("the sign-offs", lambda: state(fleet) is not State.TESTING)
        elif state(fleet) is State.READY:
            ann.say(".at prod")
            fleet.wait("the train to leave", lambda: state(fleet) is not State.READY)
    for person in (ann, bob, carol):
        person.say(".good")
    ann.topic("<production> ann* + bob* + carol*")
    ann.say(".done")
    ann.heard("done:")
    ann.topic("clear")
    for name in NODES:
        assert fleet.tree(name)["app.txt"] == "one\n"
        assert fleet.tree(name)["other.txt"] == "good\n"

    # Everybody tells the same story.
    assert stopped["topic"] == "<production stopped> ann + bob + carol!"
    assert told(fleet, "train", "show", APP)["topic"] == "clear"
    with fleet.client() as client:
        entries = client.journal(APP, after=0, limit=1000)
        train = client.train(APP).train
    patches = [entry.changes for entry in entries if entry.kind.startswith("train-")]
    assert fold_train(APP, patches) == train
    line, page = fleet.headway("journal", "--app", APP, "--limit", "200").stdout, cockpit(fleet)
    heard = " ".join(ann.said())
    for sentence in (
        "carol joins car 1 with ann, bob: a button",
        "ann bob carol: you're up on production with",
        "uhoh from carol: the cart is empty; the train stops",
        "takes the place of",
        "done: ",
    ):
        assert any(sentence in entry.why for entry in entries), sentence
        assert sentence in line, sentence
        assert sentence in heard, sentence
        assert sentence in page or is_older(sentence, entries), sentence
    assert "done: " in page
    for person in (ann, bob, carol, stranger):
        person.close()


def is_older(sentence: str, entries: list[Any]) -> bool:
    """Whether it stands in the journal before those entries that the page shows."""
    shown = [entry for entry in entries if entry.why][-JOURNAL_ENTRIES:]
    return not any(sentence in entry.why for entry in shown)
