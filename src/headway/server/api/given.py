"""What the routes are given: the control plane, the caller, and values from the request."""

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from headway.model.access import Identity
from headway.server.plane import ControlPlane

Plane = NamedDependency[ControlPlane]
Caller = NamedDependency[Identity]
InPath = Annotated[str, PathParameter()]
Filter = Annotated[str | None, QueryParameter()]
Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="At most this many")]
