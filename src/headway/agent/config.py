"""The agent's configuration file: who this node is, whom it trusts, and how its apps live."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field, structs

from headway import settings
from headway.errors import InvalidInput
from headway.model.names import Name, NodeName, Seconds

Url = Annotated[str, Meta(pattern=r"\Ahttps?://[^\s/]+")]
Argv = Annotated[tuple[str, ...], Meta(min_length=1)]
Period = Annotated[float, Meta(gt=0)]
SignalName = Annotated[str, Meta(pattern=r"\ASIG[A-Z0-9]+\Z")]

DEFAULT_COUNTERS = {
    "requests": "http_requests_total",
    "errors": 'http_requests_total{status=~"5.."}',
}


class TrustPaths(Struct, frozen=True, forbid_unknown_fields=True):
    """Files of the public keys that may sign builds, and that may sign signals and records."""

    build: Annotated[tuple[Path, ...], Meta(min_length=1)]
    release: Annotated[tuple[Path, ...], Meta(min_length=1)]


class Hook(Struct, frozen=True, forbid_unknown_fields=True):
    """A command of the app's own: argv, never a shell string; ``timeout`` in seconds."""

    argv: Argv
    timeout: Period = 300.0
    user: str | None = None
    env: dict[str, str] = {}


class NoRestart(Struct, frozen=True, forbid_unknown_fields=True, tag_field="strategy", tag="none"):
    """The app notices a new ``current`` by itself."""


class SignalRestart(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="strategy", tag="signal"
):
    """Send ``signal`` to the process that ``pidfile`` names."""

    pidfile: Path
    signal: SignalName = "SIGHUP"


class CommandRestart(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="strategy", tag="command"
):
    """Run a command; what it leaves running must have redirected its output."""

    argv: Argv
    timeout: Period = 60.0
    user: str | None = None
    env: dict[str, str] = {}


Restart = NoRestart | SignalRestart | CommandRestart


class Verify(Struct, frozen=True, forbid_unknown_fields=True):
    """When the app counts as healthy.

    ``url`` must answer with ``status`` and a body that holds ``contains``, without a break for
    ``minimum_healthy`` seconds and within ``timeout`` seconds in all. ``{build}``, ``{commit}``
    and ``{tree}`` in ``contains`` stand for the build that is being verified.
    """

    url: Url
    status: int = 200
    contains: str = ""
    minimum_healthy: Seconds = 2.0
    timeout: Period = 60.0
    interval: Period = 0.5


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the app shows its Prometheus metrics, and which sums of them to report."""

    url: Url
    counters: dict[Name, str] = field(default_factory=lambda: dict(DEFAULT_COUNTERS))


class AppSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One app on this node: its tier and its lifecycle."""

    name: Name
    tier: Name
    restart: Restart = NoRestart()
    verify: Verify | None = None
    prepare: Hook | None = None
    drain: Hook | None = None
    undrain: Hook | None = None
    metrics: Metrics | None = None


class AgentConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything an agent is told; ``report_every`` in seconds.

    Relative paths count from the directory of the configuration file.
    """

    node: NodeName
    server: Url
    token_file: Path
    root: Path
    trust: TrustPaths
    apps: Annotated[tuple[AppSettings, ...], Meta(min_length=1)]
    zone: Name = "default"
    report_every: Period = 5.0


def load(path: Path) -> AgentConfig:
    """Read and check the file ``path``. Raises InvalidInput with one sentence."""
    config = settings.read(path, AgentConfig)
    names = [app.name for app in config.apps]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"{path}: the app {name!r} is listed twice in [[apps]]")
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


def _absolute(app: AppSettings, here: Path) -> AppSettings:
    if not isinstance(app.restart, SignalRestart):
        return app
    restart = structs.replace(app.restart, pidfile=here / app.restart.pidfile)
    return structs.replace(app, restart=restart)
