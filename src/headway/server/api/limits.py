"""How much a list may be asked for."""

from typing import Annotated

from litestar.params import Parameter

Limit = Annotated[int, Parameter(ge=1, le=1000, description="At most this many")]
