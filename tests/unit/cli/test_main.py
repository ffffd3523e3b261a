"""Whatever ends a command becomes one sentence and an exit code, and nothing loads too much."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from headway import __version__
from headway.cli import main
from headway.errors import HeadwayError, HookFailed, family
from tests.unit.cli.fake_api import FakeApi

HEAVY = {"rich", "httpx2", "litestar", "uvicorn", "sqlalchemy", "numpy", "jinja2"}


def python(code: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["agent", "--help"], ["agent", "--config", "/nowhere"], ["key", "new", "/no/x"]],
)
def test_the_agent_and_what_asks_nobody_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from headway.cli.main import run; run(sys.argv[1:]);"
        "print('LOADED', *{name.partition('.')[0] for name in sys.modules})"
    )
    ended = python(code, *arguments)
    loaded = set(ended.stdout.rpartition("LOADED ")[2].split())
    assert "headway" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("noun", main.NOUNS)
def test_the_list_of_nouns_says_what_each_nouns_help_begins_with(noun: str) -> None:
    command = main.headway.get_command(click.Context(main.headway), noun)
    assert command is not None
    assert command.name == noun
    assert inspect.cleandoc(command.help or "").split("\n")[0] == main.NOUNS[noun]


@pytest.mark.parametrize("kind", list(family()), ids=lambda kind: kind.code)
def test_each_error_ends_with_its_sentence_and_its_exit_code(
    headway: Any, api: FakeApi, kind: type[HeadwayError]
) -> None:
    api.on("GET", "/v1/apps", kind("a sentence\x1b[31m that says it"))
    ended = headway("app", "list")
    assert (ended.code, ended.out) == (kind.exit_code, "")
    assert ended.err == "headway: a sentence[31m that says it\n"


def test_in_json_a_problem_is_json_on_standard_error(headway: Any, api: FakeApi) -> None:
    ended = headway("app", "show", "shop", "--json")
    assert (ended.code, ended.out) == (4, "")
    assert json.loads(ended.err) == {
        "code": "not_found",
        "sentence": "there is no /v1/apps/shop",
        "status": 404,
        "type": "/problems/not_found",
    }


def test_a_hooks_last_output_is_shown_below_the_sentence(
    headway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise HookFailed("'make' ended with status 2", "one\x1b]0;title\x07\ntwo\n")

    monkeypatch.setattr("headway.signing.Signer.save", fail)
    ended = headway("key", "new", "x")
    assert ended.code == 9
    assert ended.err == "headway: 'make' ended with status 2\n  one]0;title\n  two\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["frob"], "no such command 'frob'; see `headway --help`"),
        (["rollout", "frob"], "no such command 'frob'; see `headway rollout --help`"),
        (["app", "list", "--frob"], "no such option '--frob'; see `headway app list --help`"),
        (["deploy", "web"], "missing argument 'BUILD'; see `headway deploy --help`"),
        (
            ["hold", "add", "app", "web", "--reason", "x", "--for", "soon"],
            "invalid value for '--for': 'soon' is not a duration; write it like 45s, 30m, 2h or "
            "3d; see `headway hold add --help`",
        ),
    ],
)
def test_a_wrong_call_is_one_sentence_with_where_to_look(
    headway: Any, arguments: list[str], sentence: str
) -> None:
    ended = headway(*arguments)
    assert (ended.code, ended.out, ended.err.lower()) == (2, "", f"headway: {sentence}\n".lower())


def test_a_wrong_call_in_json_is_json_even_when_the_option_comes_last(headway: Any) -> None:
    ended = headway("deploy", "web", "--json")
    assert ended.code == 2
    assert json.loads(ended.err)["code"] == "invalid"


def test_a_noun_alone_shows_its_verbs(headway: Any) -> None:
    ended = headway("rollout")
    assert ended.code == 2
    assert "advance   Begin the next step." in ended.err


def test_version(headway: Any) -> None:
    assert headway("--version").out == f"headway {__version__}\n"


def test_common_options_may_stand_before_the_noun(headway: Any, api: FakeApi) -> None:
    api.on("GET", "/v1/apps", [])
    assert headway("--json", "app", "list").json == []
    ended = headway("--server", "http://127.0.0.1:1", "app", "list")
    assert (ended.code, ended.err.split(" cannot")[0]) == (6, "headway: http://127.0.0.1:1")


def test_a_bug_is_one_sentence_and_its_traceback_is_for_debug_only(
    headway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("of \x1b[2J all")

    monkeypatch.setattr("headway.signing.Signer.generate", fail)
    ended = headway("key", "new", "x")
    assert ended.code == 1
    assert ended.err == (
        "headway: this is a bug in Headway (ZeroDivisionError: of [2J all); --debug shows where\n"
    )
    assert "Traceback (most recent call last)" in headway("key", "new", "x", "--debug").err


def test_ctrl_c_is_130_and_quiet(headway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("headway.signing.Signer.generate", interrupt)
    ended = headway("key", "new", "x")
    assert (ended.code, ended.out, ended.err) == (130, "", "")


@pytest.mark.parametrize("arguments", [["token", "list", "--json"], ["--help"]])
def test_a_reader_that_has_gone_ends_it_quietly(
    api: FakeApi, tmp_path: Path, arguments: list[str]
) -> None:
    api.on("GET", "/v1/tokens", [{"name": "n", "role": "viewer", "created_at": 1.0}])
    reading, writing = os.pipe()
    os.close(reading)
    environ = {
        "HEADWAY_SERVER": api.url,
        "HEADWAY_TOKEN": "t",
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
    }
    code = "from headway.cli.main import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environ,
        check=False,
        timeout=30,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_text_that_the_terminals_encoding_lacks_does_not_end_it(api: FakeApi) -> None:
    api.on("GET", "/v1/apps/web/why", {"sentences": ["green — ✓"]})
    code = "from headway.cli.main import main; main()"
    environ = {"PYTHONIOENCODING": "latin-1", "HEADWAY_SERVER": api.url, "HEADWAY_TOKEN": "t"}
    ended = python(code, "why", "web", **environ)
    assert (ended.returncode, ended.stdout) == (0, "green ? ?\n")


def test_shells_get_completions() -> None:
    code = "from headway.cli.main import main; main()"
    environ = {
        "_HEADWAY_COMPLETE": "bash_complete",
        "COMP_WORDS": "headway rollout re",
        "COMP_CWORD": "2",
    }
    offered = python(code, **environ).stdout.split()
    assert offered == ["plain,resume", "plain,retry", "plain,revert"]
