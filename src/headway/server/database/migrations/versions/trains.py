"""Trains and chat."""

import sqlalchemy as sa
from alembic import op

revision = "trains"
down_revision = "guard_memory"


def upgrade() -> None:
    """Create their tables."""
    op.create_table(
        "trains",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name="fk_trains_app"),
        sa.PrimaryKeyConstraint("app", name="pk_trains"),
    )
    op.create_table(
        "chat_links",
        sa.Column("network", sa.String(length=63), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("user", sa.String(length=128), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("network", "account", name="pk_chat_links"),
    )
    op.create_table(
        "chat_cursors",
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name="pk_chat_cursors"),
    )
