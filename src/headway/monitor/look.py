"""How things look: colours of the terminal's own palette, and a shape for each of them."""

from collections.abc import Iterable

from rich.console import Console
from rich.style import Style
from rich.text import Text

from headway.cli.picture import GLYPHS, STATE_STYLES
from headway.cli.screen import line, said
from headway.model.picture import Tone
from headway.model.rollout import NodeState

TONES = {
    Tone.LIVE: "bold green",
    Tone.ROLLING: "bold cyan",
    Tone.PAUSED: "bold yellow",
    Tone.REVERTING: "bold red",
    Tone.IDLE: "bold",
}

STATES = {state.value: (GLYPHS[state], STATE_STYLES[state]) for state in NodeState}

ROLES = {
    "new": ("█", "green"),
    "live": ("█", "green"),
    "old": ("░", ""),
    "other": ("▚", "blue"),
    "none": ("·", "dim"),
}
"""What a node that is done looks like, by the part of the build that it runs."""

SEVERITY = ("failed", "unknown", "moving", "held", "done")
"""The worst first: it is what is seen of several nodes in one place."""

MARKS = {"done": ("✓", "green"), "failed": ("✗", "bold red"), "unknown": ("?", "yellow")}
"""How a verdict or an alarm is marked, by the state of a node that looks the same."""

PLACES = {
    "done": ("✓", "green"),
    "current": ("▸", "bold cyan"),
    "stopped": ("‖", "bold yellow"),
    "later": (" ", "dim"),
}


def mark(state: str) -> Text:
    """The mark of an alarm or a verdict."""
    sign, style = MARKS.get(state, ("!", "yellow"))
    return said(sign, style)


def clickable(text: str | Text, action: str) -> Text:
    """A text that does what ``action`` says when it is clicked."""
    drawn = text.copy() if isinstance(text, Text) else said(text, "reverse")
    drawn.stylize(Style.from_meta({"@click": action}))
    return drawn


def fit(text: Text, width: int) -> Text:
    """A line of exactly ``width`` cells, cut with an ellipsis where it is longer."""
    fitted = text.copy()
    fitted.end = ""
    fitted.truncate(max(0, width), overflow="ellipsis", pad=True)
    return fitted


def spread(left: Text, right: Text, width: int) -> Text:
    """Two texts on one line, the second at its right end; the first gives way."""
    room = width - right.cell_len - 1
    return line(fit(left, room), " ", right) if room > 0 else fit(left, width)


def folded(mark: Text | str, text: Text, width: int, most: int) -> list[Text]:
    """A text behind a mark, on at most ``most`` lines; what does not fit ends in an ellipsis."""
    head = mark if isinstance(mark, Text) else said(mark)
    room = max(8, width - head.cell_len - 1)
    rows = list(text.wrap(_ANY, room, overflow="fold"))
    if len(rows) > most:
        rows = [*rows[: most - 1], _cut(rows[most - 1], room)]
    blank = " " * head.cell_len
    return [line(head if n == 0 else blank, " ", row) for n, row in enumerate(rows)]


def rule(title: Iterable[str | Text], width: int) -> Text:
    """A line across, with what it begins."""
    head = line("─ ", *title, " ")
    head.truncate(max(0, width - 1), overflow="ellipsis")
    drawn = Text("", style="")
    drawn.append_text(head)
    drawn.append("─" * max(0, width - head.cell_len), "dim")
    return drawn


_ANY = Console(width=80)
"""Rich wants one to fold a text, and takes nothing from it."""


def _cut(row: Text, room: int) -> Text:
    kept = row.copy()
    kept.rstrip()
    kept.truncate(room - 1)
    return kept.append("…")
