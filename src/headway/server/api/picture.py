"""An app as the cockpit shows it, for terminals."""

import msgspec
from litestar import get

from headway.model.picture import Picture, Places, TierLine, TrainLine
from headway.server.api.given import InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.cockpit import node_map
from headway.server.cockpit.gather import gather
from headway.server.cockpit.page import make_page


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
        banner=page.banner,
        alarms=page.alarms,
        calm=page.calm,
        live=page.live,
        live_since=page.live_since,
        actions=page.actions,
        train=TrainLine(train.topic, train.leader) if train else TrainLine(""),
        # The cockpit's tiers have what it takes to draw them besides.
        tiers=msgspec.convert(page.tiers, tuple[TierLine, ...], from_attributes=True),
        rollout=page.rollout,
        idle=page.idle,
        holds=page.holds,
        map=page.map,
        journal=page.journal,
    )


@get("/v1/apps/{app:str}/places", opt={"role": Rule.VIEWER}, summary="Which node is where")
async def show_places(app: InPath, plane: Plane) -> Places:
    """The nodes in the order of the letters of a picture with the same ``layout``."""
    return node_map.places(await gather(plane, app))
