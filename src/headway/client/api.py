"""The control plane's HTTP API for Python: one method per route, typed by the model.

The methods stand by subject in the modules beside this one, as the routes do in ``server/api``. The
brackets at the end of each docstring name the route and the least role that it takes; the API
reference is generated from them, and a test holds every method to its own.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import httpx2

from headway.client.apps import Apps
from headway.client.builds import Builds
from headway.client.nodes import Nodes
from headway.client.people import People
from headway.client.releases import Releases
from headway.client.rollouts import Rollouts
from headway.client.wire import PAGE, segment
from headway.model.announcement import Delivery
from headway.model.journal import JournalEntry
from headway.model.views import Health, ProblemKind


class Client(Apps, Builds, Rollouts, Releases, Nodes, People):
    """A control plane, as the holder of one token sees it; close it, or use it with ``with``.

    Every method raises the HeadwayError that the server's problem names, and Unreachable when
    there is no answer.
    """

    def health(self) -> Health:
        """Whether it serves, and in which version. [GET /v1/health, public]"""
        return self.call("GET", "/v1/health", Health)

    def problem(self, code: str) -> ProblemKind:
        """What a kind of problem means. [GET /problems/{code}, public]"""
        return self.call("GET", f"/problems/{segment(code)}", ProblemKind)

    def metrics(self) -> str:
        """Headway's own metrics, in Prometheus' text format. [GET /metrics, viewer]"""
        return self.send("GET", "/metrics").text

    def deliveries(self, dead: bool = False, limit: int | None = 50) -> list[Delivery]:
        """Announcements that have not arrived. [GET /v1/announcements, viewer]"""
        wanted = {"dead": "true" if dead else "false"}
        return list(self.each("/v1/announcements", Delivery, wanted, most=limit))

    def retry_delivery(self, delivery: int) -> None:
        """Send again what was given up. [POST /v1/announcements/{delivery}/retry, deployer]"""
        self.send("POST", f"/v1/announcements/{delivery}/retry")

    def journal(
        self,
        app: str | None = None,
        rollout: str | None = None,
        after: int | None = None,
        limit: int | None = 50,
        release: str | None = None,
        told: bool = False,
        before: int | None = None,
    ) -> list[JournalEntry]:
        """What came after ``after``, or else the newest before ``before``, or all; oldest first.
        [GET /v1/journal, viewer]
        """
        if limit is None:
            after = after or 0
        params: dict[str, str | int | None] = {
            "app": app,
            "rollout": rollout,
            "release": release,
            "after": after,
            "before": before,
            "told": "true" if told else None,
        }
        found = list(self.each("/v1/journal", JournalEntry, params, most=limit))
        # Without ``after`` the pages lead back, and a page has only so many.
        while after is None and limit and 0 < len(found) < limit and len(found) % PAGE == 0:
            params["before"] = found[0].seq
            earlier = self.each("/v1/journal", JournalEntry, params, most=limit - len(found))
            if not (page := list(earlier)):
                break
            found[:0] = page
        return found

    def events(self, last: str = "") -> AbstractContextManager[Iterator[httpx2.ServerSentEvent]]:
        """One connection to what happens, from ``last`` on; ``headway.client.events`` keeps it up.
        [GET /v1/events, viewer]
        """
        return self.stream("/v1/events", headers={"Last-Event-ID": last} if last else {})
