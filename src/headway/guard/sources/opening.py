"""Opens the source that an app's configuration describes."""

from collections.abc import Mapping

from msgspec import Struct

from headway.errors import InvalidInput
from headway.guard.sources.graphite import Graphite
from headway.guard.sources.http import Asking, Credentials
from headway.guard.sources.port import Source
from headway.guard.sources.prometheus import Prometheus
from headway.model.source import GraphiteSource, SourceConfig


class Secret(Struct, frozen=True):
    """Credentials, and the address below which alone they are sent."""

    url: str
    credentials: Credentials


def open_source(config: SourceConfig, secrets: Mapping[str, Secret]) -> Source:
    """The source. Raises InvalidInput where its credentials are not there, or not for it."""
    credentials = Credentials()
    if config.credentials is not None:
        secret = secrets.get(config.credentials)
        if secret is None:
            raise InvalidInput(
                f"the source {config.name} names credentials {config.credentials}; the server's"
                f" configuration has {', '.join(sorted(secrets)) or 'none'}"
            )
        if not _below(config.url, secret.url):
            raise InvalidInput(
                f"the credentials {config.credentials} are for {secret.url}, not for {config.url}"
            )
        credentials = secret.credentials
    asking = Asking(config.url, config.timeout, config.headers, credentials)
    return Graphite(asking) if isinstance(config, GraphiteSource) else Prometheus(asking)


def _below(url: str, allowed: str) -> bool:
    allowed = allowed.rstrip("/")
    return url.rstrip("/") == allowed or url.startswith(allowed + "/")
