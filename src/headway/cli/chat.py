"""``headway chat``: a shell with the grammar of the chat, for one app's train."""

import sys
import threading

import click

from headway.chat.grammar import parse
from headway.chat.told import lines_of
from headway.cli.call import Call, asking, write_json
from headway.cli.remote import connect, only_app
from headway.cli.screen import note, said, show
from headway.client.api import Client
from headway.client.events import follow
from headway.errors import HeadwayError
from headway.model.journal import JournalEntry
from headway.model.views import TrainRequest


@click.command()
@click.argument("app", required=False)
@asking
@click.pass_obj
def chat(call: Call, app: str | None) -> None:
    """Talk to an app's train, line by line, in the words of the chat.

    Shows what everybody is told, as the channel does. `.help` lists the commands; end with Ctrl-D.
    """
    with connect(call) as client:
        name = app or only_app(client)
        view = client.train(name)
        show(said(view.topic, "bold"))
        newest = max((entry.seq for entry in client.journal(limit=1)), default=0)
        if sys.stdin.isatty():
            listening = threading.Thread(
                target=_listen, args=(call, name, newest), name="journal", daemon=True
            )
            listening.start()
        for line in sys.stdin:
            _say(call, client, name, line)


def _say(call: Call, client: Client, app: str, line: str) -> None:
    """One line; what is refused is told, and the shell goes on."""
    try:
        if not parse(line, private=True):
            return
        replies = client.ask_train(app, TrainRequest(line.strip()))
    except HeadwayError as error:
        note(error.sentence)
        return
    if call.json:
        write_json(replies)
        return
    for text in replies.lines:
        show(said(text))
    show(said(replies.view.topic, "dim"))


def _listen(call: Call, app: str, after: int) -> None:
    """Tell what others do, until the shell ends."""
    with connect(call) as client:
        for happening in follow(client, after):
            if isinstance(happening, JournalEntry) and happening.app == app:
                for text in lines_of(happening):
                    note(text)
