"""``headway emergency``: take the fleet back with no control plane, no database and no DNS."""

import asyncio
import getpass
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from headway.cli import signal_store
from headway.cli.call import Call, local
from headway.cli.screen import answer, facts, lines, note
from headway.cli.signal_store import EMBEDDED, Standing
from headway.cli.wording import ago, clock, short
from headway.core import emergency as core
from headway.core.plan import percent
from headway.core.words import count
from headway.errors import InvalidInput, Refused
from headway.model.report import Report
from headway.model.signal import Signal
from headway.signing import Signer, Trust

NAMED = 5
"""How many nodes are named before the rest is counted."""


@click.group()
def emergency() -> None:
    """Take the fleet back when the control plane is gone.

    All that it takes is the store, its URL as in the server's file, and the release key.
    """


def _in_store(function: Any) -> Any:
    """What both commands are told: the app, its store and the key."""
    for decorate in (
        click.argument("app"),
        click.option(
            "--store", "url", required=True, metavar="URL", help="The signal store, as a URL."
        ),
        click.option(
            "--key",
            type=click.Path(path_type=Path),
            required=True,
            metavar="FILE",
            help="The release key (the private one; to look, its .pub will do).",
        ),
        click.option(
            "--trust",
            type=click.Path(path_type=Path),
            multiple=True,
            metavar="FILE",
            help="A further public key that the present signal may be signed with.",
        ),
    ):
        function = decorate(function)
    return function


@emergency.command()
@_in_store
@local
@click.pass_obj
def show(call: Call, *, app: str, url: str, key: Path, trust: tuple[Path, ...]) -> None:
    """Say in words what the store tells the nodes to run, and what nodes say there."""
    trusted = _trust(_public(key), trust)

    async def look() -> tuple[Signal, tuple[Report, ...]]:
        async with signal_store.opened(url) as store:
            standing = await signal_store.read(store, app, trusted)
            return standing.signal, await signal_store.spoken(store, app)

    signal, reports = asyncio.run(look())
    answer(
        call, {"signal": signal, "reports": reports}, lambda: _drawn(signal, reports, time.time())
    )


