"""Which keys do something at present: read off the picture, like the buttons of the cockpit."""

from msgspec import Struct

from headway.model.picture import Button, Picture


class Deed(Struct, frozen=True):
    """A key and the action that it stands for.

    ``hurts``: it asks for a reason first, which also confirms it. ``asks``: it is confirmed.
    """

    key: str
    button: Button
    hurts: bool = False
    asks: bool = False


KEYS = {
    "advance": "a",
    "deploy": "d",
    "sign-off": "s",
    "pause": "p",
    "resume": "R",
    "retry": "R",
    "revert": "r",
    "abort": "x",
}
ACCEPT_KEY = "A"
"""Resumes where R is taken: by retrying what failed."""

STOPS = frozenset({"pause", "revert", "abort"})
"""What is never too late: whoever stops a rollout means it, however far it is."""


def deeds(picture: Picture) -> tuple[Deed, ...]:
    """What there is to do for somebody who may deploy, the next thing first."""
    actions = picture.actions
    buttons = ([actions.next] if actions.next else []) + list(actions.small)
    found: dict[str, Deed] = {}
    for button in buttons:
        key = KEYS.get(button.action)
        if key in found and button.action == "resume":
            found[ACCEPT_KEY] = Deed(ACCEPT_KEY, button, asks=True)
        elif key is not None:
            found.setdefault(key, Deed(key, button, asks=button.action == "deploy"))
    for button in actions.hurting:
        key = KEYS.get(button.action)
        if key is not None:
            found[key] = Deed(key, button, hurts=True)
    return tuple(found.values())


def word(deed: Deed) -> str:
    """What a key does, in one word or two, for the last line of the screen."""
    return "accept" if deed.key == ACCEPT_KEY else deed.button.action
