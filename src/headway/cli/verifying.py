"""Asking nodes to read again all that they hold, and waiting for what they find."""

import time
from collections.abc import Iterable, Sequence

from rich.console import RenderableType

from headway.cli.screen import line, lines, said
from headway.cli.wording import duration
from headway.client.api import Client
from headway.core.drift import tree
from headway.core.words import count
from headway.errors import InvalidInput, NotFound, Unreachable
from headway.model.report import Drift, Inspection
from headway.model.views import NodeStatus

_LOOK_EVERY_SECONDS = 0.5


def ask(client: Client, node: str | None, app: str | None) -> list[NodeStatus]:
    """Ask a node about all of its apps or one, or all nodes of an app. Raises NotFound."""
    if node is None and app is None:
        raise InvalidInput("name a node, or all nodes of an app with --app")
    found = client.node(node) if node is not None else client.nodes(app)
    chosen = [status for status in found if app in {None, status.app}]
    if not chosen:
        raise NotFound(f"there is no node that runs {app}; `headway node list` tells what runs")
    asked = []
    for status in chosen:
        now = client.verify_node(status.node, status.app)
        asked += [one for one in now if one.app == status.app]
    return asked


def wait(client: Client, asked: Sequence[NodeStatus], timeout: float) -> list[NodeStatus]:
    """The nodes, once all have answered or ``timeout`` seconds have passed."""
    deadline = time.monotonic() + timeout
    one_node = len({status.node for status in asked}) == 1
    wanted = {(status.node, status.app): status.verify for status in asked}
    while True:
        found = client.node(asked[0].node) if one_node else client.nodes(asked[0].app)
        now = [status for status in found if (status.node, status.app) in wanted]
        late = [one for one in now if result(one, wanted[one.node, one.app]) is None]
        if not late or time.monotonic() > deadline:
            return now
        time.sleep(_LOOK_EVERY_SECONDS)


def result(status: NodeStatus, wanted: int) -> Inspection | None:
    """What a node has answered to the demand ``wanted``, if it has."""
    found = status.report.inspection if status.report else None
    return found if found is not None and found.asked >= wanted else None


def complain(late: Iterable[NodeStatus], timeout: float) -> None:
    """Raise Unreachable for the nodes that have not answered, if there are any."""
    if named := [f"{status.node} ({status.why})" for status in late]:
        shown = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
        raise Unreachable(
            f"no answer within {duration(timeout)} from {shown}; the demand stands, and "
            "`headway node show NODE` will tell what was found"
        )


def picture(status: NodeStatus, found: Inspection) -> RenderableType:
    """What a node has found: one sentence, or the paths that have changed."""
    node = said(status.node, "bold")
    if found.drift:
        return lines(*(part for drift in found.drift for part in _drift(status, drift)))
    if found.build is None:
        return line(node, f": nothing of {status.app} serves; what is there is as published")
    files = count(found.files, "file")
    return line(node, f": {files} of {tree(status.app, found.build)} are as published")


def _drift(status: NodeStatus, drift: Drift) -> Iterable[RenderableType]:
    where = "which serves" if drift.serving else "which does not serve"
    if drift.mended:
        where = "which was mended since"
    what = f"{count(drift.count, 'path')} of {tree(status.app, drift.build)}, {where},"
    yield line(said(status.node, "bold"), ": ", said(f"{what} not as published:", "red"))
    yield from (said(f"  {stray.path} {stray.problem}") for stray in drift.strays)
    if drift.count > len(drift.strays):
        yield said(f"  and {drift.count - len(drift.strays):,} more")
