"""Turns pages into HTML: whole for a first look, region by region for those who stay."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from headway.core.words import lasted, size
from headway.model.picture import ROLES, STATES
from headway.server.cockpit import words
from headway.server.cockpit.assets import address
from headway.server.cockpit.page import AppPage
from headway.server.cockpit.standing import SYMBOLS

SECTIONS = (
    ("", "Now"),
    ("history", "History"),
    ("releases", "Releases"),
    ("builds", "Builds"),
    ("nodes", "Nodes"),
    ("schedule", "Schedule"),
    ("holds", "Holds"),
    ("statistics", "Statistics"),
    ("audit", "Audit"),
    ("settings", "Settings"),
)
"""The sections of an app: the last part of each address, and what people call it."""

TRAIN_BUTTONS = {
    "join": "Get in",
    "in": "Good",
    "uhoh": "Not good",
    "nevermind": "Get out",
    "drive": "Take the lead",
    "hold": "Hold the train",
    "unhold": "Lift its holds",
}
"""What a person can say to the train by a button: the command, and what the button says."""

REGIONS = ("banner", "train", "pipeline", "rollout", "holds", "nodes", "journal")
ACTION_REGIONS = ("actions", "halt")
"""Regions that only those see who may deploy."""


def _finish(value: object) -> object:
    """What becomes of every value that a template shows."""
    return words.plain(value) if type(value) is str else value


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("headway.server.cockpit"),
        autoescape=True,
        finalize=_finish,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "iso": words.iso,
        "clock": words.clock,
        "date": words.date,
        "count": words.count,
        "short": words.short,
        "lasted": lasted,
        "size": size,
    }
    environment.globals |= {"asset": address, "symbols": SYMBOLS, "sections": SECTIONS}
    environment.globals |= {"train_buttons": TRAIN_BUTTONS, "states": STATES, "roles": ROLES}
    return environment


_TEMPLATES = _environment()


def render(template: str, **values: Any) -> str:
    """A template's HTML."""
    return _TEMPLATES.get_template(f"{template}.html").render(**values)


def regions(page: AppPage, acts: bool) -> dict[str, str]:
    """Every live part of a page by name; ``acts`` is whether the reader may deploy."""
    names = REGIONS + ACTION_REGIONS if acts else REGIONS
    return {name: render(f"regions/{name}", page=page, acts=acts) for name in names}
