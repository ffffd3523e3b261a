"""What every process does first that holds the connections of a fleet."""

import contextlib
import gc
import logging
import os
import resource
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import structlog

from headway.errors import InvalidInput, Refused
from headway.signals.hub_server import BACKLOG

GC_THRESHOLD = 50_000
"""Objects made before the garbage collector looks at the young ones: with the default of 700 it
stops the process for near a second while ten thousand nodes are told."""


def address(listen: str) -> tuple[str, int]:
    """Host and port of ``ADDRESS:PORT``. Raises InvalidInput."""
    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise InvalidInput(f'listen must be ADDRESS:PORT, not "{listen}"')
    return host.removeprefix("[").removesuffix("]"), int(port)


def say_ready(what: str, listener: socket.socket, secure: bool) -> None:
    """Tell on standard output, for whoever started the process, where it serves."""
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    scheme = "https" if secure else "http"
    sys.stdout.write(f"headway {what} is ready at {scheme}://{name}:{port}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def bound(listen: str) -> Iterator[socket.socket]:
    """A socket that listens at ``ADDRESS:PORT``. Raises InvalidInput or Refused."""
    host, port = address(listen)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        raise InvalidInput(f'there is no address "{host}" to listen on: {error}') from None
    except OSError as error:
        raise Refused(
            f"cannot listen on {listen}: {os.strerror(error.errno or 0)}; is it taken?"
        ) from None
    with listener:
        yield listener


def make_room() -> None:
    """Ten thousand nodes are ten thousand open files, and no reason to collect garbage often."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.set_threshold(GC_THRESHOLD, 50, 100)


def log_to_stderr(level: str) -> None:
    """Log as lines of JSON. Raises InvalidInput for a level that there is not."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise InvalidInput(f'log must be debug, info or warning, not "{level}"')
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """How to serve over TLS, where there is a certificate. Raises InvalidInput."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"the certificate {certificate} cannot be used: {error}") from None
    return context
