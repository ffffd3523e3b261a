"""What comes up in front of the picture: a reason to give, an app to choose, the keys."""

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from headway.cli.screen import line, lines, said
from headway.core.words import clean
from headway.model.picture import Picture
from headway.monitor.keys import Deed, deeds
from headway.monitor.look import ROLES, STATES, TONES, clickable

MOST_REASON = 500

_LEAVE = clickable(" Esc: leave it ", "screen.dismiss(None)")


class Confirm(ModalScreen[str | None]):
    """Asks for the reason of what hurts, or whether something is meant; answers None for no.

    It tells what has changed meanwhile, and lets nothing through that is no longer offered.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "no")]

    def __init__(self, deed: Deed, picture: Picture) -> None:
        super().__init__()
        self.deed = deed
        self._picture = picture
        self._rollout = picture.actions.rollout
        self._complaint = ""

    def compose(self) -> ComposeResult:
        """What it is about, the line for the reason, and the two keys."""
        with Vertical(id="dialog"):
            yield Static(id="what", markup=False)
            yield Input(placeholder="Why? Everybody will read it.", max_length=MOST_REASON)
            yield Static(id="answer", markup=False)

    def on_mount(self) -> None:
        """Show it; where no reason is needed, only the question."""
        self.query_one(Input).display = self.deed.hurts
        if not self.deed.hurts:
            self.set_focus(None)
        self.see(self._picture)

    def see(self, picture: Picture) -> None:
        """Show how it stands now."""
        self._picture = picture
        seen = picture.banner
        stands = said(f"{picture.app}: {seen.symbol} {seen.word} {seen.where}", TONES[seen.tone])
        self.query_one("#what", Static).update(
            Group(said(f"{self.deed.button.label}?", "bold"), stands)
        )
        self._answer()

    def still_offered(self) -> bool:
        """Whether the picture still has what was asked for, of the same rollout."""
        offered = {deed.button.action for deed in deeds(self._picture)}
        same = self._picture.actions.rollout == self._rollout
        return same and self.deed.button.action in offered

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: with a reason, and while it still makes sense."""
        self._confirm(event.value.strip())

    def on_key(self, event: Key) -> None:
        """Enter, where there is no line to type in."""
        if event.key == "enter" and not self.deed.hurts:
            # The picture behind must not see it, too.
            event.stop()
            event.prevent_default()
            self.action_confirm()

    def action_confirm(self) -> None:
        """Enter, by key or by mouse."""
        self._confirm(self.query_one(Input).value.strip())

    def _confirm(self, reason: str) -> None:
        if not self.still_offered():
            return
        if self.deed.hurts and not reason:
            self._complaint = "A reason first: one line that says why."
            self._answer()
            return
        self.dismiss(clean(reason))

    def on_input_changed(self) -> None:
        """Whoever types has read what was wrong."""
        self._complaint = ""
        self._answer()

    def _answer(self) -> None:
        told = self._complaint
        if not self.still_offered():
            word = self._picture.banner.word
            told = f"It is “{word}” now: there is nothing to {self.deed.button.action}."
        keys = line(clickable(" Enter: do it ", "screen.confirm"), "  ", _LEAVE)
        self.query_one("#answer", Static).update(
            line(said(told, "bold yellow"), "  ", _LEAVE) if told else keys
        )


class Choose(ModalScreen[str | None]):
    """Which app to watch."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "no"),
        Binding("q", "dismiss(None)", "no"),
    ]

    def __init__(self, apps: Sequence[str]) -> None:
        super().__init__()
        self._apps = tuple(apps)

    def compose(self) -> ComposeResult:
        """The apps, one a line."""
        with Vertical(id="dialog"):
            yield Static("Which app?", markup=False)
            yield OptionList(*(Option(said(app)) for app in self._apps), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """This one."""
        self.dismiss(self._apps[event.option_index])


class Help(ModalScreen[None]):
    """The keys, and what the shapes mean."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, "dismiss(None)", "close") for key in ("escape", "q", "question_mark", "enter")
    ]

    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("a", "advance: begin the next step"),
        ("s", "sign the step off"),
        ("d", "deploy the newest build; asks"),
        ("p", "pause where it stands"),
        ("R", "resume, or let the failed nodes try again"),
        ("A", "accept the failed nodes and resume; asks"),
        ("r", "revert; asks why"),
        ("x", "abort, nodes stay as they are; asks why"),
        ("Enter", "the nodes: filter, details, last output"),
        ("↑ ↓ PgUp PgDn", "scroll the journal"),
        ("o", "another app"),
        ("q", "quit; the rollout goes on without you"),
    )

    def compose(self) -> ComposeResult:
        """Keys first, shapes below."""
        rows: list[Text | str] = [said("Keys: those at the bottom do something now", "bold")]
        rows += [said(f" {key:<14}{does}") for key, does in self.KEYS]
        shapes = [said(f" {glyph} {state}", style) for state, (glyph, style) in STATES.items()]
        roles = [said(f" {glyph} {role}", style) for role, (glyph, style) in ROLES.items()]
        rows += [Text().join([said("Nodes ", "bold"), *shapes[1:]])]
        rows += [Text().join([said("Builds", "bold"), *roles])]
        with Vertical(id="dialog"):
            yield Static(lines(*rows), markup=False)
