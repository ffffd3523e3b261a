"""Builds as the page names them, and the part that each plays at this moment."""

from headway.model.picture import BuildLine
from headway.model.rollout import LIVE
from headway.server.cockpit.facts import Facts


def build_line(facts: Facts, build: str) -> BuildLine:
    """A build with what is known of it."""
    known = facts.builds.get(build)
    if known is None:
        return BuildLine(build, role(facts, build))
    return BuildLine(build, role(facts, build), known.commit[:10], known.subject, known.by)


def role(facts: Facts, build: str | None) -> str:
    """What a build is in this moment; ``none`` for no build.

    While one replaces another they are ``new`` and ``old``; at rest the live one is ``live``.
    """
    if not build:
        return "none"
    state = facts.rollout.rollout if facts.rollout else None
    if state is not None and state.phase in LIVE:
        return {state.target: "new", state.base: "old"}.get(build, "other")
    return "live" if build == facts.live else "other"
