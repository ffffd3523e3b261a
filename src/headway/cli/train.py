"""``headway train``: ride and lead an app's train. The commands are those of the chat."""

import click
from rich.console import RenderableType

from headway.chat.grammar import Command, written
from headway.cli.call import Call, Duration, asking
from headway.cli.remote import connect, only_app
from headway.cli.screen import answer, facts, lines, said
from headway.cli.wording import clock
from headway.model.train import Train
from headway.model.views import TrainAnswer, TrainRequest, TrainView


@click.group()
def train() -> None:
    """Ride and lead an app's train.

    The same commands as in chat; APP may be left out where there is only one.
    """


@train.command()
@click.argument("app", required=False)
@asking
@click.pass_obj
def show(call: Call, app: str | None) -> None:
    """Show who rides, who leads, and what the train waits for."""
    with connect(call) as client:
        view = client.train(app or only_app(client))
    answer(call, view, lambda: _drawn(view))


@train.command()
@click.argument("app", required=False)
@click.option("--with", "beside", metavar="U", help="Get into U's car.")
@click.option("--before", metavar="U", help="Get into a car before U's.")
@click.option("--last", is_flag=True, help="Get in at the end.")
@click.option("--config", is_flag=True, help="You bring configuration only.")
@click.option("--askme", is_flag=True, help="Let in only who has asked, and says --with.")
@click.option("--hold", is_flag=True, help="Ride alone.")
@click.option("--message", default="", help="What you bring.")
@asking
@click.pass_obj
def join(
    call: Call,
    *,
    app: str | None,
    beside: str | None,
    before: str | None,
    last: bool,
    config: bool,
    askme: bool,
    hold: bool,
    message: str,
) -> None:
    """Get into the train, or move to where you want to sit."""
    words = {"last": last, "config": config, "askme": askme, "hold": hold}
    options = frozenset(word for word, on in words.items() if on)
    command = Command("join", beside or "", text=message, before=before or "", options=options)
    _say(call, app, command)


@train.command()
@click.argument("tier")
@click.argument("app", required=False)
@click.option("--build", default="", help="The build, or release, to leave with.")
@asking
@click.pass_obj
def at(call: Call, tier: str, app: str | None, build: str) -> None:
    """Go on to a tier, as the leader; the first one starts the rollout."""
    _say(call, app, Command("at", stage=tier, build=build))


@train.command()
@click.argument("who")
@click.argument("app", required=False)
@asking
@click.pass_obj
def kick(call: Call, who: str, app: str | None) -> None:
    """Put somebody out, as the leader."""
    _say(call, app, Command("kick", who))


@train.command()
@click.argument("app", required=False)
@click.option("--reason", default="", help="Why, for everybody who meets the hold.")
@click.option("--for", "length", type=Duration(), help="Lapse after this long, such as 2h.")
@asking
@click.pass_obj
def hold(call: Call, app: str | None, reason: str, length: float | None) -> None:
    """Let nothing new be deployed, by whatever way."""
    _say(call, app, Command("hold", text=reason, seconds=length))


@train.command()
@click.argument("text")
@click.argument("app", required=False)
@asking
@click.pass_obj
def message(call: Call, text: str, app: str | None) -> None:
    """Set the message beside the train; `-` takes it away."""
    _say(call, app, Command("message", text="" if text == "-" else text))


@train.command()
@click.argument("text")
@click.argument("app", required=False)
@asking
@click.pass_obj
def say(call: Call, text: str, app: str | None) -> None:
    """Tell everybody in the channel something."""
    _say(call, app, Command("say", text=text))


@train.command()
@asking
@click.pass_obj
def link(call: Call) -> None:
    """Show a code that links a chat account to you."""
    with connect(call) as client:
        code = client.link_chat()
    sentence = (
        f"Send `.link {code.code}` to Headway in a private message before {clock(code.until)}; "
        f"you are {code.user} there from then on."
    )
    answer(call, code, lambda: said(sentence))


def _plain(name: str, summary: str) -> None:
    """Add a command that takes nothing but the app."""

    @train.command(name, help=summary)
    @click.argument("app", required=False)
    @asking
    @click.pass_obj
    def run(call: Call, app: str | None) -> None:
        _say(call, app, Command(name))


def _reasoned(name: str, summary: str) -> None:
    """Add a command that takes a reason."""

    @train.command(name, help=summary)
    @click.argument("app", required=False)
    @click.option("--reason", default="", help="Why, for the journal and for everybody else.")
    @asking
    @click.pass_obj
    def run(call: Call, app: str | None, reason: str) -> None:
        _say(call, app, Command(name, text=reason))


def _flagged(name: str, summary: str) -> None:
    """Add a command that can also be taken back."""

    @train.command(name, help=summary)
    @click.argument("app", required=False)
    @click.option("--off", is_flag=True, help="Not any more.")
    @asking
    @click.pass_obj
    def run(call: Call, app: str | None, off: bool) -> None:
        _say(call, app, Command(name, options=frozenset({"off"} if off else ())))


_plain("in", "Say that your change is in the build, or good where it is.")
_plain("done", "End the ride, as the leader; the next car is up.")
_plain("nevermind", "Get out of the train.")
_plain("drive", "Take the lead.")
_plain("unhold", "Lift what holds the app or its train.")
_reasoned("uhoh", "Stop the train: something is wrong.")
_reasoned("revert", "Bring the build before it back, everywhere.")
_flagged("config", "Say that you bring configuration only.")


def _say(call: Call, app: str | None, command: Command) -> None:
    with connect(call) as client:
        name = app or only_app(client)
        replies = client.ask_train(name, TrainRequest(written(command)))
    answer(call, replies, lambda: _answered(replies))


def _answered(replies: TrainAnswer) -> RenderableType:
    return lines(*replies.lines, said(replies.view.topic, "dim"))


def _drawn(view: TrainView) -> RenderableType:
    cars = [(f"car {i + 1}", _car(view.train, car)) for i, car in enumerate(view.train.order)]
    return lines(said(view.topic, "bold"), *view.notes, facts(cars))


def _car(train: Train, number: str) -> str:
    told = []
    for name in train.cars[number].riders:
        rider = train.riders[name]
        brings = f"{len(rider.changes)} changes" if rider.changes else ""
        notes = [note for note in (brings, rider.message) if note]
        told.append(name + (f" ({', '.join(notes)})" if notes else ""))
    return ", ".join(told)
