"""What the routes are given: the control plane, the caller, and values from the request."""

from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from headway.model.access import Identity
from headway.server.plane import ControlPlane

Plane = NamedDependency[ControlPlane]
Caller = NamedDependency[Identity]
InPath = Annotated[str, PathParameter()]
Filter = Annotated[str | None, QueryParameter()]
AnyRequest = Request[Any, Any, Any]
