"""The drill-down: every node in a list, and what is known of the one that is chosen."""

import threading
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input

from headway.cli.screen import line, said
from headway.cli.wording import duration
from headway.client.api import Client
from headway.core.words import count
from headway.errors import HeadwayError
from headway.model.picture import Places
from headway.model.rollout import NodeState
from headway.model.views import NodeStatus
from headway.monitor.face import View
from headway.monitor.lines import Lines, Rows
from headway.monitor.look import STATES, clickable, fit, folded
from headway.monitor.nodes import (
    NodeRow,
    counts,
    details,
    draw_row,
    matching,
    rows_of,
    worst_state,
)

SETTLE_SECONDS = 0.15
"""Details are asked for once the choice has rested for so long."""

AGAIN_SECONDS = 2.0
"""How often the chosen node is asked for again."""

FILTERS: tuple[NodeState | None, ...] = (
    None,
    NodeState.FAILED,
    NodeState.UNKNOWN,
    NodeState.MOVING,
    NodeState.HELD,
    NodeState.DONE,
)


class NodeScreen(Screen[None]):
    """All nodes of the app; ``view`` gives the picture as it is, ``first`` where to begin."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back"),
        Binding("tab", "state(1)", "next state", priority=True),
        Binding("shift+tab", "state(-1)", "state before", priority=True),
        Binding("up", "move(-1)", "up", priority=True),
        Binding("down", "move(1)", "down", priority=True),
        Binding("pageup", "page(-1)", "page up", priority=True),
        Binding("pagedown", "page(1)", "page down", priority=True),
        Binding("ctrl+home", "move(-10000000)", "first", priority=True),
        Binding("ctrl+end", "move(10000000)", "last", priority=True),
        Binding("enter", "enlarge", "details", priority=True),
    ]

    class Told(Message):
        """Something that was asked for has come, or the reason why it has not."""

        def __init__(self, told: Places | NodeStatus | HeadwayError) -> None:
            super().__init__()
            self.told = told

    def __init__(self, client: Client, view: Callable[[], View], first: int | None) -> None:
        super().__init__()
        self._client, self._view, self._first = client, view, first
        self._app_name = view().picture.app
        self._places: Places | None = None
        self._asking = ""
        self._all: tuple[NodeRow, ...] = ()
        self._rows: Sequence[NodeRow] = ()
        self._state = worst_state(view().picture.map.letters) if first is None else None
        self._status: NodeStatus | None = None
        self._trouble = ""
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        """The counts, the filter, the list, the details and the keys."""
        yield Lines(self._draw_head, "head")
        yield Input(placeholder="filter: words of name, tier, state, build (old, new …)")
        yield Rows(self._draw_row, "rows")
        yield Lines(self._draw_details, "details")
        yield Lines(self._draw_foot, "foot")

    def on_mount(self) -> None:
        """Ask for the names."""
        self.query_one(Input).focus()
        self.set_interval(AGAIN_SECONDS, self._ask_chosen)
        self.see()

    def see(self) -> None:
        """Show the nodes as they are now."""
        seen = self._view().picture.map
        if self._places is None or self._places.layout != seen.layout:
            self._ask("places", lambda: self._client.places(self._app_name))
        if self._places is not None:
            self._all = rows_of(seen, self._places) or self._all
        self._sift()

    def on_input_changed(self) -> None:
        """Another filter."""
        self._sift(anew=True)

    def on_rows_chosen(self) -> None:
        """Another node: its details, once the choice rests."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(SETTLE_SECONDS, self._ask_chosen)
        self.query_one("#details", Lines).redraw()

    def on_node_screen_told(self, message: Told) -> None:
        """What was asked for."""
        self._asking = ""
        match message.told:
            case Places() as places:
                self._places, self._trouble = places, ""
                self._all = rows_of(self._view().picture.map, places) or self._all
                self._sift()
                if self._first is not None and self._all:
                    self.query_one(Rows).choose(self._first)
                    self._first = None
                self._ask_chosen()
            case NodeStatus() as status:
                self._status, self._trouble = status, ""
            case HeadwayError() as error:
                self._trouble = error.sentence
        self.query_one("#details", Lines).redraw()

    def on_click(self, event: Click) -> None:
        """A click must not take the focus from the filter."""
        self.query_one(Input).focus()

    def action_leave(self) -> None:
        """Back to the picture; with a filter, first without it."""
        if self.query_one(Input).value:
            self.query_one(Input).value = ""
        else:
            self.dismiss(None)

    def action_state(self, by: int) -> None:
        """Only the nodes in the next state of which there are any."""
        found = counts(self._view().picture.map.letters)
        there = [state for state in FILTERS if state is None or found[state]]
        at = there.index(self._state) if self._state in there else 0
        self._state = there[(at + by) % len(there)]
        self._sift(anew=True)

    def action_filter(self, state: str) -> None:
        """Only the nodes in this state; all where it is empty."""
        self._state = NodeState(state) if state else None
        self._sift(anew=True)

    def action_move(self, by: int) -> None:
        """Up or down."""
        self.query_one(Rows).move(by)

    def action_page(self, by: int) -> None:
        """A page up or down."""
        rows = self.query_one(Rows)
        rows.move(by * max(1, rows.size.height - 1))

    def action_enlarge(self) -> None:
        """The details large, or small again."""
        self.toggle_class("enlarged")

    def _chosen(self) -> NodeRow | None:
        chosen = self.query_one(Rows).chosen
        return self._rows[chosen] if 0 <= chosen < len(self._rows) else None

    def _sift(self, *, anew: bool = False) -> None:
        """Filter; the chosen node stays chosen; else its place is, ``anew`` the first."""
        before = self._chosen()
        self._rows = matching(self._all, self.query_one(Input).value, self._state)
        names = {row.node: place for place, row in enumerate(self._rows)} if before else {}
        rows = self.query_one(Rows)
        otherwise = 0 if anew else rows.chosen
        rows.show(len(self._rows), names.get(before.node, otherwise) if before else 0)
        after = self._chosen()
        if (before and before.node) != (after and after.node):
            self.on_rows_chosen()
        for part in ("#head", "#details", "#foot"):
            self.query_one(part, Lines).redraw()

    def _ask_chosen(self) -> None:
        row = self._chosen()
        if row is not None:
            self._ask(row.node, lambda: self._one(row.node))

    def _one(self, node: str) -> NodeStatus:
        found = [one for one in self._client.node(node) if one.app == self._app_name]
        if not found:
            raise HeadwayError(f"{node} does not run {self._app_name} any more")
        return found[0]

    def _ask(self, what: str, ask: Callable[[], Places | NodeStatus]) -> None:
        """One question at a time, in a thread, so that keys never wait for the network."""
        if self._asking:
            return
        self._asking = what

        def run() -> None:
            try:
                told: Places | NodeStatus | HeadwayError = ask()
            except HeadwayError as error:
                told = error
            self.post_message(self.Told(told))

        threading.Thread(target=run, name=f"ask for {what}", daemon=True).start()

    def _draw_head(self, width: int, height: int) -> list[Text]:
        view = self._view()
        letters = view.picture.map.letters
        found = counts(letters)
        parts = [said(f" {view.picture.app} ", "bold reverse"), said(" ")]
        parts.append(self._tab("", f" all {len(letters):,} ", ""))
        for state in FILTERS[1:]:
            if state is not None and found[state]:
                label = f" {state} {found[state]:,} "
                parts.append(self._tab(state.value, label, STATES[state.value][1]))
        if not view.live:
            told = f"  NOT LIVE, {duration(view.age)} old"
            parts.append(said(told, "bold yellow"))
        return [line(*parts)][:height]

    def _tab(self, state: str, label: str, style: str) -> Text:
        chosen = (self._state.value if self._state else "") == state
        return clickable(
            said(label, f"{style} reverse" if chosen else style), f"screen.filter('{state}')"
        )

    def _draw_row(self, row: int, width: int, chosen: bool) -> Text:
        return draw_row(self._rows[row], width, chosen=chosen)

    def _draw_details(self, width: int, height: int) -> list[Text]:
        if self._trouble:
            return folded(" !", said(self._trouble, "bold yellow"), width, height)
        row = self._chosen()
        if row is None:
            told = "no node is like that" if self._all else "asking for the nodes …"
            return [said(f" {told}", "dim")]
        if self._status is None or self._status.node != row.node:
            return [said(f" asking for {row.node} …", "dim")]
        return details(self._status, self._view().now, width, height)

    def _draw_foot(self, width: int, height: int) -> list[Text]:
        keys = "Tab state  ↑↓ choose  Enter details  Esc back"
        shown = f" {len(self._rows):,} of {count(len(self._all), 'node')}  "
        return [fit(line(said(shown, "bold"), said(keys, "dim")), width)][:height]
