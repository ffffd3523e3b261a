"""The demo's story: a first build goes live, a good one follows, a bad one is sent back."""

import math
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from headway.client.api import Client
from headway.client.events import follow
from headway.demo.children import Children, headway, run
from headway.demo.load import Target, Totals
from headway.demo.site import (
    APP,
    REQUESTS_PER_SECOND,
    USERS,
    DemoNode,
    Repository,
    Revision,
    agent_config,
    app_config,
    example,
    example_repository,
    free_ports,
    lay_out,
)
from headway.errors import HeadwayError, InvalidInput, RolloutFailed, Unreachable
from headway.model.journal import JournalEntry
from headway.model.rollout import LIVE, Phase
from headway.model.views import TokenRequest

Say = Callable[[str], None]

ALL_WELL = "all went as promised"

PATIENCE = 300.0
"""Seconds after which a rollout of the demo counts as stuck."""


class Outcome(msgspec.Struct, rename={"exit_reason": "exit reason"}):
    """What the demo measured. ``share_at_detection`` is of the nodes that serve users."""

    requests: int = 0
    failed_requests: int = 0
    torn_responses: int = 0
    deploy_seconds: float = 0.0
    reverted: bool = False
    share_at_detection: float = 1.0
    revert_seconds: float = 0.0
    exit_reason: str = "interrupted"

    def judge(self) -> None:
        """Say in ``exit_reason`` what did not go as promised."""
        shortcomings = [
            sentence
            for sentence, wrong in (
                (f"{self.failed_requests} requests failed", self.failed_requests > 0),
                (f"{self.torn_responses} responses were torn", self.torn_responses > 0),
                ("no request was made in the good deploy", self.requests == 0),
                ("the bad build was not reverted", not self.reverted),
                (
                    f"{self.share_at_detection:.0%} of the users' nodes had the bad build",
                    self.share_at_detection > 0.10,
                ),
            )
            if wrong
        ]
        self.exit_reason = "; ".join(shortcomings) or ALL_WELL


