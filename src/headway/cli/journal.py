"""``headway journal``: what was decided, by whom and why."""

import click
from rich.text import Text

from headway.cli.call import Call, asking, at_most, write_json
from headway.cli.remote import connect
from headway.cli.screen import line, note, said, show
from headway.cli.wording import clock
from headway.client.api import Client
from headway.client.events import Disconnected, follow
from headway.model.journal import JournalEntry


@click.command()
@click.option("--app", help="Only this app's entries.")
@click.option("--rollout", help="Only this rollout's entries.")
@click.option("--release", help="Only this release's entries.")
@click.option("--after", type=int, help="Only what came after the entry of this number.")
@at_most(50)
@click.option("--follow", "following", is_flag=True, help="Stay, and show what comes.")
@asking
@click.pass_obj
def journal(
    call: Call,
    *,
    app: str | None,
    rollout: str | None,
    release: str | None,
    after: int | None,
    limit: int,
    following: bool,
) -> None:
    """Show what was decided, by whom and why.

    The newest entry is the last. With --json each entry is a line.
    """
    with connect(call) as client:
        begin = _newest(client) if following and after is None else after or 0
        entries = client.journal(app, rollout, after, limit, release, not call.json)
        for entry in entries:
            _tell(call, entry)
        if following:
            last = max([begin, *(entry.seq for entry in entries)])
            _follow(call, client, last, {"app": app, "rollout": rollout, "release": release})


def _newest(client: Client) -> int:
    """The number of the journal's newest entry, whatever it is about."""
    return max((entry.seq for entry in client.journal(limit=1)), default=0)


def _follow(call: Call, client: Client, after: int, wanted: dict[str, str | None]) -> None:
    for happening in follow(client, after):
        if isinstance(happening, Disconnected):
            note(happening.sentence)
        elif isinstance(happening, JournalEntry) and (
            all(only in {None, getattr(happening, key)} for key, only in wanted.items())
        ):
            _tell(call, happening)


def _tell(call: Call, entry: JournalEntry) -> None:
    if call.json:
        write_json(entry)
    elif entry.why:
        show(_line(entry))


def _line(entry: JournalEntry) -> Text:
    when = said(f"{clock(entry.at)}  ", "dim")
    app = said(f"{entry.app}  ", "bold") if entry.app else ""
    by = "" if entry.why.startswith(entry.actor) else f"{entry.actor}: "
    return line(when, app, by, entry.why)
