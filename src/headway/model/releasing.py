"""How an app's releases are made: its repository, its gate and its lanes."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from headway.model.names import Name

Pattern = Annotated[str, Meta(min_length=1, max_length=300)]
"""A file's path with wild cards: ``*`` within a directory, ``**`` across them, ``a/`` for all
that is below ``a``."""


class Need(StrEnum):
    """What a change needs to enter a release."""

    REVIEW = "review"
    """Somebody other than its author has approved it, and nobody asks for changes."""
    TESTS = "tests"
    """Its checks are green. The config lane does without."""


class HotfixPolicy(StrEnum):
    """Where the rollout of a hotfix goes on, when the release was under way."""

    CONTINUE = "continue"
    """The steps that the release had behind it are walked again, but without waiting: gates open
    by themselves and nothing soaks. From the step that it was in, all is as planned."""
    BEGIN = "begin"
    """All is as planned, from the first step on."""


class ConfigLane(Struct, frozen=True, forbid_unknown_fields=True):
    """The path to production for changes that touch only configuration."""

    app: Name
    """The app that this lane deploys, from the same repository; it is set up like any other, and
    nodes run it beside this one."""
    paths: Annotated[tuple[Pattern, ...], Meta(min_length=1)]
    """A change that touches nothing but these takes the lane: ``flags/``, ``config/*.toml``."""


class Releasing(Struct, frozen=True, forbid_unknown_fields=True):
    """Where an app's changes come from, and what they need."""

    repository: Annotated[str, Meta(pattern=r"\A(https?|ssh|git|file)://[^\s]+\Z|\A/[^\0\n]*\Z")]
    """The git repository: ``https://…``, ``ssh://…``, or an absolute path on the server."""
    main: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._/-]{0,200}\Z")] = "main"
    """The branch that everything is merged into, and that releases are cut from."""
    forge: Name | None = None
    """One of the forges in the server's configuration; without it there is only git."""
    project: str = ""
    """The project's name on the forge, such as ``acme/web``."""
    require: tuple[Need, ...] | None = None
    """What a change needs to enter a release; without it ``review`` and ``tests`` where there is a
    forge, and nothing where there is none, as nobody could tell."""
    only: bool = False
    """Whether nothing but the builds of releases is deployed."""
    hotfix: HotfixPolicy = HotfixPolicy.CONTINUE
    """Where the rollout of a hotfix goes on."""
    config: ConfigLane | None = None
    """The path for changes that touch only configuration."""


def needs(releasing: Releasing) -> tuple[Need, ...]:
    """What a change needs to enter a release."""
    if releasing.require is not None:
        return releasing.require
    return (Need.REVIEW, Need.TESTS) if releasing.forge is not None else ()
