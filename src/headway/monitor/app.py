"""The monitor itself: follows the app, redraws, and turns keys into actions."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.events import Click, Key, MouseScrollDown, MouseScrollUp
from textual.message import Message

from headway.cli.screen import said
from headway.client.api import Client
from headway.client.listening import QUIET_SECONDS, Listener, looks
from headway.errors import HeadwayError
from headway.model.access import Role
from headway.model.picture import Picture
from headway.model.rollout import LIVE
from headway.model.views import ActionRequest, DeployRequest, RolloutView
from headway.monitor import face, node_map
from headway.monitor.dialogs import Choose, Confirm, Help
from headway.monitor.face import View
from headway.monitor.keys import ACCEPT_KEY, KEYS, STOPS, Deed, deeds
from headway.monitor.lines import Lines
from headway.monitor.look import folded
from headway.monitor.node_screen import NodeScreen

SETTLE_SECONDS = 0.6
"""A picture that has changed under the finger is not acted on before so long."""

NOTICE_SECONDS = 12.0

MAY_ACT = frozenset({Role.DEPLOYER, Role.ADMIN})


class Ending(Enum):
    """Why the monitor was left."""

    LEFT = "a person has left it"
    ENDED = "the rollout has ended"
    TIMED_OUT = "it has taken too long"


class Monitor(App[Ending]):
    """Shows an app, whatever rolls out there, until somebody leaves.

    With ``rollout`` it ends by itself, once that rollout has; after ``timeout`` seconds it ends
    anyway. ``apps`` are those to choose from; without ``app`` it begins with that question.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #face { height: 1fr; }
    Confirm, Choose, Help { align: center middle; }
    #dialog {
        width: 76; max-width: 100%; height: auto; max-height: 100%; border: round; padding: 0 1;
    }
    #dialog Input { border: none; height: 1; margin: 1 0; padding: 0; }
    #dialog OptionList { border: none; height: auto; max-height: 16; }
    NodeScreen Input { border: none; height: 1; padding: 0 1; }
    #head, #foot { height: 1; }
    #rows { height: 1fr; overflow-x: hidden; }
    #details { height: 45%; }
    .enlarged #rows { height: 3; }
    .enlarged #details { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "leave", "quit", priority=True)
    ]

    class Seen(Message):
        """A picture, or why there is none."""

        def __init__(self, listener: Listener, seen: Picture | HeadwayError) -> None:
            super().__init__()
            self.listener, self.seen = listener, seen

    class Answered(Message):
        """What came of an action."""

        def __init__(self, deed: Deed, answer: RolloutView | HeadwayError) -> None:
            super().__init__()
            self.deed, self.answer = deed, answer

    def __init__(
        self,
        client: Client,
        app: str | None,
        apps: Sequence[str],
        role: Role,
        *,
        rollout: str | None = None,
        timeout: float | None = None,
        quiet: float = QUIET_SECONDS,
    ) -> None:
        super().__init__(ansi_color=True)
        self._client, self._app_name, self._apps = client, app, tuple(apps)
        self._may_act = role in MAY_ACT
        self._rollout, self._timeout, self._quiet = rollout, timeout, quiet
        self._began = self._heard = self._changed = time.monotonic()
        self._listener: Listener | None = None
        self._picture: Picture | None = None
        self._skew = 0.0
        self._trouble = ""
        self._notice, self._alarming, self._noticed = "", False, 0.0
        self._pending: Deed | None = None
        self._scroll = 0
        self._face: face.Face | None = None

    def compose(self) -> ComposeResult:
        """One widget that draws it all."""
        yield Lines(self._draw, "face")

    def on_mount(self) -> None:
        """Begin to follow."""
        self.set_interval(1.0, self._tick)
        if self._app_name is None:
            self.action_choose()
        else:
            self._follow(self._app_name)

    def on_unmount(self) -> None:
        """Hear no more."""
        if self._listener is not None:
            self._listener.close()

    @property
    def view(self) -> View:
        """What is to be seen at this moment; there must be a picture."""
        assert self._picture is not None  # noqa: S101 - for the type checker
        return View(
            picture=self._picture,
            now=time.time() + self._skew,
            may_act=self._may_act,
            age=time.monotonic() - self._heard,
            trouble=self._trouble,
            notice=self._notice,
            alarming=self._alarming,
            scroll=self._scroll,
            choice=len(self._apps) > 1,
        )

    def on_monitor_seen(self, message: Seen) -> None:
        """A new picture: show it wherever somebody looks at it."""
        if message.listener is not self._listener:
            return
        if isinstance(message.seen, HeadwayError):
            self._trouble = message.seen.sentence
        else:
            before, self._picture = self._picture, message.seen
            self._trouble, self._heard = "", time.monotonic()
            self._skew = message.seen.now - time.time()
            if before is None or _standing(before) != _standing(message.seen):
                self._changed = self._heard
        self._redraw()
        self._end_with_the_rollout()

    def on_monitor_answered(self, message: Answered) -> None:
        """An action was done, or refused with a sentence."""
        self._pending = None
        action = message.deed.button.action
        if isinstance(message.answer, HeadwayError):
            self._tell(f"{action}: not done. {message.answer.sentence}", alarming=True)
        else:
            self._tell(f"{action}: done. {message.answer.rollout.why}")
        if self._listener is not None:
            self._listener.wake()

    def on_key(self, event: Key) -> None:
        """Keys of the picture itself; dialogs and the list of nodes have their own."""
        if len(self.screen_stack) > 1:
            return
        # A screen that this key opens must not see it, too.
        event.prevent_default()
        match event.key:
            case "up" | "down" | "pageup" | "pagedown" | "home":
                by = {"up": -1, "down": 1, "pageup": -8, "pagedown": 8}.get(event.key)
                self._scroll_journal(by)
            case "enter":
                self.action_nodes()
            case "q":
                self.action_leave()
            case "question_mark" | "f1":
                self.action_help()
            case "o":
                self.action_choose()
            case _ if event.character in {*KEYS.values(), ACCEPT_KEY}:
                self.action_deed(event.character or "")

    def on_click(self, event: Click) -> None:
        """A click on the map opens the nodes at that place."""
        if self._face is None or self._picture is None or len(self.screen_stack) > 1:
            return
        first, height = self._face.map
        cell = node_map.cell_at(
            self._picture, self.size.width, height, event.screen_x, event.screen_y - first
        )
        if cell is not None:
            self.action_nodes(cell.first)

    def on_mouse_scroll_up(self, _: MouseScrollUp) -> None:
        """The wheel scrolls the journal."""
        self._scroll_journal(-3)

    def on_mouse_scroll_down(self, _: MouseScrollDown) -> None:
        """The wheel scrolls the journal."""
        self._scroll_journal(3)

    def action_leave(self) -> None:
        """Leave; nothing of the rollout depends on it."""
        self.exit(Ending.LEFT)

    def action_help(self) -> None:
        """The keys."""
        self.push_screen(Help())

    def action_nodes(self, first: int | None = None) -> None:
        """The list of nodes."""
        if self._picture is not None:
            self.push_screen(NodeScreen(self._client, lambda: self.view, first))

    def action_choose(self) -> None:
        """Another app."""
        if len(self._apps) > 1:
            self.push_screen(Choose(self._apps), self._chosen)

    def action_deed(self, key: str) -> None:
        """Do what a key stands for, if it does that on what is shown at this moment."""
        if self._picture is None or len(self.screen_stack) > 1:
            return
        found = next((deed for deed in deeds(self._picture) if deed.key == key), None)
        refusal = self._refusal(key, found)
        if refusal or found is None:
            self._tell(refusal, alarming=True)
        elif found.hurts or found.asks:
            shown = self._picture
            self.push_screen(
                Confirm(found, shown), lambda reason: self._confirmed(found, shown, reason)
            )
        else:
            self._send(found, self._picture, "")

    def _refusal(self, key: str, deed: Deed | None) -> str:
        """Why a key does nothing, or nothing."""
        assert self._picture is not None  # noqa: S101 - for the type checker
        stands = f"{self._picture.banner.word} {self._picture.banner.where}".strip()
        if not self._may_act:
            return "Your token is for looking; acting takes that of a deployer."
        if self._pending is not None:
            return f"{self._pending.button.action} is still being asked for."
        if deed is None:
            names = " or ".join(action for action, of in KEYS.items() if of == key)
            return f"Nothing to {names or 'accept'} now: it stands at “{stands}”."
        if deed.button.action in STOPS:
            return ""
        if not self.view.live:
            return (
                f"Nothing was sent: what you see is {self.view.age:.0f} s old, it may have moved."
            )
        if time.monotonic() - self._changed < SETTLE_SECONDS:
            return f"It has just become “{stands}”. Look, then press {key} again."
        return ""

    def _confirmed(self, deed: Deed, shown: Picture, reason: str | None) -> None:
        if reason is None:
            self._tell(f"{deed.button.action}: left alone.")
        else:
            self._send(deed, shown, reason)

    def _send(self, deed: Deed, shown: Picture, reason: str) -> None:
        """Ask for an action on just what was shown; the answer comes as a message."""
        self._pending = deed
        self._tell(f"{deed.button.action}: asked for …")

        def ask() -> None:
            try:
                answer: RolloutView | HeadwayError = self._do(deed.button.action, shown, reason)
            except HeadwayError as error:
                answer = error
            self.post_message(self.Answered(deed, answer))

        threading.Thread(target=ask, name=deed.button.action, daemon=True).start()

    def _do(self, action: str, shown: Picture, reason: str) -> RolloutView:
        if action == "deploy":
            return self._client.deploy(shown.app, DeployRequest(shown.actions.build))
        request = ActionRequest(reason, shown.actions.seen or None)
        return self._client.act(shown.actions.rollout, action, request)

    def _chosen(self, app: str | None) -> None:
        if app is not None:
            self._follow(app)
        elif self._picture is None:
            self.exit(Ending.LEFT)

    def _follow(self, app: str) -> None:
        """Look at ``app`` from now on."""
        if self._listener is not None:
            self._listener.close()
        self._app_name, self._picture, self._scroll = app, None, 0
        listener = self._listener = Listener(self._client, app)
        look: Callable[[], Picture] = lambda: self._client.picture(app)  # noqa: E731

        def run() -> None:
            for seen in looks(listener, look, self._quiet):
                if not listener.closed:
                    self.post_message(self.Seen(listener, seen))

        threading.Thread(target=run, name=f"look at {app}", daemon=True).start()
        self._redraw()

    def _tick(self) -> None:
        """Countdowns and ages move on."""
        if self._notice and time.monotonic() - self._noticed > NOTICE_SECONDS:
            self._notice = ""
        if self._timeout is not None and time.monotonic() - self._began > self._timeout:
            self.exit(Ending.TIMED_OUT)
        self._redraw()

    def _end_with_the_rollout(self) -> None:
        picture = self._picture
        if self._rollout is None or picture is None or picture.rollout is None:
            return
        if picture.rollout.id != self._rollout or picture.phase not in LIVE:
            self.exit(Ending.ENDED)

    def _scroll_journal(self, by: int | None) -> None:
        if self._picture is None or self._face is None:
            return
        rows = face.journal_rows(self._picture, self.size.width)
        most = max(0, rows - self._face.journal[1] + 1)
        self._scroll = 0 if by is None else max(0, min(self._scroll + by, most))
        self._redraw()

    def _tell(self, told: str, *, alarming: bool = False) -> None:
        self._notice, self._alarming, self._noticed = told, alarming, time.monotonic()
        self._redraw()

    def _redraw(self) -> None:
        if not self.is_running:
            return
        for screen in self.screen_stack:
            # One that comes or goes at this moment has not all of its parts.
            with suppress(NoMatches):
                if isinstance(screen, NodeScreen):
                    screen.see()
                elif isinstance(screen, Confirm) and self._picture is not None:
                    screen.see(self._picture)
                for part in screen.query("#face").results(Lines):
                    part.redraw()

    def _draw(self, width: int, height: int) -> Sequence[Text]:
        if self._picture is None:
            told = self._trouble or f"looking at {self._app_name} …"
            return [Text(""), *folded(" ", said(told), width, height)]
        self._face = face.draw(self.view, width, height)
        return self._face.lines


def _standing(picture: Picture) -> tuple[str, str, str]:
    return (picture.actions.rollout, picture.actions.seen, picture.banner.word)
