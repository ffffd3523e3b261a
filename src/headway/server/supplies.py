"""What the server's configuration gives: credentials, announcers, memory, a provider."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from headway.announce.port import Announcer
from headway.announce.webhook import WebhookAnnouncer, read_secret
from headway.errors import InvalidInput
from headway.guard.sources.http import Credentials
from headway.guard.sources.opening import Secret
from headway.server.auth.oidc import Provider
from headway.server.config import CredentialSettings, ServerConfig

DAY = 86_400.0


class Supplies(Struct, frozen=True):
    """All of it; ``history`` in seconds, ``statsd`` as (address, port)."""

    announcers: Sequence[Announcer] = ()
    public_url: str = "http://127.0.0.1:8700"
    secrets: Mapping[str, Secret] = {}
    history: float = 15 * DAY
    statsd: tuple[str, int] | None = None


def supplies(config: ServerConfig) -> Supplies:
    """Read the files that the configuration names. Raises InvalidInput."""
    for what, names in (
        ("webhook", [webhook.name for webhook in config.webhooks]),
        ("entry of credentials", [entry.name for entry in config.credentials]),
    ):
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput(f"the {what} {name} is there twice")
    scheme = "https" if config.tls_certificate else "http"
    return Supplies(
        tuple(WebhookAnnouncer(hook, read_secret(hook.secret)) for hook in config.webhooks),
        config.public_url or f"{scheme}://{config.listen}",
        {entry.name: Secret(entry.url, _credentials(entry)) for entry in config.credentials},
        config.history_days * DAY,
        _address(config.statsd) if config.statsd else None,
    )


def provided(config: ServerConfig, public_url: str, clock: Callable[[], float]) -> Provider | None:
    """The provider that people sign in with, if there is one. Raises InvalidInput."""
    if config.oidc is None:
        return None
    file = config.oidc.client_secret_file
    back = public_url.rstrip("/") + "/sign-in/return"
    return Provider(config.oidc, _read(file) if file else "", back, clock)


def _credentials(entry: CredentialSettings) -> Credentials:
    if (entry.bearer is None) == (entry.user is None) or (entry.user is None) != (
        entry.password is None
    ):
        raise InvalidInput(f"credentials {entry.name}: give a bearer, or user and password")
    return Credentials(
        bearer=_read(entry.bearer) if entry.bearer else None,
        user=entry.user,
        password=_read(entry.password) if entry.password else "",
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from None


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise InvalidInput(f"statsd = {text!r} is no address and port, such as 127.0.0.1:8125")
    return host.strip("[]"), int(port)
