"""What the pages tell people to type exists, what they link to is there, and samples are valid."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from headway import settings
from headway.agent.config import AgentConfig
from headway.cli.main import NOUNS, headway
from headway.model.plan import AppConfig

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
TYPED = re.compile(r"^(?: {4}|\$ )(headway [a-z].*)$|`(headway [a-z][^`]*)`", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_with_their_options(page: Path) -> None:
    for match in TYPED.finditer(page.read_text("utf-8")):
        line = (match[1] or match[2]).split("  #")[0]
        words = shlex.split(line)[1:]
        command = headway.get_command(click.Context(headway), words[0])
        assert command is not None, f"{line}: there is no {words[0]}; there are {sorted(NOUNS)}"
        if isinstance(command, click.Group) and len(words) > 1:
            assert set(words[1].split("|")) <= set(command.commands), line
            command = command.commands[words[1].split("|")[0]]
        known = {name for option in command.params for name in (*option.opts, "--help")}
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= known, f"{line}: {sorted(given - known)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sample_configurations_are_valid(page: Path) -> None:
    for sample in TOML.findall(page.read_text("utf-8")):
        raw = tomllib.loads(sample)
        if "trust" in raw:
            settings.convert(raw, AgentConfig, str(page))
        elif "name" in raw:
            settings.convert(raw, AppConfig, str(page))
