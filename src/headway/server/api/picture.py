"""An app as the cockpit shows it, for terminals."""

from hashlib import sha256
from typing import TypeVar

import msgspec
from litestar import get

from headway.model import picture
from headway.model.picture import LETTERS, NodeMap, Picture, Places, TierPlaces
from headway.model.views import NodeStatus
from headway.server.api.given import InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.gather import gather
from headway.server.cockpit.page import AppPage, make_page

T = TypeVar("T")


@get("/v1/apps/{app:str}/picture", opt={"role": Rule.VIEWER}, summary="An app in one picture")
async def show_picture(app: InPath, plane: Plane) -> Picture:
    """Where it stands, what to do next, its tiers, train and journal, each node as a letter.

    In the words of the cockpit, and all of one moment.
    """
    train = await plane.chat.view(app)
    facts = await gather(plane, app)
    page = make_page(facts)
    return Picture(
        app=page.app,
        now=page.now,
        phase=facts.rollout.rollout.phase if facts.rollout else None,
        banner=_seen(page.banner, picture.Banner),
        alarms=_seen(page.alarms, tuple[picture.Alarm, ...]),
        calm=page.calm,
        live=_seen(page.live, picture.BuildLine) if page.live else None,
        live_since=page.live_since,
        actions=_seen(page.actions, picture.Actions),
        train=picture.TrainLine(train.topic, train.leader),
        tiers=_seen(page.tiers, tuple[picture.TierLine, ...]),
        rollout=_seen(page.rollout, picture.RolloutPanel) if page.rollout else None,
        idle=page.idle,
        holds=page.holds,
        map=NodeMap(_places(facts, page).layout, _letters(facts, page)),
        journal=_seen(page.journal, tuple[picture.EntryLine, ...]),
    )


@get("/v1/apps/{app:str}/places", opt={"role": Rule.VIEWER}, summary="Which node is where")
async def show_places(app: InPath, plane: Plane) -> Places:
    """The nodes in the order of the letters of a picture with the same ``layout``."""
    facts = await gather(plane, app)
    return _places(facts, make_page(facts))


def _seen(shown: object, kind: type[T]) -> T:
    """What the page shows, as what a terminal is told of it: the fields of the same names."""
    return msgspec.convert(shown, kind, from_attributes=True)


def _tiers(facts: Facts, page: AppPage) -> list[tuple[str, list[NodeStatus]]]:
    placed = sorted(facts.nodes, key=lambda node: (node.position, node.node))
    by_tier: dict[str, list[NodeStatus]] = {tier.tier: [] for tier in page.tiers}
    for node in placed:
        by_tier.setdefault(node.tier, []).append(node)
    return list(by_tier.items())


def _letters(facts: Facts, page: AppPage) -> str:
    roles = {share.build.id: share.build.role for tier in page.tiers for share in tier.shares}
    return "".join(
        LETTERS[node.state, roles.get(node.running or "", "other")]
        for _, nodes in _tiers(facts, page)
        for node in nodes
    )


def _places(facts: Facts, page: AppPage) -> Places:
    tiers = tuple(
        TierPlaces(tier, tuple(node.node for node in nodes)) for tier, nodes in _tiers(facts, page)
    )
    return Places(sha256(msgspec.json.encode(tiers)).hexdigest()[:16], tiers)
