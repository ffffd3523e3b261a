"""Apps and their configuration."""

from sqlalchemy import Connection, func, insert, select, update

from headway.model.plan import AppConfig
from headway.server.database.tables import apps


def put(connection: Connection, config: AppConfig, now: float) -> None:
    """Create the app, or replace its configuration."""
    values = {"config": config, "changed_at": now}
    changed = connection.execute(update(apps).where(apps.c.name == config.name).values(values))
    if changed.rowcount == 0:
        connection.execute(insert(apps).values(name=config.name, **values))


def get(connection: Connection, name: str) -> AppConfig | None:
    """The configuration of an app, or None."""
    config: AppConfig | None = connection.scalar(select(apps.c.config).where(apps.c.name == name))
    return config


def count(connection: Connection) -> int:
    """How many apps there are."""
    return connection.scalar(select(func.count()).select_from(apps)) or 0


def every(connection: Connection) -> tuple[AppConfig, ...]:
    """All apps, by name."""
    return tuple(connection.scalars(select(apps.c.config).order_by(apps.c.name)))