class Demo:
    """One run of the demo in a directory of its own."""

    def __init__(self, home: Path, port: int, say: Say, interrupts: "Interrupts") -> None:
        self._home = home
        self._interrupts = interrupts
        self._say = say
        self._server = f"http://127.0.0.1:{port}"
        self._port = port
        (home / "logs").mkdir()
        self._children = Children(home / "logs")
        self._nodes = lay_out(home)
        self._token = home / "control" / "admin.token"
        self._keys = home / "control" / "keys"
        self._totals = Totals()
        self.outcome = Outcome()

    def play(self, repository: Repository | None) -> None:
        """Play the whole story, with the example's repository where none is given.

        Raises HeadwayError where a process or a rollout fails it.
        """
        repository = repository or example_repository(self._home)
        self._start_control_plane()
        with Client(self._server, self._token.read_text().strip()) as client:
            self._client = client
            client.apply_app(app_config(self._nodes, repository.first))
            self._start_nodes()
            self._say(f"Cockpit: {self._server}/   (sign in with the token in {self._token})")
            self._rollout(repository, repository.first, "first", "a first build, to all at once")
            self._start_load()
            self._pause(3)
            before = self._totals
            rows = self._rollout(repository, repository.good, "default", "a good build")
            if rows[-1].changes.get("phase") != Phase.SUCCEEDED:
                raise RolloutFailed(f"the good build did not go live: {rows[-1].why}")
            self.outcome.deploy_seconds = round(rows[-1].at - rows[0].at, 2)
            self._pause(1)
            self._count(before)
            rows = self._rollout(repository, repository.bad, "default", "a bad build")
            self._measure_revert(rows)
            self.outcome.torn_responses = self._totals.torn
            self._say(f"$ headway why {APP}")
            for sentence in client.why(APP).sentences:
                self._say(f"  {sentence}")

    def stay(self) -> None:
        """Keep everything running until interrupted; raise when a process ends by itself."""
        while True:
            self._go_on()
            time.sleep(0.5)

    def stop(self) -> None:
        """End every process that was started."""
        self._children.stop()

    def _start_control_plane(self) -> None:
        self._say("Starting a control plane with an embedded signal store …")
        listen = f"127.0.0.1:{self._port}"
        data = str(self._token.parent)
        self._children.start("server", headway("server", "--data", data, "--listen", listen))
        self._wait("the control plane to answer", self._answers)

    def _answers(self) -> bool:
        try:
            with Client(self._server, "") as client:
                client.health()
        except HeadwayError:
            return False
        return True

    def _start_nodes(self) -> None:
        tiers = ", ".join(f"{count} {tier}" for tier, count in self._tier_sizes().items())
        self._say(f"Starting {len(self._nodes)} nodes: {tiers} …")
        for node in self._nodes:
            self._go_on()
            token = self._client.create_token(TokenRequest(node.name, "node")).token
            file = node.home / "token"
            file.touch(0o600)
            file.write_text(token)
            self._children.start(f"{node.name}-app", self._webapp(node))
            config = agent_config(node, self._server, self._keys)
            self._children.start(f"{node.name}-agent", headway("agent", "--config", str(config)))
        self._wait("all nodes to enrol", lambda: len(self._client.nodes()) == len(self._nodes))

    def _webapp(self, node: DemoNode) -> list[str]:
        return [
            *(sys.executable, str(example() / "server.py"), "--port", str(node.port)),
            *("--root", str(node.home / "root" / APP), "--pidfile", str(node.home / "webapp.pid")),
        ]

    def _start_load(self) -> None:
        rate = REQUESTS_PER_SECOND * len(self._nodes)
        self._say(f"Starting a load of {rate:.0f} requests/s over all nodes …")
        targets = [
            Target(n.url, ("/", "/checkout") if n.tier in USERS else ("/",), REQUESTS_PER_SECOND)
            for n in self._nodes
        ]
        load = self._children.start("load", [sys.executable, "-m", "headway.demo.load"])
        assert load.stdin is not None and load.stdout is not None  # noqa: S101
        load.stdin.write(msgspec.json.encode(targets).decode() + "\n")
        load.stdin.flush()
        threading.Thread(target=self._listen, args=(load.stdout,), daemon=True).start()

    def _listen(self, lines: Iterator[str]) -> None:
        for line in lines:
            self._totals = msgspec.json.decode(line, type=Totals)

    def _rollout(
        self, repository: Repository, revision: Revision, plan: str, what: str
    ) -> list[JournalEntry]:
        """Build and deploy a revision; the rollout's journal when it has ended."""
        self._client.apply_app(app_config(self._nodes, revision))
        newest = self._client.journal(limit=1)
        after = newest[-1].seq if newest else 0
        self._say(f"$ headway build make {revision.ref} --app {APP}")
        made = self._headway(
            "build", "make", revision.ref, "--repo", str(repository.path), "--app", APP
        )
        build = msgspec.json.decode(made)["id"]
        self._say(f"$ headway deploy {APP} {build[:12]} --plan {plan}     # {what}")
        reason = f"demo: {what}"
        self._headway("deploy", APP, build, "--plan", plan, "--reason", reason)
        return self._follow(after, time.monotonic() + PATIENCE)

    def _follow(self, after: int, deadline: float) -> list[JournalEntry]:
        """Tell what happens, until the rollout has ended."""
        rows: list[JournalEntry] = []
        for happening in follow(self._client, after):
            self._go_on()
            if isinstance(happening, JournalEntry) and happening.rollout:
                rows.append(happening)
                self._say(f"  {happening.why}")
                phase = happening.changes.get("phase")
                if phase is not None and phase not in LIVE:
                    return rows
            if time.monotonic() > deadline:
                raise RolloutFailed(f"stuck: {rows[-1].why if rows else 'nothing happened'}")
        raise Unreachable("the control plane has gone")

    def _count(self, before: Totals) -> None:
        now = self._totals
        self.outcome.requests = now.requests - before.requests
        self.outcome.failed_requests = now.failed - before.failed
        self._say(
            f"good deploy: {self.outcome.deploy_seconds:.1f} s, {self.outcome.requests} requests,"
            f" {self.outcome.failed_requests} failed, {now.torn} torn"
        )
        if self.outcome.failed_requests:
            self._say(f"  reasons: {now.reasons}")

    def _measure_revert(self, rows: list[JournalEntry]) -> None:
        turn = next((i for i, r in enumerate(rows) if r.changes.get("phase") == "reverting"), None)
        if turn is None or rows[-1].changes.get("phase") != Phase.REVERTED:
            return
        self.outcome.reverted = True
        self.outcome.revert_seconds = round(rows[-1].at - rows[turn].at, 2)
        fractions: dict[str, float] = {}
        for row in rows[:turn]:
            fractions = row.changes.get("fractions", fractions)
        sizes = self._tier_sizes()
        covered = sum(math.ceil(fractions.get(tier, 0.0) * sizes[tier]) for tier in USERS)
        share = covered / sum(sizes[tier] for tier in USERS)
        self.outcome.share_at_detection = round(share, 4)
        self._say(
            f"reverted in {self.outcome.revert_seconds:.1f} s;"
            f" {share:.1%} of the users' nodes had the bad build"
        )

    def _headway(self, *arguments: str) -> str:
        env = {
            "HEADWAY_SERVER": self._server,
            "HEADWAY_TOKEN_FILE": str(self._token),
            "HEADWAY_BUILD_KEY": str(self._keys / "build.key"),
        }
        return run(headway(*arguments, "--json"), env, self._go_on)

    def _tier_sizes(self) -> dict[str, int]:
        tiers = [node.tier for node in self._nodes]
        return {tier: tiers.count(tier) for tier in dict.fromkeys(tiers)}

    def _go_on(self) -> None:
        """Raise when a process has ended by itself, or somebody wants the demo to."""
        self._interrupts.check()
        if sentence := self._children.dead():
            raise Unreachable(sentence)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._go_on()
            time.sleep(0.1)

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not done():
            self._go_on()
            if time.monotonic() > deadline:
                raise Unreachable(f"waited 60 s in vain for {what}")
            time.sleep(0.2)


