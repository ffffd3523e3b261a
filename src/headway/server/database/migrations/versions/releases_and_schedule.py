"""Releases, and when they may go out."""

import sqlalchemy as sa
from alembic import op

revision = "releases_and_schedule"
down_revision = "first_tables"


def upgrade() -> None:
    """Create the tables of releases and of the schedule."""
    op.add_column(
        "journal",
        sa.Column("release", sa.String(length=80), server_default="", nullable=False),
    )
    op.create_index("ix_journal_release", "journal", ["release"], unique=False)
    op.add_column(
        "outbox",
        sa.Column("queue", sa.String(length=16), server_default="rollout", nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name="fk_releases_app"),
        sa.PrimaryKeyConstraint("id", name="pk_releases"),
        sa.UniqueConstraint("app", "number", name="uq_releases_app_number"),
    )
    op.create_table(
        "heads",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("release", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name="fk_heads_release"),
        sa.PrimaryKeyConstraint("app", "commit", "release", name="pk_heads"),
    )
    op.create_table(
        "freezes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("freeze", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name="fk_freezes_app"),
        sa.PrimaryKeyConstraint("id", name="pk_freezes"),
    )
    op.create_index("ix_freezes_app", "freezes", ["app"], unique=False)
    op.create_table(
        "takeovers",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("takeover", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name="fk_takeovers_app"),
        sa.PrimaryKeyConstraint("app", name="pk_takeovers"),
    )
    op.create_table(
        "deliveries",
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_at", "deliveries", ["at"], unique=False)
