"""The tables of the control plane's database.

Values of the model are kept whole, as JSON, in one column; what is searched or ordered by has a
column of its own beside it.
"""

from typing import Any

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from headway.guard.fire import Fire
from headway.guard.record import Settings
from headway.model.announcement import Announcement
from headway.model.build import Build
from headway.model.hold import Hold
from headway.model.plan import AppConfig
from headway.model.release import Release, ReleaseEffect
from headway.model.report import Report
from headway.model.rollout import LIVE, Effect, Rollout
from headway.model.schedule import Frozen, Takeover
from headway.model.signal import NodeRecord
from headway.model.train import Train
from headway.model.verdict import Verdict


class Document(TypeDecorator[Any]):
    """A value of the model, stored as JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        # By the name of the parameter, SQLAlchemy tells the statements of one kind from another's.
        self.kind = kind
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        """The value as JSON."""
        return msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The JSON as a value."""
        return None if value is None else self._decoder.decode(value)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

apps = Table(
    "apps",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("config", Document(AppConfig), nullable=False),
    Column("changed_at", Float, nullable=False),
)

builds = Table(
    "builds",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("app", ForeignKey("apps.name"), nullable=False),
    Column("id", String(64), nullable=False),
    Column("published_at", Float, nullable=False),
    Column("document", Document(Build), nullable=False),
    UniqueConstraint("app", "id"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("enrolled_at", Float, nullable=False),
    Column("version", Text, nullable=False),
    Column("record", Document(NodeRecord), nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("node", String(128), primary_key=True),
    Column("app", String(63), primary_key=True),
    Column("received_at", Float, nullable=False),
    Column("report", Document(Report), nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("app", ForeignKey("apps.name"), nullable=False, index=True),
    Column("phase", String(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("state", Document(Rollout), nullable=False),
)

_live = rollouts.c.phase.in_(sorted(LIVE))
Index(
    "one_live_rollout_per_app",
    rollouts.c.app,
    unique=True,
    sqlite_where=_live,
    postgresql_where=_live,
)

journal = Table(
    "journal",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("app", String(63), nullable=False, index=True),
    Column("rollout", String(64), nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("why", Text, nullable=False),
    Column("changes", Document(dict[str, Any]), nullable=False),
    Column("release", String(80), nullable=False, index=True, server_default=""),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("app", ForeignKey("apps.name"), nullable=False, index=True),
    Column("rollout", String(64), nullable=False),
    Column("effect", Document(Effect | ReleaseEffect), nullable=False),
    Column("done_at", Float),
    Column("queue", String(16), nullable=False, server_default="rollout"),
    sqlite_autoincrement=True,
)

releases = Table(
    "releases",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("app", ForeignKey("apps.name"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Document(Release), nullable=False),
    UniqueConstraint("app", "number"),
)

heads = Table(
    "heads",
    metadata,
    Column("app", String(63), primary_key=True),
    Column("commit", String(64), primary_key=True),
    Column("release", ForeignKey("releases.id"), primary_key=True),
)

freezes = Table(
    "freezes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("app", ForeignKey("apps.name"), nullable=False, index=True),
    Column("freeze", Document(Frozen), nullable=False),
)

takeovers = Table(
    "takeovers",
    metadata,
    Column("app", ForeignKey("apps.name"), primary_key=True),
    Column("takeover", Document(Takeover), nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("mark", String(64), primary_key=True),
    Column("at", Float, nullable=False, index=True),
)

holds = Table(
    "holds",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("hold", Document(Hold), nullable=False),
    Column("at", Float, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),
    Column("issuer", Text),
    Column("subject", Text),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float),
    UniqueConstraint("issuer", "subject"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("name", String(128), nullable=False),
    Column("token", String(64), nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("address", String(64), nullable=False),
    Column("browser", String(200), nullable=False),
)

trains = Table(
    "trains",
    metadata,
    Column("app", ForeignKey("apps.name"), primary_key=True),
    Column("state", Document(Train), nullable=False),
)

chat_links = Table(
    "chat_links",
    metadata,
    Column("network", String(63), primary_key=True),
    Column("account", String(255), primary_key=True),
    Column("user", String(128), nullable=False),
    Column("at", Float, nullable=False),
)

chat_cursors = Table(
    "chat_cursors",
    metadata,
    Column("channel", String(255), primary_key=True),
    Column("seq", Integer, nullable=False),
)

guard_buckets = Table(
    "guard_buckets",
    metadata,
    Column("app", String(63), primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("build", String(64), primary_key=True),
    Column("begin", Float, primary_key=True, index=True),
    Column("sums", Document(dict[str, float]), nullable=False),
)

guard_slots = Table(
    "guard_slots",
    metadata,
    Column("app", String(63), primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("begin", Float, primary_key=True, index=True),
    Column("sums", Document(dict[str, float]), nullable=False),
)

guard_records = Table(
    "guard_records",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("app", String(63), nullable=False, index=True),
    Column("began", Float, nullable=False),
    Column("settings", Document(Settings), nullable=False),
    Column("latest", Document(tuple[Verdict, ...]), nullable=False),
    Column("befores", LargeBinary),
)

guard_chunks = Table(
    "guard_chunks",
    metadata,
    Column("record", ForeignKey("guard_records.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("chunk", LargeBinary, nullable=False),
)

guard_fires = Table(
    "guard_fires",
    metadata,
    Column("app", String(63), primary_key=True),
    Column("fire", Document(Fire), nullable=False),
)

announcements = Table(
    "announcements",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at", Float, nullable=False, index=True),
    Column("spread", Boolean, nullable=False, index=True),
    Column("announcement", Document(Announcement), nullable=False),
)

dispatches = Table(
    "dispatches",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("announcement", ForeignKey("announcements.id", ondelete="CASCADE"), nullable=False),
    Column("target", String(63), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("error", Text, nullable=False),
    Index("ix_dispatches_done_dead_next_at", "done", "dead", "next_at"),
    sqlite_autoincrement=True,
)
