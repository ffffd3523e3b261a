"""The agent's configuration file: who this node is, whom it trusts, and how its apps live."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field, structs

from headway import settings
from headway.agent.strategies import (
    Argv,
    CommandRestart,
    FileTraffic,
    FirewallTraffic,
    Instance,
    NoRestart,
    Period,
    Restart,
    SignalRestart,
    Traffic,
    Url,
    texts,
)
from headway.errors import InvalidInput
from headway.model.names import Name, NodeName, Seconds
from headway.model.peers import Address

DEFAULT_COUNTERS = {
    "requests": "http_requests_total",
    "errors": 'http_requests_total{status=~"5.."}',
    "latency": "http_request_duration_seconds_sum",
}


class TrustPaths(Struct, frozen=True, forbid_unknown_fields=True):
    """Files of the public keys that may sign builds, and that may sign signals and records."""

    build: Annotated[tuple[Path, ...], Meta(min_length=1)]
    """The public keys that builds may be signed with."""
    release: Annotated[tuple[Path, ...], Meta(min_length=1)]
    """The control plane's public keys: those of signals and of this node's record."""


class Hook(Struct, frozen=True, forbid_unknown_fields=True):
    """A command of the app's own: argv, never a shell string; ``timeout`` in seconds."""

    argv: Argv
    """The program and its arguments."""
    timeout: Period = 300.0
    """How long it may take before its whole process group is killed."""
    user: str | None = None
    """The user that it runs as; without it, the agent's."""
    env: dict[str, str] = {}
    """Variables to set in its otherwise clean environment."""


class Verify(Struct, frozen=True, forbid_unknown_fields=True):
    """When the app counts as healthy.

    ``url`` must answer with ``status`` and a body that holds ``contains``, without a break for
    ``minimum_healthy`` seconds and within ``timeout`` seconds in all. ``{build}``, ``{commit}``
    and ``{tree}`` in ``contains`` stand for the build that is being verified, ``{instance}`` and
    ``{port}`` for the instance.
    """

    url: Url
    """What is asked for with GET."""
    status: int = 200
    """The status that the answer must have."""
    contains: str = ""
    """What the answer's body must hold."""
    minimum_healthy: Seconds = 2.0
    """How long it must answer so without a break."""
    timeout: Period = 60.0
    """How long all of this may take before the node goes back to the build before."""
    interval: Period = 0.5
    """How long to wait between two requests."""
    log: Path | None = None
    """The app's log: its last lines are reported when the app does not become healthy."""


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the app shows its Prometheus metrics, and which sums of them to report."""

    url: Url
    """Where the app shows its metrics."""
    counters: dict[Name, str] = field(default_factory=lambda: dict(DEFAULT_COUNTERS))
    """What to report under which name: a series and its labels, summed over all that match."""


class AppSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One app on this node: its tier and its lifecycle."""

    name: Name
    """The app's name, as the control plane knows it."""
    tier: Name
    """The tier that this node is in for the app."""
    restart: Restart = NoRestart()
    """How the app is brought to run what ``current`` points at."""
    verify: Verify | None = None
    """When the app counts as healthy after a flip; without it, at once."""
    prepare: Hook | None = None
    """Run in the cold slot before the flip, for example to install what the app depends on."""
    instances: tuple[Instance, ...] = ()
    """The app's processes here, if there are several: each is drained, restarted and verified
    before the next is touched."""
    traffic: Traffic | None = None
    """How the app, or each instance of it, is taken out of traffic for its restart."""
    drain: Hook | None = None
    """Run to take the app out of traffic: once before the flip, or, where there are instances,
    for each of them before its restart, with HEADWAY_INSTANCE and HEADWAY_PORT set."""
    undrain: Hook | None = None
    """Run to bring it back: once after the restart, or for each instance once it is healthy; and
    when the agent starts. It must do no harm when nothing is drained."""
    metrics: Metrics | None = None
    """Where the app's metrics are read for the guard."""


class Scrubbing(Struct, frozen=True, forbid_unknown_fields=True):
    """How the node reads again, in the background, all that it holds, to find what has changed.

    The rate is for all of its apps together.
    """

    megabytes_per_second: Annotated[float, Meta(ge=0.0)] = 4.0
    """How much to read in a second; 0: only when asked to, by `headway node verify`."""
    every: Annotated[float, Meta(gt=0.0)] = 24.0
    """How many hours lie between the end of one pass and the beginning of the next; a new node's
    first begins at a random moment within as many."""


class PeersSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Fetch large builds from other nodes of the zone, and serve them what this one holds.

    Only nodes that the control plane sends are served, and only contents by their digests.
    """

    listen: Address
    """Address and port at which other nodes reach this one, like `10.0.0.3:8702`."""
    above_megabytes: Annotated[float, Meta(ge=0.0)] = 8.0
    """A build that brings less than this comes from the origin at once."""
    patience: Annotated[float, Meta(ge=0.0)] = 120.0
    """The longest, in seconds, to wait for a peer before the origin is asked."""
    connections: Annotated[int, Meta(ge=1, le=64)] = 8
    """How many requests of other nodes are served at a time."""
    megabytes_per_second: Annotated[float, Meta(gt=0.0)] = 50.0
    """How fast other nodes are served, all together."""


class AgentConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything an agent is told; ``report_every`` in seconds.

    Relative paths count from the directory of the configuration file.
    """

    node: NodeName
    """This node's name; its token must have the same."""
    server: Url
    """The control plane's address; builds are fetched from there."""
    token_file: Path
    """The file with this node's token."""
    root: Path
    """The directory below which every app has its slots, its store and its state."""
    trust: TrustPaths
    """Whose signatures count."""
    apps: Annotated[tuple[AppSettings, ...], Meta(min_length=1)]
    """The apps that this node runs."""
    zone: Name = "default"
    """Where the node stands; a wave can be bounded by zone."""
    report_every: Period = 5.0
    """How often to report when nothing changes."""
    store: str | None = None
    """The URL of a signal store to watch and report in, instead of at the control plane; builds
    still come from ``server``."""
    servers: tuple[Url, ...] = ()
    """Where to hold the line instead: addresses of hubs, and of the control plane if it is to be
    one of them. One is chosen at random, and the next one when it does not answer."""
    scrub: Scrubbing = Scrubbing()
    """How the node looks for damage to what it holds."""
    peers: PeersSettings | None = None
    """Whether large builds come from other nodes first; without it they never do."""


def load(path: Path) -> AgentConfig:
    """Read and check the file ``path``. Raises InvalidInput with one sentence."""
    config = settings.read(path, AgentConfig)
    names = [app.name for app in config.apps]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"{path}: the app {name!r} is listed twice in [[apps]]")
    for app in config.apps:
        if wrong := _contradiction(app):
            raise InvalidInput(f"{path}: the app {app.name!r} {wrong}")
    here = path.absolute().parent
    return structs.replace(
        config,
        token_file=here / config.token_file,
        root=here / config.root,
        trust=TrustPaths(
            build=tuple(here / key for key in config.trust.build),
            release=tuple(here / key for key in config.trust.release),
        ),
        apps=tuple(_absolute(app, here) for app in config.apps),
    )


def _contradiction(app: AppSettings) -> str:
    """What is wrong between an app's settings; an empty string when nothing is."""
    names = [instance.name for instance in app.instances]
    if twice := next((name for name in names if names.count(name) > 1), None):
        return f"has the instance {twice!r} twice in [[apps.instances]]"
    ported = bool(names) and all(instance.port for instance in app.instances)
    for section in ("restart", "verify", "traffic", "drain", "undrain"):
        said = " ".join(texts(getattr(app, section)))
        if "{port}" in said and not ported:
            return f"says {{port}} in [apps.{section}]: give every [[apps.instances]] a port"
        if "{instance}" in said and not names:
            return f"says {{instance}} in [apps.{section}], but has no [[apps.instances]]"
    if isinstance(app.traffic, FirewallTraffic) and app.traffic.port is None and not ported:
        return "needs a port in [apps.traffic], or one in every [[apps.instances]]"
    if len(names) > 1:
        for section in ("restart", "traffic"):
            if _is_shared(getattr(app, section)):
                return (
                    f"does the same to all of its instances in [apps.{section}]; "
                    "tell them apart with {instance} or {port}"
                )
    return ""


def _is_shared(how: Restart | Traffic | None) -> bool:
    """Whether this would be done to all instances at once; a command may look for itself."""
    if isinstance(how, FirewallTraffic):
        return how.port is not None
    if how is None or isinstance(how, NoRestart | CommandRestart):
        return False
    return not any("{instance}" in text or "{port}" in text for text in texts(how))


def _absolute(app: AppSettings, here: Path) -> AppSettings:
    restart, traffic, verify = app.restart, app.traffic, app.verify
    if isinstance(restart, SignalRestart):
        restart = structs.replace(restart, pidfile=here / restart.pidfile)
    if isinstance(traffic, FileTraffic):
        traffic = structs.replace(traffic, path=here / traffic.path)
    if verify is not None and verify.log is not None:
        verify = structs.replace(verify, log=here / verify.log)
    return structs.replace(app, restart=restart, traffic=traffic, verify=verify)
