"""An app as the cockpit shows it, for terminals."""

from typing import TypeVar

import msgspec
from litestar import get

from headway.model import picture
from headway.model.picture import Picture, Places
from headway.server.api.given import InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.cockpit import node_map
from headway.server.cockpit.gather import gather
from headway.server.cockpit.page import make_page

T = TypeVar("T")


@get("/v1/apps/{app:str}/picture", opt={"role": Rule.VIEWER}, summary="An app in one picture")
async def show_picture(app: InPath, plane: Plane) -> Picture:
    """Where it stands, what to do next, its tiers, train and journal, each node as a letter.

    In the words of the cockpit, and all of one moment.
    """
    facts = await gather(plane, app)
    page = make_page(facts)
    train, latest = facts.train, facts.rollout
    return Picture(
        app=page.app,
        now=page.now,
        phase=latest.rollout.phase if latest else None,
        banner=_seen(page.banner, picture.Banner),
        alarms=_seen(page.alarms, tuple[picture.Alarm, ...]),
        calm=page.calm,
        live=_seen(page.live, picture.BuildLine) if page.live else None,
        live_since=page.live_since,
        actions=_seen(page.actions, picture.Actions),
        train=picture.TrainLine(train.topic, train.leader) if train else picture.TrainLine(""),
        tiers=_seen(page.tiers, tuple[picture.TierLine, ...]),
        rollout=_seen(page.rollout, picture.RolloutPanel) if page.rollout else None,
        idle=page.idle,
        holds=page.holds,
        map=_seen(page.map, picture.NodeMap),
        journal=_seen(page.journal, tuple[picture.EntryLine, ...]),
    )


@get("/v1/apps/{app:str}/places", opt={"role": Rule.VIEWER}, summary="Which node is where")
async def show_places(app: InPath, plane: Plane) -> Places:
    """The nodes in the order of the letters of a picture with the same ``layout``."""
    return _seen(node_map.places(await gather(plane, app)), Places)


def _seen(shown: object, kind: type[T]) -> T:
    """What the page shows, as what a terminal is told of it: the fields of the same names."""
    return msgspec.convert(shown, kind, from_attributes=True)
