"""Somebody who asks for a page, and what it takes to answer."""

from typing import Any

from litestar import Response
from litestar.di import NamedDependency
from msgspec import Struct

from headway.errors import HeadwayError
from headway.model.access import Identity
from headway.server.api.given import Caller, Plane
from headway.server.cockpit.pages.asked import Typed
from headway.server.cockpit.site import AnyRequest, Site, may_act
from headway.server.plane import ControlPlane


class Visit(Struct, frozen=True):
    """One request to one of an app's pages."""

    site: Site
    plane: ControlPlane
    request: AnyRequest
    caller: Identity

    async def show(
        self,
        template: str,
        app: str,
        here: str,
        *,
        problem: HeadwayError | None = None,
        form: Typed | None = None,
        **values: Any,
    ) -> Response[str]:
        """A page; after a form that was refused, with the sentence why and what was typed."""
        return await self.site.show(
            self.request,
            self.caller,
            template,
            app=app,
            here=here,
            problem=problem,
            typed=form or Typed(),
            acts=may_act(self.caller),
            **values,
        )


def visit(site: NamedDependency[Site], plane: Plane, request: AnyRequest, caller: Caller) -> Visit:
    """Provide the visit of a request."""
    return Visit(site, plane, request, caller)
