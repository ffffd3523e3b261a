"""Logging to standard error, one line per event: time, level, what happened, key=value pairs."""

import json
import logging
import re
import sys
import time

log = logging.getLogger("headway.agent")

_PLAIN = re.compile(r"[^\s\"=\x00-\x1f\x7f-\x9f]+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class KeyValue(logging.Formatter):
    """A record as one line; whatever a value holds, it cannot begin a second one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        pairs = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            pairs["trace"] = self.formatException(record.exc_info)
        words = [f"{stamp}.{int(record.msecs):03}Z", record.levelname.lower()]
        words.append(_quote(record.getMessage()))
        return " ".join(words + [f"{key}={_quote(str(value))}" for key, value in pairs.items()])


def start() -> None:
    """Send the agent's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(KeyValue())
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


def _quote(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
