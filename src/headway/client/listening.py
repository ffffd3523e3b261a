"""Looking at something of an app again whenever there is news of it, through every break."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from headway.client import events
from headway.client.api import Client
from headway.client.events import Disconnected
from headway.errors import HeadwayError

T = TypeVar("T")

PACE_SECONDS = 0.25
"""The shortest time between two looks."""

QUIET_SECONDS = 5.0
"""How long nobody looks while there is no news. Each look is a sign of life, too."""

RESPITE = 3.0
"""After each look so many times as long as it took belong to everybody else."""

MOST_RESPITE_SECONDS = 3.0
"""But no longer than this: one that hung must not keep the next from telling that all is well."""

REFUSED_SECONDS = 10.0
"""About how long after a stream that was refused another is asked for."""


class Listener:
    """Hears of news of one app, in a thread of its own, until it is closed."""

    def __init__(self, client: Client, app: str) -> None:
        self._client, self._app = client, app
        self._news = threading.Event()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name=f"news of {app}", daemon=True).start()

    @property
    def closed(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self._closed.is_set()

    def wait(self, seconds: float) -> None:
        """Return as soon as there is news, or after ``seconds``."""
        self._news.wait(seconds)
        self._news.clear()

    def rest(self, seconds: float) -> None:
        """Return after ``seconds``, whatever happens meanwhile, unless it is closed."""
        self._closed.wait(seconds)

    def wake(self) -> None:
        """End a ``wait`` as if there were news."""
        self._news.set()

    def close(self) -> None:
        """Hear no more; the thread ends with its connection."""
        self._closed.set()
        self._news.set()

    def _run(self) -> None:
        last = -1
        while not self._closed.is_set():
            try:
                if last < 0:
                    newest = self._client.journal(limit=1)
                    last = newest[-1].seq if newest else 0
                    self._news.set()
                for happening in events.follow(self._client, last):
                    if self._closed.is_set():
                        return
                    # What has broken off is looked at, too: it tells at once that all is lost.
                    if isinstance(happening, Disconnected) or happening.app == self._app:
                        self._news.set()
            except HeadwayError:
                self._news.set()
            except Exception:
                if not self._closed.is_set():
                    raise
            self._closed.wait(random.uniform(0.5, 1.5) * REFUSED_SECONDS)  # noqa: S311 - jitter


def looks(
    listener: Listener, look: Callable[[], T], quiet: float = QUIET_SECONDS
) -> Iterator[T | HeadwayError]:
    """What ``look`` sees, or why it sees nothing: at once, and again whenever there is news.

    At most four times in a second, at least every ``quiet`` seconds, until the listener is closed.
    """
    while not listener.closed:
        began = time.monotonic()
        try:
            seen: T | HeadwayError = look()
        except HeadwayError as error:
            seen = error
        took = time.monotonic() - began
        yield seen
        listener.rest(max(PACE_SECONDS, min(RESPITE * took, MOST_RESPITE_SECONDS)))
        listener.wait(quiet)
