"""Where the train is talked about: one channel of one network, for one app."""

from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from headway.model.names import Name, Seconds


class KnownBy(StrEnum):
    """What tells people on IRC from each other."""

    SESSION = "session"
    """Nick, user and host, until they leave or Headway's connection breaks off; then they link
    their account again."""
    HOST = "host"
    """Nick, user and host, for good: for a server that lets in only who has proved who they are."""
    ACCOUNT = "account"
    """The network's own accounts (IRCv3 ``account-tag``)."""


class IrcSettings(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="irc"):
    """A channel on IRC."""

    app: Name
    """The app whose train is talked about."""
    server: str
    """The server's host and port: ``irc.example.org:6697``."""
    channel: str
    """The channel: ``#push``."""
    nick: str = "headway"
    """What Headway is called there."""
    name: Name = "irc"
    """What the network is called in links of accounts; another one for each network."""
    tls: bool = True
    """Whether the connection is encrypted, and the server's certificate checked."""
    tls_trust: Path | None = None
    """The certificates that the server's is checked against; without it, the system's."""
    password_file: Path | None = None
    """A file with the server's password."""
    sasl_user: str = ""
    """The account that Headway signs in with (SASL PLAIN)."""
    sasl_password_file: Path | None = None
    """A file with that account's password."""
    channel_key_file: Path | None = None
    """A file with the channel's key."""
    known_by: KnownBy = KnownBy.SESSION
    """What tells people there from each other, and how long a link of theirs lasts."""
    pace: Seconds = 1.0
    """How many seconds pass between two lines, once a few have been said."""


class SlackSettings(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="slack"):
    """A channel on Slack, over Socket Mode: Slack needs no way in. Takes headway[slack]."""

    app: Name
    """The app whose train is talked about."""
    channel: str
    """The channel's id: ``C0123456789``."""
    bot_token_file: Path
    """A file with the bot's token, ``xoxb-…``."""
    app_token_file: Path
    """A file with the app-level token, ``xapp-…``, for ``connections:write``."""
    name: Name = "slack"
    """What the workspace is called in links of accounts; another one for each workspace."""
    api: str = "https://slack.com/api/"
    """The address of Slack's web API."""
    pace: Seconds = 1.0
    """How many seconds pass between two messages."""


ChatSettings = IrcSettings | SlackSettings
