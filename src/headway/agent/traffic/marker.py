"""Asking for no more traffic: by a file that others look for, or over HTTP."""

import time

from headway.agent.probe import ask
from headway.agent.strategies import FileTraffic, UrlTraffic
from headway.errors import HookFailed, Unreachable


class DrainFile:
    """A file that is there while the instance is to get no traffic."""

    def __init__(self, how: FileTraffic) -> None:
        self._how = how

    def close(self) -> str:
        """See ``Door``."""
        try:
            self._how.path.touch()
        except OSError as error:
            raise HookFailed(f"{self._how.path} cannot be made: {error.strerror}") from None
        time.sleep(self._how.wait)
        return ""

    def open(self) -> None:
        """See ``Door``."""
        try:
            self._how.path.unlink(missing_ok=True)
        except OSError as error:
            raise HookFailed(f"{self._how.path} cannot be removed: {error.strerror}") from None

    def release(self) -> None:
        """See ``Door``."""
        self.open()


class DrainUrl:
    """Two addresses, one to be asked for no traffic and one for traffic again."""

    def __init__(self, how: UrlTraffic) -> None:
        self._how = how

    def close(self) -> str:
        """See ``Door``."""
        self._ask(self._how.drain)
        time.sleep(self._how.wait)
        return ""

    def open(self) -> None:
        """See ``Door``."""
        self._ask(self._how.undrain)

    def release(self) -> None:
        """See ``Door``."""
        self.open()

    def _ask(self, url: str) -> None:
        try:
            status, _ = ask(self._how.method, url)
        except Unreachable as error:
            raise HookFailed(error.sentence) from None
        if status // 100 != 2:
            raise HookFailed(f"{self._how.method} {url} answers {status}, expected a 2xx")
