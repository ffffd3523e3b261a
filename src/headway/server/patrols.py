"""What follows from the watch without a rollout: news for people, and holds."""

from collections.abc import Callable

from sqlalchemy import Connection

from headway.guard.fire import News
from headway.guard.watch import Guard
from headway.model.announcement import Occasion
from headway.model.hold import Hold, Scope
from headway.model.journal import HEADWAY
from headway.model.plan import Action, AppConfig
from headway.server.database import announcements, apps, holds, journal
from headway.server.database import guard as memory
from headway.server.database.connection import Database
from headway.server.news import News as Bell

OWNER = "guard"
"""By whom the holds are."""


class Patrols:
    """The watch over every app."""

    def __init__(
        self, database: Database, guard: Guard, bell: Bell, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._guard = guard
        self._bell = bell
        self._clock = clock

    async def look(self, app: AppConfig, now: float) -> None:
        """Look at an app, and do what follows. Raises StorageFailed."""
        news = self._guard.patrol(app, now)
        if not news:
            return

        def write(connection: Connection) -> None:
            memory.note_fire(connection, app.name, self._guard.fire(app.name))
            for one in news:
                self._tell(connection, app, one)

        await self._database.write(write)
        self._bell.journal_grew()

    def _tell(self, connection: Connection, app: AppConfig, news: News) -> None:
        held = self._hold(connection, app, news) if news.began else self._held(connection, app)
        why = news.sentence + held
        occasion = Occasion.FIRE if news.began else Occasion.OVER
        journal.append(
            connection, at=news.at, app=app.name, actor=HEADWAY, kind=occasion.value, why=why
        )
        announcements.add(
            connection,
            at=news.at,
            occasion=occasion,
            app=app.name,
            sentence=why,
            metric=news.metric,
        )

    def _hold(self, connection: Connection, app: AppConfig, news: News) -> str:
        """Hold what is configured; a person lifts it, and it does not come back for this fire."""
        if app.watch.then is not Action.PAUSE:
            return ""
        names = [app.name]
        if app.watch.everything:
            names = [config.name for config in apps.every(connection)]
        for name in names:
            hold = Hold(
                _hold_id(app.name, name), Scope.APP, name, OWNER, news.sentence[:1900], news.at
            )
            holds.add(connection, hold)
        return f"; the guard holds {', '.join(names)}"

    def _held(self, connection: Connection, app: AppConfig) -> str:
        """Which of its holds are still there, and how to lift them."""
        left = [
            hold.id
            for config in apps.every(connection)
            if (hold := holds.get(connection, _hold_id(app.name, config.name))) is not None
        ]
        commands = ", ".join(f"`headway hold lift {name}`" for name in left)
        return f"; still held: {commands}" if left else ""


def _hold_id(burning: str, held: str) -> str:
    return f"fire-{burning}-{held}" if held != burning else f"fire-{burning}"
