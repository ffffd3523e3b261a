"""What an operator configures."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from headway.announce.github import GitHubPlace
from headway.announce.grafana import Grafana
from headway.announce.graphite import Graphite
from headway.announce.webhook import Webhook
from headway.chat.settings import ChatSettings
from headway.model.names import Name
from headway.model.source import Address
from headway.model.views import CollectRequest, RepackRequest
from headway.server.turnstile import LimitSettings

Hour = Annotated[int, Meta(ge=0, le=23)]


class UpkeepSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """When every app's packs are merged, and what nothing needs any more is removed.

    What a node, a signal, a pin or the revert window needs always stays.
    """

    hours: Annotated[tuple[Hour, ...], Meta(min_length=1)] = (3,)
    """The hours of the day, in UTC, at which a round begins: 3 is three o'clock."""
    packs: Annotated[int, Meta(ge=1)] = RepackRequest().most
    """How many packs a fresh node may have to read for the newest build before they are merged."""
    keep: Annotated[int, Meta(ge=1, le=1000)] = CollectRequest().keep
    """How many of the newest builds stay in any case."""
    days: Annotated[float, Meta(ge=1)] = CollectRequest().days
    """Builds of so many days stay in any case."""


class CredentialSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What proves to a source of metrics who asks; apps name it, and never see it."""

    name: Name
    """What apps call it."""
    url: Address
    """The address below which alone it is sent."""
    bearer: Path | None = None
    """The file with a bearer token."""
    user: str | None = None
    """The user's name, for basic authentication."""
    password: Path | None = None
    """The file with the user's password."""


class ForgeKind(StrEnum):
    """What a forge speaks."""

    GITHUB = "github"
    """GitHub, or GitHub Enterprise."""
    GITLAB = "gitlab"
    """GitLab."""


class ForgeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A forge, and the secrets for it; apps name it in their ``releases``."""

    kind: ForgeKind
    """What it speaks."""
    api: Annotated[str, Meta(pattern=r"\Ahttps?://")] | None = None
    """The address of its API; without it, that of github.com or gitlab.com."""
    token_file: Path | None = None
    """The file with the token that reads pull requests, and opens those for reverts."""
    webhook_secret_file: Path | None = None
    """The file with the secret that its webhooks are signed with; without it none is accepted."""
    git: Annotated[str, Meta(pattern=r"\Ahttps?://[^\s]+/\Z")] | None = None
    """The beginning of the repositories' addresses, with a ``/`` at its end, to which git sends
    the token as well; without it, git uses what the server's user has set up."""


PersonsRole = Literal["viewer", "deployer", "admin"]


class SignInSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How long people stay signed in."""

    idle_hours: Annotated[float, Meta(gt=0)] = 12.0
    """A session ends when no page was opened in it for so long."""
    hours: Annotated[float, Meta(gt=0)] = 72.0
    """A session ends after so long in any case."""


class OidcSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A provider of OpenID Connect that people sign in with.

    It must send people back to `/sign-in/return` below `public_url`.
    """

    issuer: Annotated[str, Meta(pattern=r"\Ahttps?://[^\s?#@]+\Z")]
    """The provider's address, as it calls itself; https, unless it runs on this host."""
    client_id: Annotated[str, Meta(min_length=1)]
    """What the provider calls Headway."""
    client_secret_file: Path | None = None
    """The file with the secret that proves to the provider that it is Headway who asks."""
    title: Annotated[str, Meta(min_length=1, max_length=40)] = "single sign-on"
    """What people call the provider: the button says *Sign in with TITLE*."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    """What Headway asks the provider to tell."""
    name_claim: str = "preferred_username"
    """The claim with the name that somebody gets at the first sign-in, and keeps."""
    groups_claim: str = "groups"
    """The claim with somebody's groups; `a.b` is the claim `b` in the claim `a`."""
    roles: dict[str, PersonsRole] = {}
    """The role that each group gives; of several, the highest counts."""
    default_role: PersonsRole | None = None
    """The role of people without such a group; without it, they are refused."""
    email_domains: tuple[str, ...] = ()
    """If given, only people with a verified e-mail address in one of these domains come in."""


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The server's configuration file.

    Without ``release_key`` and ``build_trust`` the keys in ``data/keys`` are used, and made at
    the first start.
    """

    data: Path
    """The directory that everything lies in; all that is needed."""
    listen: str = "127.0.0.1:8700"
    """An address and port; port 0 takes a free one."""
    release_key: Path | None = None
    """The private key that signs signals and records; without it, ``data/keys/release.key``."""
    build_trust: tuple[Path, ...] = ()
    """The public keys that builds may be signed with; without them, ``data/keys/build.key.pub``."""
    signal_trust: tuple[Path, ...] = ()
    """Further public keys whose signals in the store count, for example the last release key."""
    log: str = "info"
    """``debug``, ``info`` or ``warning``."""
    artifacts: str | None = None
    """Where builds are published, a directory or ``s3://BUCKET/PREFIX``; without it,
    ``data/artifacts``."""
    upkeep: UpkeepSettings | None = None
    """When to tidy up by itself; without this table, only when told (``headway build gc``)."""
    store: str | None = None
    """The URL of a signal store on Consul, etcd or ZooKeeper; without it, the embedded one in
    ``data/signals.db``. Of two control planes on one store only one acts."""
    direct: bool = False
    """Whether agents that watch such a store themselves are heard there too."""
    public_url: str | None = None
    """Where people reach the cockpit, for links in what is announced; without it, ``listen``."""
    webhooks: tuple[Webhook, ...] = ()
    """Where alerts, pauses, reverts, and all that begins and ends are announced."""
    grafana: tuple[Grafana, ...] = ()
    """Where rollouts become annotations."""
    graphite: tuple[Graphite, ...] = ()
    """Where rollouts become events."""
    github: tuple[GitHubPlace, ...] = ()
    """Where rollouts become deployments."""
    credentials: tuple[CredentialSettings, ...] = ()
    """What proves to sources of metrics who asks."""
    statsd: str | None = None
    """An address and UDP port on which counters are heard by StatsD; anybody who reaches it can
    write, so it should be a private one."""
    history_days: Annotated[float, Meta(ge=0, le=400)] = 15.0
    """For how many days the built-in counters are kept, in slots of five minutes: what daily and
    weekly peaks are known by."""
    tls_certificate: Path | None = None
    """The certificate, with its chain, if everything is to be served over TLS."""
    tls_key: Path | None = None
    """The private key of the certificate, where that is in a file of its own."""
    forges: dict[Name, ForgeSettings] = {}
    """The forges that apps may name."""
    limits: LimitSettings = LimitSettings()
    """How often the API and the cockpit may be asked."""
    smoke_programs: tuple[str, ...] = ()
    """The programs that smoke tests may run on this host, by their absolute paths. They run as the
    server's user, so name what an app's admin may do there, and no interpreter."""
    chat: tuple[ChatSettings, ...] = ()
    """Where trains are talked about: a channel of a network for each."""
    sign_in: SignInSettings = SignInSettings()
    """How long people stay signed in."""
    oidc: OidcSettings | None = None
    """The provider that people sign in with, beside passwords and tokens."""
