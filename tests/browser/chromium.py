"""Debian's Chromium, driven by Playwright: a page that notes whatever goes wrong in it."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import ConsoleMessage, Error, sync_playwright
from playwright.sync_api import Page as Tab

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

PATIENCE_SECONDS = 120.0


class Page:
    """One tab. ``problems`` holds what went wrong in it: errors of scripts, and whatever the page's
    own policy has kept from running."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.problems: list[str] = []
        tab.set_default_timeout(PATIENCE_SECONDS * 1000)
        tab.on("pageerror", lambda error: self.problems.append(str(error)))
        tab.on("console", self._hear)

    def another(self) -> "Page":
        """A tab of somebody else, with cookies of its own."""
        browser = self.tab.context.browser
        assert browser is not None
        return Page(browser.new_context().new_page())

    def look(self, width: int, height: int, scheme: str = "light") -> None:
        """Take on a size in pixels and a colour scheme."""
        self.tab.set_viewport_size({"width": width, "height": height})
        dark = scheme == "dark"
        self.tab.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")

    def go(self, url: str) -> None:
        """Open a page and wait until it has loaded."""
        self.tab.goto(url)

    def run(self, script: str) -> Any:
        """What an expression comes to in the page."""
        return self.tab.evaluate(script)

    def text(self, selector: str) -> str:
        """The text of the first element that matches; empty without one."""
        found = self.tab.locator(selector).first
        return found.inner_text() if found.count() else ""

    def press(self, selector: str) -> None:
        """Click a button that leads to another page, and wait for it."""
        with self.tab.expect_navigation():
            self.tab.click(selector)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Poll until something holds. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if condition():
                    return
            except Error:  # the page is just being replaced
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited in vain for {what}")
            self.tab.wait_for_timeout(50)

    def sign_in(self, server: str, token: str) -> None:
        """Sign in as a person does."""
        self.go(f"{server}/sign-in")
        self.tab.fill("#token", token)
        self.press("form:has(#token) button")

    def picture(self, whole: bool = False) -> bytes:
        """The page as PNG; ``whole`` goes beyond the window."""
        return self.tab.screenshot(full_page=whole)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(message.text)


@contextmanager
def chromium(**context: Any) -> Iterator[Page]:
    """A browser with one tab and a profile of its own. Raises FileNotFoundError.

    ``context`` is what Playwright's ``new_context`` takes: the reader's time zone, a phone.
    """
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*SWITCHES])
        try:
            yield Page(browser.new_context(**context).new_page())
        finally:
            browser.close()
