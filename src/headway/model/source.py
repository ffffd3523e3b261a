"""Where an app's numbers come from, beside what its nodes' agents report."""

from typing import Annotated

from msgspec import Meta, Struct

from headway.model.names import Name

Address = Annotated[str, Meta(pattern=r"\Ahttps?://[^/?#@\s]+[^?#\s]*\Z")]
Patience = Annotated[float, Meta(gt=0, le=60)]
Every = Annotated[float, Meta(ge=5, le=300)]

REPORTED = ""
"""The name of the source that is always there: what agents report."""

STATSD = "statsd"
"""The name of what the control plane hears by StatsD, where it listens."""


class Outside(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all outside sources have in common. Each query gives a value for every node at once."""

    name: Name
    """What verdicts call it."""
    url: Address
    """Its address, up to where its API begins."""
    totals: dict[Name, str] = {}
    """Counters by name: queries for totals that rise, and begin again at 0 after a restart."""
    counts: dict[Name, str] = {}
    """The same, of queries for how much happened since the value before."""
    levels: dict[Name, str] = {}
    """Queries for a level: a queue's length, memory. Metrics on it are ``continuous``."""
    every: Every = 15.0
    """How many seconds lie between two values."""
    delay: Annotated[float, Meta(ge=0, le=300)] = 5.0
    """How many seconds it takes until the source has the value of a moment."""
    timeout: Patience = 10.0
    """How many seconds an answer may take."""
    headers: dict[str, str] = {}
    """Headers to send, for example the tenant; secrets belong into ``credentials``."""
    credentials: Name | None = None
    """The name of an entry of ``[[credentials]]`` in the server's configuration."""

    @property
    def queries(self) -> dict[str, str]:
        """Every query by the name of what it gives."""
        return {**self.totals, **self.counts, **self.levels}


class PrometheusSource(Outside, frozen=True, tag_field="kind", tag="prometheus"):
    """A Prometheus server, or what speaks its API; queries are PromQL, summed up by node."""

    node: str = "instance"
    """The label that names the node; a port after it does not matter."""


class GraphiteSource(Outside, frozen=True, tag_field="kind", tag="graphite"):
    """A Graphite server; queries are render targets, such as
    ``aliasByNode(stats.web.*.errors, 2)``."""

    node: str = "target"
    """The label that names the node: ``target`` is the name that the target gives it, anything
    else is a tag."""


SourceConfig = PrometheusSource | GraphiteSource
