"""What the cockpit's routes share: sessions, pages, and one broadcast for each page."""

from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
from litestar import Request, Response

from headway.errors import HeadwayError, NotFound
from headway.guard.counters import BUCKET
from headway.model.access import Identity
from headway.model.picture import Places
from headway.server.auth.rules import Rule
from headway.server.cockpit import answers
from headway.server.cockpit.door import Door
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.gather import every_app, gather, gather_charts
from headway.server.cockpit.graphs import GuardPage, make_graphs
from headway.server.cockpit.live import Broadcast, Picture
from headway.server.cockpit.node_map import places
from headway.server.cockpit.page import make_page, node_label
from headway.server.cockpit.render import regions, render
from headway.server.database import guard as memory
from headway.server.plane import ControlPlane

AnyRequest = Request[Any, Any, Any]


class Site:
    """The cockpit of one control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        self.door = Door(plane.sessions, plane.callers, plane.public_url)
        self._plane = plane
        self._broadcasts: dict[tuple[str, bool], Broadcast] = {}
        self._present: dict[str, Counter[str]] = {}
        self._charts: dict[str, tuple[float, bytes]] = {}

    async def home(self, request: AnyRequest, caller: Identity) -> Response[str]:
        """All apps; where there is only one, its page."""
        apps = await every_app(self._plane)
        if len(apps) == 1:
            return answers.elsewhere(f"/apps/{apps[0]}")
        pages = [make_page(await gather(self._plane, app)) for app in apps]
        return await self.show(request, caller, "apps", pages=pages)

    async def app(
        self, request: AnyRequest, caller: Identity, app: str, problem: HeadwayError | None = None
    ) -> Response[str]:
        """The page of an app, with what went wrong at its top. Raises NotFound."""
        page, acts = make_page(await gather(self._plane, app)), may_act(caller)
        return await self.show(
            request,
            caller,
            "app",
            app=app,
            problem=problem,
            page=page,
            regions=regions(page, acts),
            acts=acts,
        )

    async def guard(
        self, request: AnyRequest, caller: Identity, app: str, rollout: str
    ) -> Response[str]:
        """What the guard saw of a rollout, as graphs. Raises NotFound."""
        kept = await self._plane.database.read(lambda c: memory.record(c, rollout))
        if kept is None or kept[0].settings.app != app:
            raise NotFound(f"the guard has kept nothing of a rollout {rollout[:80]} of {app[:80]}")
        page = GuardPage(app, rollout, make_graphs(*kept))
        return await self.show(request, caller, "guard", app=app, here="history", page=page)

    async def show(
        self,
        request: AnyRequest,
        caller: Identity,
        template: str,
        *,
        app: str = "",
        here: str = "",
        problem: HeadwayError | None = None,
        **values: Any,
    ) -> Response[str]:
        """A page within the frame that all have: apps, the sections of ``app``, who has signed in.

        ``here`` is the section's address, and ``problem`` what went wrong, for the page's top.
        """
        html = render(
            template,
            app=app,
            here=here,
            apps=await every_app(self._plane),
            caller=caller,
            csrf=self.door.seal(request),
            notice=problem.sentence if problem else "",
            **values,
        )
        return answers.page(html, problem.status if problem else 200)

    async def live(self, request: AnyRequest, caller: Identity, app: str) -> AsyncIterator[bytes]:
        """The parts of an app's page as they change, until either side ends it."""
        key = app, may_act(caller)
        if key not in self._broadcasts:
            self._broadcasts[key] = Broadcast(
                app, self._plane.news, partial(self._facts, app), partial(_picture, acts=key[1])
            )
        present = self._present.setdefault(app, Counter())
        present[caller.name] += 1
        self._plane.news.fleet_moved(app)
        try:
            async for frames in self._broadcasts[key].follow():
                if not self.door.still(request, caller):
                    return
                yield frames
        finally:
            present[caller.name] -= 1
            self._plane.news.fleet_moved(app)

    async def places(self, app: str) -> Places:
        """Which node each letter of the map is about. Raises NotFound."""
        return places(await gather(self._plane, app))

    async def label(self, app: str, node: str) -> str:
        """A node in one line. Raises NotFound."""
        facts = await gather(self._plane, app)
        for nodes in facts.fleet.tiers.values():
            for one in nodes:
                if one.node == node:
                    return node_label(facts, one)
        raise NotFound(f"{app[:80]} has no node {node[:80]} any more")

    async def charts(self, app: str) -> bytes:
        """The graphs of an app as JSON, made anew when they can have changed. Raises NotFound."""
        now = self._plane.clock()
        made, content = self._charts.get(app, (0.0, b""))
        if not 0 <= now - made < BUCKET:
            content = msgspec.json.encode(await gather_charts(self._plane, app))
            self._charts[app] = now, content
        return content

    async def _facts(self, app: str) -> Facts:
        present = tuple(sorted(+self._present.get(app, Counter())))
        return await gather(self._plane, app, present)


def _picture(facts: Facts, *, acts: bool) -> Picture:
    page = make_page(facts)
    return Picture(regions(page, acts), page.map)


def may_act(caller: Identity) -> bool:
    """Whether the page has buttons for this caller."""
    return caller.role in Rule.DEPLOYER.value
