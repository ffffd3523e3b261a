"""What the server's configuration gives: credentials, announcers, memory, a provider."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from headway.announce.github import GitHubAnnouncer, GitHubPlace
from headway.announce.grafana import GrafanaAnnouncer
from headway.announce.graphite import Graphite, GraphiteAnnouncer
from headway.announce.port import Announcer
from headway.announce.secret import read_token
from headway.announce.webhook import WebhookAnnouncer, read_secret
from headway.errors import InvalidInput
from headway.forge.github import API as GITHUB_API
from headway.guard.sources.http import Credentials
from headway.guard.sources.opening import Secret
from headway.server.auth.oidc import Provider
from headway.server.config import CredentialSettings, ForgeKind, ServerConfig

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
    places = (*config.webhooks, *config.grafana, *config.graphite, *config.github)
    for what, names in (
        ("place to announce to", [place.name for place in places]),
        ("entry of credentials", [entry.name for entry in config.credentials]),
    ):
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput(f"the {what} {name} is there twice")
    scheme = "https" if config.tls_certificate else "http"
    return Supplies(
        tuple(_announcers(config)),
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


def _announcers(config: ServerConfig) -> Iterator[Announcer]:
    for hook in config.webhooks:
        yield WebhookAnnouncer(hook, read_secret(hook.secret))
    for grafana in config.grafana:
        yield GrafanaAnnouncer(grafana, read_token(grafana.token, "Grafana token"))
    for graphite in config.graphite:
        yield GraphiteAnnouncer(graphite, _password(graphite))
    for place in config.github:
        yield _github(config, place)


def _password(place: Graphite) -> str:
    if (place.user is None) != (place.password is None):
        raise InvalidInput(f"graphite {place.name}: give user and password, or neither")
    return read_token(place.password, "password") if place.password is not None else ""


def _github(config: ServerConfig, place: GitHubPlace) -> Announcer:
    forge = config.forges.get(place.forge)
    if forge is None or forge.kind is not ForgeKind.GITHUB or forge.token_file is None:
        raise InvalidInput(
            f'github {place.name}: its forge "{place.forge}" must be one of `forges`, '
            "of kind github, with a token_file"
        )
    token = read_token(forge.token_file, "GitHub token")
    return GitHubAnnouncer(place, token, forge.api or GITHUB_API)


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
