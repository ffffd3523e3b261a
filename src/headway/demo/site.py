"""What the demo lays out on disk: a repository with a history, and twenty nodes."""

import json
import random
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from msgspec import Struct, structs

from headway.errors import InvalidInput
from headway.model.plan import AppConfig, Checks, Guarding, Importance, Metric, SmokeCheck, Step

APP = "webapp"
TIERS = {"staging": 2, "dogfood": 2, "canary": 1, "production": 15}
USERS = ("canary", "production")
"""The tiers that serve users; the others see only the team's own requests."""
ZONES = ("zone-a", "zone-b", "zone-c")
REQUESTS_PER_SECOND = 12.0
"""Per node: 240 in all."""
BAD_SHARE = 0.3
"""The share of checkouts that the bad build fails."""


class DemoNode(Struct, frozen=True):
    """One node of the demo: an agent, and the application's own server process."""

    name: str
    tier: str
    zone: str
    port: int
    home: Path

    @property
    def url(self) -> str:
        """Where the application answers."""
        return f"http://127.0.0.1:{self.port}"


class Revision(Struct, frozen=True):
    """A commit to build, and the command that builds it."""

    ref: str
    make: tuple[str, ...]


class Repository(Struct, frozen=True):
    """The repository to deploy from: what is live at first, what is good, and what is bad."""

    path: Path
    first: Revision
    good: Revision
    bad: Revision


def example() -> Path:
    """The example web application, in a checkout or in an installed package."""
    here = Path(__file__).resolve()
    for place in (here.parent / "webapp", here.parents[3] / "examples" / "webapp"):
        if (place / "server.py").exists():
            return place
    raise InvalidInput("the example web application is missing; run the demo from a checkout")


def lay_out(home: Path) -> list[DemoNode]:
    """Directories and free ports for every node, spread over the zones."""
    names = [(f"{tier}-{i + 1}", tier) for tier, count in TIERS.items() for i in range(count)]
    ports = free_ports(len(names))
    nodes = []
    for index, ((name, tier), port) in enumerate(zip(names, ports, strict=True)):
        place = home / "nodes" / name
        place.mkdir(parents=True)
        nodes.append(DemoNode(name, tier, ZONES[index % len(ZONES)], port, place))
    return nodes


PORTS = range(10_000, 32_000)
"""Below those that systems take for connections going out, which could come first otherwise."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, found all at once so that none is given twice.

    Raises OSError when there are not so many.
    """
    found: list[int] = []
    with ExitStack() as stack:
        for port in random.sample(PORTS, len(PORTS)):
            if len(found) == count:
                return found
            one = stack.enter_context(socket.socket())
            with suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    raise OSError(f"there are no {count} free ports below {PORTS.stop}")


def agent_config(node: DemoNode, server: str, keys: Path) -> Path:
    """Write the node's agent configuration; its path."""
    text = f"""
node = {json.dumps(node.name)}
zone = {json.dumps(node.zone)}
server = {json.dumps(server)}
token_file = "token"
root = "root"
report_every = 1.0

[trust]
build = [{json.dumps(str(keys / "build.key.pub"))}]
release = [{json.dumps(str(keys / "release.key.pub"))}]

[[apps]]
name = {json.dumps(APP)}
tier = {json.dumps(node.tier)}

[apps.restart]
strategy = "signal"
pidfile = "webapp.pid"
signal = "SIGHUP"

[apps.verify]
url = "{node.url}/healthz"
contains = "{{tree}}"
minimum_healthy = 0.2
interval = 0.1
timeout = 20.0

[apps.metrics]
url = "{node.url}/metrics"
"""
    path = node.home / "agent.toml"
    path.write_text(text)
    return path


def app_config(nodes: list[DemoNode], revision: Revision) -> AppConfig:
    """The app, with a plan that is the default one in small: seconds instead of minutes."""
    quick = Step(tier="production", soak=5.0, concurrency="25%", deadline=60.0, patience=30.0)
    default = (
        structs.replace(quick, tier="staging", soak=0.0, checks=Checks.WATCH, smoke=True),
        structs.replace(quick, tier="dogfood", soak=2.0, checks=Checks.WATCH),
        structs.replace(quick, tier="canary", soak=8.0),
        *(structs.replace(quick, share=share) for share in (0.10, 0.25, 0.50, 0.75, 1.0)),
    )
    first = tuple(
        structs.replace(quick, tier=tier, soak=0.0, checks=Checks.NONE, concurrency="100%")
        for tier in TIERS
    )
    staging = [node for node in nodes if node.tier == "staging"]
    return AppConfig(
        name=APP,
        plans={"default": default, "first": first},
        metrics=(
            Metric(
                "errors",
                "errors",
                per="requests",
                importance=Importance.CRITICAL,
                above=0.02,
                floor=0.10,
            ),
        ),
        smoke=tuple(SmokeCheck(f"{node.url}/", contains="build_template") for node in staging),
        make=revision.make,
        output="dist",
        silent_after=10.0,
        guard=Guarding(warmup=2.0),
    )


def example_repository(home: Path) -> Repository:
    """A repository of the example web application, with a history of four releases."""
    path = home / "repository"
    shutil.copytree(example(), path, ignore=shutil.ignore_patterns("__pycache__", "dist"))
    _git(path, "init", "--quiet", "--initial-branch=main")
    page, settings = path / "src" / "NEWS.txt", path / "src" / "settings.json"
    for tag, subject, news in (
        ("v1", "The first page", "We are open."),
        ("v2", "Say good morning", "Good morning."),
        ("v3", "Cheaper checkout", "Checkout now costs less."),
    ):
        page.write_text(news + "\n")
        if tag == "v3":
            settings.write_text(json.dumps({"checkout_error_rate": BAD_SHARE}) + "\n")
        _git(path, "add", "--all")
        _git(path, "commit", "--quiet", f"--message={subject}")
        _git(path, "tag", tag)
    make = (sys.executable, "build.py")
    return Repository(path, *(Revision(tag, make) for tag in ("v1", "v2", "v3")))


def any_repository(path: Path, first: str, good: str) -> Repository:
    """Somebody's own repository: its whole tree is deployed, with the example app beside it.

    There is no bad commit to be had, so the last build is ``good`` once more with the fault.
    """
    overlay = (sys.executable, str(Path(__file__).with_name("overlay.py")), str(example()))
    return Repository(
        path.absolute(),
        Revision(first, (*overlay, "0")),
        Revision(good, (*overlay, "0")),
        Revision(good, (*overlay, str(BAD_SHARE))),
    )


def _git(path: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Headway demo", "-c", "user.email=demo@localhost")
    plain = ("-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false", "-c", "core.hooksPath=")
    done = subprocess.run(
        ["git", "-C", str(path), *identity, *plain, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InvalidInput(f"git {arguments[0]} failed: {done.stderr.strip()}")
