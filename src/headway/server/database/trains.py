"""The state rows of trains, who is who in chat, and how far each channel has been told."""

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select, update

from headway.model.train import Train
from headway.server.database.tables import chat_cursors, chat_links, trains


class Link(Struct, frozen=True):
    """Which user of Headway an account of a chat network is."""

    network: str
    account: str
    user: str
    at: float


def put(connection: Connection, train: Train) -> None:
    """Write the state of an app's train, new or known."""
    values = {"state": train}
    changed = connection.execute(update(trains).where(trains.c.app == train.app).values(values))
    if changed.rowcount == 0:
        connection.execute(insert(trains).values(app=train.app, **values))


def get(connection: Connection, app: str) -> Train:
    """The state of an app's train; one that nobody has boarded yet is clear."""
    found: Train | None = connection.scalar(select(trains.c.state).where(trains.c.app == app))
    return found or Train(app)


def every(connection: Connection) -> tuple[Train, ...]:
    """All trains, by app."""
    return tuple(connection.scalars(select(trains.c.state).order_by(trains.c.app)))


def link(connection: Connection, link: Link) -> None:
    """Note who an account is; an older note of the account goes."""
    same = (chat_links.c.network == link.network, chat_links.c.account == link.account)
    connection.execute(delete(chat_links).where(*same))
    connection.execute(
        insert(chat_links).values(
            network=link.network, account=link.account, user=link.user, at=link.at
        )
    )


def unlink(connection: Connection, network: str, account: str) -> None:
    """Forget who the accounts are whose name begins with ``account``."""
    connection.execute(
        delete(chat_links).where(
            chat_links.c.network == network,
            chat_links.c.account.startswith(account, autoescape=True),
        )
    )


def links(connection: Connection) -> tuple[Link, ...]:
    """Every link, by network and account."""
    rows = connection.execute(
        select(chat_links).order_by(chat_links.c.network, chat_links.c.account)
    )
    return tuple(Link(**row._mapping) for row in rows)


def cursor(connection: Connection, channel: str) -> int | None:
    """The number of the last journal entry that a channel was told; None for a new one."""
    return connection.scalar(select(chat_cursors.c.seq).where(chat_cursors.c.channel == channel))


def tell(connection: Connection, channel: str, seq: int) -> None:
    """Note that a channel was told everything up to the entry ``seq``."""
    moved = update(chat_cursors).where(chat_cursors.c.channel == channel).values(seq=seq)
    if connection.execute(moved).rowcount == 0:
        connection.execute(insert(chat_cursors).values(channel=channel, seq=seq))
