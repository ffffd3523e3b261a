"""Deployments on GitHub: one for each rollout in each tier, and one for each way back.

By the REST API for deployments and their statuses. The environment is ``app/tier``; GitHub itself
marks the deployment before as inactive once another one there has succeeded. A deployment is found
again by what its payload holds, so that a second try makes no second one.
"""

from typing import Any

import msgspec
from msgspec import Struct

from headway.announce.port import Place
from headway.announce.wire import Wire, WiredAnnouncer
from headway.core.words import clean
from headway.errors import InvalidInput, Refused
from headway.model.announcement import Announcement, Kind, Occasion, Span
from headway.model.names import Name
from headway.model.rollout import Phase

VERSION = "2022-11-28"
LONGEST_DESCRIPTION = 140
"""Characters; GitHub refuses more."""

_DONE = frozenset({"success", "failure", "error", "inactive"})


class GitHubPlace(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A project on GitHub whose deployments are told."""

    forge: Name
    """One of ``forges``: its address, and a token that may write deployments."""
    project: str
    """The project, such as ``acme/web``; its commits are those that builds were made from."""

    def is_told_of(self, occasion: Occasion) -> bool:
        """Steps, and ways back."""
        return occasion in (Occasion.STEP, Occasion.RETURN)


class _Deployment(Struct):
    id: int
    payload: Any = None


class _Status(Struct):
    state: str
    description: str | None = ""


class GitHubAnnouncer(WiredAnnouncer):
    """Tells one project on GitHub, whose API is at ``api``."""

    def __init__(self, config: GitHubPlace, token: str, api: str) -> None:
        owner, slash, project = config.project.partition("/")
        if not (slash and owner.strip(".") and project.strip(".")) or "/" in project:
            raise InvalidInput(f"{config.project!a} is no project; on GitHub it is like OWNER/NAME")
        headers = {
            "accept": "application/vnd.github+json",
            "x-github-api-version": VERSION,
            "authorization": f"Bearer {token}",
        }
        url = f"{api.rstrip('/')}/repos/{config.project}/deployments"
        wire = Wire(config.name, url, config.timeout, headers)
        super().__init__(config, wire)

    async def announce(self, announcement: Announcement) -> None:
        """Bring the deployment of each tier to the state that it is in now."""
        span = announcement.span
        state = _state(span) if span is not None else None
        if span is None or state is None:
            return
        if not span.commit:
            raise Refused(f"it is not known which commit {span.build[:12]} was made from")
        for tier in span.tiers:
            deployment = await self._deployment(announcement, span, tier)
            await self._tell(deployment, state, announcement)

    async def _deployment(self, announcement: Announcement, span: Span, tier: str) -> int:
        """The tier's deployment, also where it has to be made."""
        environment = f"{announcement.app}/{tier}"
        mark = _mark(span, tier)
        known = await self._wire.ask(
            "GET",
            "",
            list[_Deployment],
            params=[("environment", environment), ("ref", span.commit), ("per_page", "100")],
        )
        for one in known:
            if _marked(one.payload) == mark:
                return one.id
        asked: dict[str, object] = {
            "ref": span.commit,
            "task": "revert" if span.kind is Kind.REVERT else "deploy",
            "auto_merge": False,
            "required_contexts": [],
            "payload": {"headway": mark, "build": span.build, "by": clean(span.by)},
            "environment": environment,
            "description": _short(announcement.sentence),
        }
        return (await self._wire.ask("POST", "", _Deployment, body=asked)).id

    async def _tell(self, deployment: int, state: str, announcement: Announcement) -> None:
        """Add a status, unless it is there, or what comes late would undo an end."""
        path = f"/{deployment}/statuses"
        description = _short(announcement.sentence)
        known = await self._wire.ask("GET", path, list[_Status], params=[("per_page", "100")])
        states = {one.state for one in known}
        if (state, description) in {(one.state, one.description) for one in known}:
            return
        if state == "in_progress" and states & _DONE:
            return
        status = {
            "state": state,
            "description": description,
            "log_url": announcement.link,
        }
        await self._wire.send("POST", path, body=status)


def _state(span: Span) -> str | None:
    """GitHub's word; None where a step has ended, but not yet the tier."""
    if span.ended is None:
        return "in_progress"
    match span.outcome:
        case Phase.SUCCEEDED:
            return "success" if span.whole else None
        case Phase.SUPERSEDED:
            return "inactive"
        case _:
            return "failure"


def _mark(span: Span, tier: str) -> str:
    """The same for all steps of a rollout in one tier; a way back has one of its own."""
    return f"{span.id if span.kind is Kind.REVERT else span.rollout}/{tier}"


def _marked(payload: Any) -> str:
    """The mark in a payload, which GitHub gives back as it is, or as text."""
    if isinstance(payload, str):
        try:
            payload = msgspec.json.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return ""
    return str(payload.get("headway", "")) if isinstance(payload, dict) else ""


def _short(sentence: str) -> str:
    told = clean(sentence)
    return told if len(told) <= LONGEST_DESCRIPTION else told[: LONGEST_DESCRIPTION - 1] + "…"
