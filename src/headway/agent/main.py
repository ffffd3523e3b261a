"""The agent's process: one per node, with one worker thread per app."""

import fcntl
import os
import random
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from headway import __version__
from headway.agent import log as logging
from headway.agent import scrape
from headway.agent.config import AgentConfig, load
from headway.agent.durable import storing
from headway.agent.log import log
from headway.agent.reporting import Counters, Reporter
from headway.agent.worker import Source, Worker
from headway.builds.fetch import Fetcher
from headway.builds.storage import Storage
from headway.builds.storage import open as open_storage
from headway.errors import HeadwayError, InvalidInput, Refused
from headway.model.report import Enrolment, Report
from headway.model.signal import record_key, signal_key
from headway.signals.hub_client import HubClient
from headway.signals.port import Link
from headway.signing import Trust

_FAREWELL = 30.0
"""How long, in seconds, a switch that has begun may take to finish when the agent is stopped."""
_LAST_WORD = 3.0
"""How long the last report may take."""


def run(config_path: Path) -> None:
    """Be the agent of this node until SIGTERM or SIGINT; the apps keep running.

    It belongs on the main thread, which alone hears signals.

    Raises InvalidInput for a configuration that cannot be used, and Refused when another agent
    serves the same root.
    """
    config = load(config_path)
    token = _token(config.token_file)
    link = _link(config, token)
    storage = open_storage(f"{config.server.rstrip('/')}/v1/store", token)
    fetcher = Fetcher(storage, Trust.load(config.trust.build))
    logging.start()
    with _alone(config.root), _among_peers(config, token, storage, fetcher) as source:
        agent = Agent(config, link, source)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        agent.run()


class Agent:
    """All the threads of one node's agent."""

    def __init__(self, config: AgentConfig, link: Link, source: Source) -> None:
        self._config = config
        self._link = link
        self._stopped = threading.Event()
        self._boot = uuid.uuid4().hex
        self._seq = 0
        for app in config.apps:
            for text in app.metrics.counters.values() if app.metrics else ():
                scrape.selector(text)
        self._counters = Counters(config.apps, config.report_every)
        self._reporter = Reporter(link, self._reports)
        trust = Trust.load(config.trust.release)
        rate = config.scrub.megabytes_per_second / len(config.apps)
        self._workers = {
            app.name: Worker(
                node=config.node,
                app=app,
                root=config.root,
                source=source,
                trust=trust,
                scrub=structs.replace(config.scrub, megabytes_per_second=rate),
                tell=self._reporter.tell,
            )
            for app in config.apps
        }

    def run(self) -> None:
        """Work until interrupted."""
        log.info("started", extra={"node": self._config.node, "version": __version__})
        workers = [_thread(worker.run) for worker in self._workers.values()]
        reporting = _thread(self._reporter.run)
        listening = _thread(self._listen)
        counting = _thread(lambda: self._counters.run(self._reporter.tell))
        try:
            for thread in (*workers, reporting, listening, counting):
                thread.start()
            self._stopped.wait()
        except KeyboardInterrupt:
            self._stopped.set()
        for worker in self._workers.values():
            worker.stop()
        self._counters.stop()
        self._link.close()
        for thread in workers:
            thread.join(_FAREWELL)
        self._reporter.stop()
        reporting.join(_LAST_WORD)
        log.info("stopped", extra={"node": self._config.node})

    def _listen(self) -> None:
        """Enrol, then hand every update to whom it concerns."""
        self._enrol()
        for update in self._link.watch(tuple(self._workers)):
            if not update.key:
                state = "connected" if update.connected else "disconnected"
                log.info(state, extra={"why": update.why} if update.why else {})
                self._reporter.tell()
            for name, worker in self._workers.items():
                if update.key in {signal_key(name), record_key(self._config.node)}:
                    worker.offer(update.key, update.value)

    def _enrol(self) -> None:
        tiers = {app.name: app.tier for app in self._config.apps}
        enrolment = Enrolment(self._config.node, self._config.zone, tiers, __version__)
        failures = 0
        while not self._stopped.is_set():
            try:
                self._link.enrol(enrolment)
            except HeadwayError as error:
                log.warning("cannot enrol yet", extra={"error": error.sentence})
                failures = min(failures + 1, 6)
                self._stopped.wait(random.uniform(0, 0.5 * 2**failures))  # noqa: S311
            else:
                return

    def _reports(self) -> tuple[Report, ...]:
        self._seq += 1
        return tuple(
            worker.report(self._boot, self._seq, self._counters.of(name))
            for name, worker in self._workers.items()
        )


@contextmanager
def _among_peers(
    config: AgentConfig, token: str, storage: Storage, origin: Fetcher
) -> Iterator[Source]:
    """Where builds come from, with the node's door open to its peers if it is to have one."""
    settings = config.peers
    if settings is None:
        yield origin
        return
    # Most agents have no peers, and do without a server's code.
    from headway.agent.peers import PeerFetcher  # noqa: PLC0415
    from headway.agent.serving import Serving  # noqa: PLC0415

    serving = Serving(
        settings.listen,
        config.root,
        [app.name for app in config.apps],
        Trust.load(config.trust.release),
        connections=settings.connections,
        rate=settings.megabytes_per_second * 1e6,
    )
    serving.start()
    try:
        yield PeerFetcher(
            origin,
            storage,
            HubClient(config.server, token, node=config.node),
            address=serving.address,
            above=int(settings.above_megabytes * 1e6),
            patience=settings.patience,
        )
    finally:
        serving.stop()


def _link(config: AgentConfig, token: str) -> Link:
    if config.store is None:
        return HubClient(config.servers or (config.server,), token, node=config.node)
    from headway.signals.direct import DirectLink  # noqa: PLC0415 — asyncio, where it is needed

    return DirectLink(config.store, config.node)


def _thread(target: Callable[[], None]) -> threading.Thread:
    # A thread that hangs in somebody else's server must not keep the process.
    return threading.Thread(target=target, daemon=True)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the lock of a root. Raises Refused when another agent has it."""
    with storing(f"setting up {root}"):
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(root / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            raise Refused(
                f"another agent (process {owner}) serves {root} already; stop it first"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def _token(path: Path) -> str:
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the token file {path} cannot be read: {error}") from None
    if not token.isprintable() or not token:
        raise InvalidInput(f"the token file {path} holds no token")
    return token
