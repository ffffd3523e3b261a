"""What people see: text, tables and progress by rich, with every word from elsewhere made safe.

``said`` is the one place where a string becomes something to draw. It cleans, and as it makes
rich Text, no markup in a name or a reason is ever interpreted.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from headway.cli.call import Call, write_json
from headway.core.words import clean

UNFOLDED = 100_000
"""A width that nothing reaches."""


def said(text: str, style: str = "") -> Text:
    """A piece of text, safe to draw whatever it holds."""
    return Text(clean(text), style)


def line(*parts: str | Text) -> Text:
    """Pieces of text, one after the other."""
    return Text().join(part if isinstance(part, Text) else said(part) for part in parts)


def lines(*parts: str | RenderableType) -> Group:
    """Things below each other; a string is a line of its own."""
    return Group(*(said(part) if isinstance(part, str) else part for part in parts))


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    nothing: str,
    folding: int = -1,
) -> RenderableType:
    """A table without lines; where it is too wide, the column ``folding`` gives way.

    Without rows it is the sentence ``nothing``.
    """
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in headings:
        drawn.add_column(heading, overflow="fold", no_wrap=heading != headings[folding])
    for row in rows:
        drawn.add_row(*(said(cell) if isinstance(cell, str) else cell for cell in row))
    return drawn if drawn.row_count else said(nothing, "dim")


def facts(pairs: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and values beside each other; a pair without a value is left out."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            drawn.add_row(name, said(value) if isinstance(value, str) else value)
    return drawn


def console(*, stderr: bool = False) -> Console:
    """Standard output or error. Width and colours follow the terminal, COLUMNS and NO_COLOR.

    What no terminal reads is not folded, unless COLUMNS asks for it.
    """
    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = UNFOLDED
    return made


def show(thing: RenderableType) -> None:
    """Print one thing to standard output; for a program's eyes, without blanks at line ends."""
    to = console()
    if to.is_terminal:
        to.print(thing)
        return
    with to.capture() as drawn:
        to.print(thing)
    click.echo("\n".join(text.rstrip() for text in drawn.get().splitlines()))


def note(sentence: str) -> None:
    """Say something to the person that is no part of the answer, on standard error."""
    console(stderr=True).print(said(sentence), soft_wrap=True)


def answer(call: Call, value: Any, drawn: Callable[[], RenderableType]) -> None:
    """The answer of a command: JSON where it was asked for, else what ``drawn`` draws."""
    if call.json:
        write_json(value)
    else:
        show(drawn())


@contextmanager
def progress(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """Shows how far long work is, on standard error and only when that is a terminal.

    Gives ``advance(phase, done, total)``; a total of 0 means that it is not known.
    """
    if not sys.stderr.isatty():
        yield lambda phase, done, total: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda phase, done, total: bar.update(
            task, description=clean(phase), completed=done, total=total or None
        )
