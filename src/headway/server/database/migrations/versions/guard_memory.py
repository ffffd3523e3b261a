"""What the guard remembers, and what people are told."""

import sqlalchemy as sa
from alembic import op

revision = "guard_memory"
down_revision = "releases_and_schedule"


def upgrade() -> None:
    """Create the guard's tables, and those of announcements."""
    op.create_table(
        "guard_buckets",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("build", sa.String(length=64), nullable=False),
        sa.Column("begin", sa.Float(), nullable=False),
        sa.Column("sums", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("app", "tier", "build", "begin", name="pk_guard_buckets"),
    )
    op.create_index("ix_guard_buckets_begin", "guard_buckets", ["begin"])
    op.create_table(
        "guard_slots",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("begin", sa.Float(), nullable=False),
        sa.Column("sums", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("app", "tier", "begin", name="pk_guard_slots"),
    )
    op.create_index("ix_guard_slots_begin", "guard_slots", ["begin"])
    op.create_table(
        "guard_records",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("began", sa.Float(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("latest", sa.Text(), nullable=False),
        sa.Column("befores", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_guard_records"),
    )
    op.create_index("ix_guard_records_app", "guard_records", ["app"])
    op.create_table(
        "guard_chunks",
        sa.Column("record", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("chunk", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record"],
            ["guard_records.id"],
            name="fk_guard_chunks_record_guard_records",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record", "seq", name="pk_guard_chunks"),
    )
    op.create_table(
        "guard_fires",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("fire", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("app", name="pk_guard_fires"),
    )
    op.create_table(
        "announcements",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("spread", sa.Boolean(), nullable=False),
        sa.Column("announcement", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_announcements"),
    )
    op.create_index("ix_announcements_at", "announcements", ["at"])
    op.create_index("ix_announcements_spread", "announcements", ["spread"])
    op.create_table(
        "dispatches",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("announcement", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=63), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["announcement"],
            ["announcements.id"],
            name="fk_dispatches_announcement_announcements",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dispatches"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dispatches_done_dead_next_at", "dispatches", ["done", "dead", "next_at"])
