"""Widgets that are nothing but lines of text, drawn to their size."""

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from headway.monitor.look import fit


class Lines(Widget):
    """Shows what ``draw(width, height)`` gives, made once for each refresh."""

    def __init__(self, draw: Callable[[int, int], Sequence[Text]], id: str) -> None:
        super().__init__(id=id)
        self._draw = draw
        self._lines: Sequence[Text] | None = None
        self._drawn = Size(0, 0)

    def redraw(self) -> None:
        """Draw again, since what is to be seen has changed."""
        self._lines = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        if self._lines is None or self._drawn != self.size:
            self._drawn = self.size
            self._lines = self._draw(self.size.width, self.size.height)
        text = self._lines[y] if y < len(self._lines) else Text()
        return strip(fit(text, self.size.width), self)


class Rows(ScrollView, can_focus=True):
    """A list of any length with one row chosen; only what is in sight is drawn."""

    class Chosen(Message):
        """Another row has been chosen."""

    def __init__(self, draw: Callable[[int, int, bool], Text], id: str) -> None:
        super().__init__(id=id)
        self._draw = draw
        self.count = 0
        self.chosen = 0

    def show(self, count: int, chosen: int) -> None:
        """Be so many rows from now on, with this one chosen."""
        moved = chosen != self.chosen or count != self.count
        self.count = count
        self.chosen = max(0, min(chosen, count - 1))
        self.virtual_size = Size(self.size.width, count)
        if moved:
            # How far it can be scrolled is known once it has been laid out.
            self.call_after_refresh(self._bring_into_sight)
        self.refresh()

    def move(self, by: int) -> None:
        """Choose a row further down, or up."""
        self.choose(self.chosen + by)

    def choose(self, row: int) -> None:
        """Choose a row, and bring it into sight."""
        self.chosen = max(0, min(row, self.count - 1))
        if not self._bring_into_sight():
            self.call_after_refresh(self._bring_into_sight)
        self.refresh()
        self.post_message(self.Chosen())

    def _bring_into_sight(self) -> bool:
        top, height = round(self.scroll_y), max(1, self.size.height)
        if not top <= self.chosen < top + height:
            first = self.chosen if self.chosen < top else self.chosen - height + 1
            self.scroll_to(y=first, animate=False, immediate=True)
        top = round(self.scroll_y)
        return top <= self.chosen < top + height

    def render_line(self, y: int) -> Strip:
        """One row, or nothing beyond the last."""
        row = y + round(self.scroll_y)
        width = self.scrollable_content_region.width
        text = self._draw(row, width, row == self.chosen) if row < self.count else Text()
        return strip(fit(text, width), self)

    def on_click(self, event: Click) -> None:
        """The row under the mouse."""
        row = event.y + round(self.scroll_y)
        if row < self.count:
            self.choose(row)


def strip(text: Text, widget: Widget) -> Strip:
    """A text as Textual's lines are."""
    return Strip(text.render(widget.app.console), text.cell_len)
