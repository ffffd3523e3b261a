"""Handing in reports: at every change and at least every few seconds, the newest per app only."""

import random
import threading
from collections.abc import Callable

from headway.agent import scrape
from headway.agent.config import AppSettings
from headway.agent.log import log
from headway.errors import HeadwayError, Unreachable
from headway.model.report import Report
from headway.signals.port import Link

_RETRY_FIRST = 0.5
_RETRY_LAST = 15.0


class Counters:
    """The counters of each app, as last scraped."""

    def __init__(self, apps: tuple[AppSettings, ...], every: float) -> None:
        self._apps = [(app.name, app.metrics) for app in apps if app.metrics is not None]
        self._every = every
        self._stopped = threading.Event()
        self._latest: dict[str, dict[str, float]] = {}

    def of(self, app: str) -> dict[str, float]:
        """What the app has counted; empty while it does not answer."""
        return self._latest.get(app, {})

    def run(self, tell: Callable[[], None]) -> None:
        """Scrape every app again and again, and ``tell`` after each round."""
        while not self._stopped.is_set():
            for name, metrics in self._apps:
                try:
                    self._latest[name] = scrape.scrape(metrics)
                except Unreachable:
                    self._latest.pop(name, None)
            tell()
            self._stopped.wait(self._every)

    def stop(self) -> None:
        """End ``run``."""
        self._stopped.set()


class Reporter:
    """Sends what ``collect`` returns whenever there is news, until it has been taken."""

    def __init__(self, link: Link, collect: Callable[[], tuple[Report, ...]]) -> None:
        self._link = link
        self._collect = collect
        self._news = threading.Event()
        self._stopped = threading.Event()

    def tell(self) -> None:
        """There is something new to report."""
        self._news.set()

    def stop(self) -> None:
        """End ``run`` after one last report."""
        self._stopped.set()
        self._news.set()

    def run(self) -> None:
        """Report until stopped."""
        failures = 0
        while not self._stopped.is_set():
            self._news.wait()
            self._news.clear()
            try:
                self._link.report(self._collect())
                failures = 0
            except HeadwayError as error:
                if failures == 0:
                    log.warning("reports are not taken", extra={"error": error.sentence})
                failures = min(failures + 1, 10)
                self._news.set()
                most = min(_RETRY_LAST, _RETRY_FIRST * 2**failures)
                self._stopped.wait(random.uniform(0, most))  # noqa: S311
