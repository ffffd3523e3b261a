"""StatsD's lines, as counts and levels of nodes.

A line is ``name:value|type``, with ``|@rate`` and ``|#tag:value,…`` after it: counters (c), gauges
(g, with a sign for a change) and times (ms, h, d), as in
https://github.com/statsd/statsd/blob/master/docs/metric_types.md and, for tags,
https://docs.datadoghq.com/developers/dogstatsd/datagram_shell. App and node are tags, or the first
two parts of the name: ``web.web-17.errors:1|c`` (a node's dots written as ``_``). A time of t
milliseconds adds t / 1000 to the counter of its name, and 1 to NAME_count.

Anybody who reaches the port can write; so only nodes that are enrolled count, and names are
bounded.
"""

import math
import re

from msgspec import Struct, structs

from headway.guard.counters import Sample
from headway.guard.whereabouts import Whereabouts
from headway.model.source import STATSD

MOST_NAMES = 500
"""Names that are taken of one app."""

GONE_AFTER = 60.0
"""Seconds of silence after which a node's next words do not cover the time before."""

_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9_.-]{1,200}):(?P<value>[-+]?[0-9.eE+-]{1,32})\|(?P<type>c|g|ms|h|d)"
    r"(?:\|@(?P<rate>[0-9.eE-]{1,16}))?(?:\|#(?P<tags>[^|\s]{0,1000}))?(?:\|[^\s]{0,100})?"
)


class Said(Struct, frozen=True):
    """One line: of which app and node, and what. ``sign`` is that of a gauge's change."""

    app: str
    node: str
    name: str
    kind: str
    value: float
    rate: float = 1.0
    sign: bool = False


class _Heard(Struct):
    counts: dict[str, float]
    levels: dict[str, float]
    news: bool = False


class StatsD:
    """What was said since it was last taken; what cannot be used is counted in ``refused``."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], _Heard] = {}
        self._names: dict[str, set[str]] = {}
        self._last: dict[tuple[str, str], float] = {}
        self.refused = 0

    def hear(self, packet: bytes, nodes: Whereabouts) -> None:
        """Take in a packet of one or more lines."""
        for text in packet.decode("utf-8", "replace").splitlines():
            said = parse(text)
            node = _node(said, nodes) if said is not None else None
            if said is None or node is None or not self._admits(said):
                self.refused += bool(text.strip())
                continue
            heard = self._heard.setdefault((said.app, node), _Heard({}, {}))
            heard.news = True
            _note(heard, said)

    def take(self, nodes: Whereabouts, now: float) -> list[Sample]:
        """What was said, a sample for each node."""
        samples = []
        for key, heard in list(self._heard.items()):
            empty = nodes.sample(*key, now)
            if empty is None:
                del self._heard[key]
                continue
            if not heard.news:
                continue
            away = now - self._last.get(key, now) > GONE_AFTER
            self._last[key] = now
            samples.append(
                structs.replace(
                    empty,
                    counts=heard.counts,
                    levels=dict(heard.levels),
                    source=STATSD,
                    anew=away,
                )
            )
            heard.counts, heard.news = {}, False
        return samples

    def _admits(self, said: Said) -> bool:
        names = self._names.setdefault(said.app, set())
        if said.name not in names and len(names) >= MOST_NAMES:
            return False
        names.add(said.name)
        return True


def parse(text: str) -> Said | None:
    """A line; None where it is none, or names no app and node."""
    found = _LINE.fullmatch(text.strip())
    if found is None:
        return None
    try:
        value, rate = float(found["value"]), float(found["rate"] or 1.0)
    except ValueError:
        return None
    if not math.isfinite(value) or not 0 < rate <= 1:
        return None
    tags = dict(part.partition(":")[::2] for part in (found["tags"] or "").split(","))
    app, node, name = tags.get("app", ""), tags.get("node", ""), found["name"]
    if not app or not node:
        app, _, rest = name.partition(".")
        node, _, name = rest.partition(".")
    if not (app and node and name):
        return None
    sign = found["type"] == "g" and found["value"][0] in "+-"
    return Said(app, node, name, found["type"], value, rate, sign)


def _node(said: Said, nodes: Whereabouts) -> str | None:
    return nodes.find(said.app, said.node) or nodes.find(said.app, said.node.replace("_", "."))


def _note(heard: _Heard, said: Said) -> None:
    if said.kind == "g":
        before = heard.levels.get(said.name, 0.0) if said.sign else 0.0
        heard.levels[said.name] = before + said.value
        return
    times = {said.name: said.value} if said.kind == "c" else {
        said.name: said.value / 1000,
        f"{said.name}_count": 1.0,
    }  # fmt: skip
    for name, value in times.items():
        heard.counts[name] = heard.counts.get(name, 0.0) + value / said.rate