class Interrupts:
    """Ctrl-C and SIGTERM are noted, and raised as KeyboardInterrupt where ``check`` is called.

    Raised at once, they could strike inside a fork or a finalizer, be lost, or leave a process
    that nobody knows of. Whoever asks twice is obeyed at once all the same.
    """

    def __init__(self) -> None:
        self._asked = False
        self._stopping = False

    def listen(self) -> None:
        """Take over both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def check(self) -> None:
        """Raise KeyboardInterrupt if either signal has come."""
        if self._asked:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        """From now on nothing interrupts the cleaning up."""
        self._stopping = True

    def _hear(self, *_: object) -> None:
        if self._asked and not self._stopping:
            raise KeyboardInterrupt
        self._asked = True


@contextmanager
def demo(home: Path | None, port: int | None, say: Say) -> Iterator[Demo]:
    """A demo in ``home``, or in a temporary directory; no process of it is left behind."""
    interrupts = Interrupts()
    interrupts.listen()
    with _place(home) as directory:
        running = Demo(directory, port or free_ports(1)[0], say, interrupts)
        try:
            yield running
        finally:
            interrupts.ignore()
            running.stop()


@contextmanager
def _place(home: Path | None) -> Iterator[Path]:
    if home is None:
        with tempfile.TemporaryDirectory(prefix="headway-demo-") as directory:
            yield Path(directory)
        return
    try:
        home.mkdir(parents=True)
    except OSError as error:
        raise InvalidInput(f"{home} cannot be made: {error.strerror}; name a new one") from None
    yield home.absolute()
