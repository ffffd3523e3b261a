"""``headway train`` and ``headway chat`` say to the train what the chat would."""

import io
import json
from typing import Any

import pytest

from headway.chat.grammar import COMMANDS
from headway.cli.train import train
from headway.errors import Refused
from headway.model.train import Car, Rider, State, Train
from headway.model.views import LinkCode, TrainAnswer, TrainView
from tests.unit.cli import examples
from tests.unit.cli.fake_api import FakeApi

RIDES = Train(
    "web",
    state=State.BOARDING,
    riders={"alice": Rider(1.0, message="the cart", changes=("#1", "#2"))},
    cars={"1": Car(("alice",))},
    order=("1",),
)
VIEW = TrainView(RIDES, "alice", "alice", (), ("alice leads",))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("join", "web", "--with", "bob", "--message", "a; b"), '.join with bob "a; b"'),
        (("join", "web", "--before", "bob", "--config"), ".join before bob config"),
        (("join", "web", "--last", "--hold"), ".join hold last"),
        (("in", "web"), ".in"),
        (("uhoh", "web", "--reason", 'it is "red"'), ".uhoh \"it is 'red'\""),
        (("at", "staging", "web", "--build", "web-r2"), ".at staging web-r2"),
        (("done", "web"), ".done"),
        (("nevermind", "web"), ".nevermind"),
        (("kick", "bob", "web"), ".kick bob"),
        (("drive", "web"), ".drive"),
        (("hold", "web", "--reason", "lunch", "--for", "1h"), '.hold "lunch" for 3600s'),
        (("unhold", "web"), ".unhold"),
        (("revert", "web"), ".revert"),
        (("message", "-", "web"), ".message -"),
        (("say", "hi; .done", "web"), '.say "hi; .done"'),
        (("config", "web", "--off"), ".config -"),
    ],
)
def test_a_verb_is_the_command_of_its_name(
    headway: Any, api: FakeApi, arguments: tuple[str, ...], text: str
) -> None:
    api.on("POST", "/v1/apps/web/train", TrainAnswer(("it is done",), VIEW))
    ended = headway("train", *arguments)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "it is done\nalice\n"
    assert json.loads(api.asked[-1].body) == {"text": text}


def test_there_is_a_verb_for_every_command_that_changes_something() -> None:
    assert {usage.name for usage in COMMANDS if not usage.looks} <= set(train.commands)


def test_a_refusal_is_the_sentence_and_its_exit_code(headway: Any, api: FakeApi) -> None:
    api.on("POST", "/v1/apps/web/train", Refused("alice leads; ask"))
    ended = headway("train", "done", "web")
    assert (ended.code, ended.err) == (3, "headway: alice leads; ask\n")


def test_the_train_is_shown(headway: Any, api: FakeApi) -> None:
    api.on("GET", "/v1/apps", [examples.APP])
    api.on("GET", "/v1/apps/web/train", VIEW)
    ended = headway("train", "show")
    assert ended.out.splitlines()[:2] == ["alice", "alice leads"]
    assert "car 1  alice (2 changes, the cart)" in ended.out
    assert headway("train", "show", "--json").json["topic"] == "alice"


def test_a_code_is_shown_with_what_to_do_with_it(headway: Any, api: FakeApi) -> None:
    api.on("POST", "/v1/chat/links", LinkCode("s3cr3t-code", "alice", examples.THEN))
    assert "`.link s3cr3t-code`" in headway("train", "link").out


def test_the_shell_goes_on_after_what_is_refused(
    headway: Any, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.on("GET", "/v1/apps/web/train", VIEW)
    api.on("GET", "/v1/journal", [examples.ENTRY])
    answers = Refused("bob is not aboard"), TrainAnswer(("alice is in",), VIEW)
    api.on("POST", "/v1/apps/web/train", *answers)
    monkeypatch.setattr("sys.stdin", io.StringIO(".kick bob\n\n.joni\nin\n"))
    ended = headway("chat", "web")
    assert ended.code == 0
    assert ended.out == "alice\nalice is in\nalice\n"
    assert "bob is not aboard" in ended.err
    assert "did you mean `.join`?" in ended.err