@emergency.command()
@_in_store
@click.option("--to", "to", metavar="BUILD", help="Another build than the one before this release.")
@click.option("--reason", default="", help="Why, for everybody who looks later.")
@click.option(
    "--beyond",
    type=click.IntRange(0, 2**53),
    default=0,
    metavar="EPOCH",
    help="The epoch that nodes have reached, where the store is an older copy.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@local
@click.pass_obj
def revert(
    call: Call,
    *,
    app: str,
    url: str,
    key: Path,
    trust: tuple[Path, ...],
    to: str | None,
    reason: str,
    beyond: int,
    yes: bool,
) -> None:
    """Bring the whole fleet back to the build before, by one write to the store.

    It shows what it is about to do and asks. Nodes go back to a tree that is on their disks; a
    BUILD that is not must be fetched, which takes a control plane or an artifact store.
    """
    signer = Signer.load(key)
    trusted = _trust(signer.public_pem, trust)
    if not yes and (call.json or not sys.stdin.isatty()):
        raise InvalidInput("nobody can be asked here; say --yes to go back without a question")

    async def go() -> Signal:
        async with signal_store.opened(url) as store:
            standing = await signal_store.read(store, app, trusted)
            build = core.find_build(standing.signal, to) if to else None
            by, why = _person(), reason or "no reason given"
            signal = core.go_back(standing.signal, build, beyond, by, why, time.time())
            if not yes:
                note_change(standing, signal)
                if not await asyncio.to_thread(_agreed, signal):
                    raise Refused("nothing was changed")
            await signal_store.replace(store, standing, signal, signer)
            return signal

    signal = asyncio.run(go())
    answer(call, signal, lambda: _done(signal, url, key))


def note_change(standing: Standing, signal: Signal) -> None:
    """What stands, and what is about to replace it."""
    note(f"Now:  {_words(standing.signal)}")
    note(f"Then: {_words(signal)}")


def _agreed(signal: Signal) -> bool:
    """Ask. Does not go to standard output, which is the answer's."""
    question = f"Send every node of {signal.app} to {short(signal.base)}?"
    return click.confirm(question, default=False, err=True)


def _words(signal: Signal) -> str:
    """The signal in one sentence."""
    if core.goes_back(signal):
        asks = f"every node runs {short(signal.base)}"
    else:
        told = [
            f"{percent(share)} of {tier}" for tier, share in signal.fractions.items() if share > 0
        ]
        layer = signal.layer
        kept = [f"{percent(s)} of {t}" for t, s in layer.fractions.items() if s] if layer else []
        asks = f"{', '.join(told) or 'no node'} runs {short(signal.target)}"
        if layer and kept:
            asks += f", else {', '.join(kept)} keeps {short(layer.build)}"
        asks += f", the rest {short(signal.base) if signal.base else 'what it has'}"
    return f"epoch {signal.epoch}: {asks} ({signal.why})"


def _drawn(signal: Signal, reports: tuple[Report, ...], now: float) -> RenderableType:
    return lines(
        facts(
            [
                ("app", signal.app),
                ("epoch", str(signal.epoch)),
                ("told", _words(signal).partition(": ")[2].rpartition(" (")[0]),
                ("why", signal.why),
                ("by", signal.by),
                ("when", f"{clock(signal.issued_at)}, {ago(signal.issued_at, now)}"),
                ("target", signal.target),
                ("base", signal.base or "none"),
                ("nodes", _said(signal, reports)),
            ]
        )
    )


def _said(signal: Signal, reports: tuple[Report, ...]) -> str:
    """What the nodes that report in the store say of it."""
    if not reports:
        return "none reports in this store; look at the nodes themselves (their log, `current`)"
    ahead = [report for report in reports if report.epoch > signal.epoch]
    if ahead:
        return (
            f"{_names(ahead)} reached epoch {max(r.epoch for r in ahead)}: this store is an older"
            f" copy; to be heard, revert with --beyond {max(r.epoch for r in ahead)}"
        )
    runs: dict[str | None, list[Report]] = {}
    for report in reports:
        runs.setdefault(report.running, []).append(report)
    parts = [f"{_names(some)} on {short(build)}" for build, some in runs.items()]
    late = [report for report in reports if report.epoch < signal.epoch]
    return "; ".join([*parts, *([f"not there yet: {_names(late)}"] if late else [])])


def _names(reports: list[Report]) -> str:
    few = ", ".join(report.node for report in reports[:NAMED])
    return f"{count(len(reports), 'node')} ({few}{', …' if len(reports) > NAMED else ''})"


def _done(signal: Signal, url: str, key: Path) -> RenderableType:
    show = shlex.join(
        ["headway", "emergency", "show", signal.app, "--store", url, "--key", str(key)]
    )
    heard = "Nodes that watch this store, and those at a hub, act on it now."
    if url.startswith(EMBEDDED):
        heard = "Nodes hear of it when a server runs on this store again: start it."
    return lines(
        f"Epoch {signal.epoch} is written: every node of {signal.app} is to run"
        f" {short(signal.base)}.",
        heard,
        f"To see the result: {show}",
        f"On a node: readlink ROOT/{signal.app}/current, and the agent's log.",
        "A control plane that comes back takes this over, and holds the app.",
    )


def _trust(public: bytes, further: tuple[Path, ...]) -> Trust:
    try:
        return Trust.of(public, *(path.read_bytes() for path in further))
    except OSError as error:
        raise InvalidInput(f"the public key {error.filename} cannot be read: {error}") from None


def _public(key: Path) -> bytes:
    """The public key in ``key``, which may be the private one."""
    if key.suffix == ".pub":
        try:
            return key.read_bytes()
        except OSError as error:
            raise InvalidInput(f"the public key {key} cannot be read: {error.strerror}") from None
    return Signer.load(key).public_pem


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
