"""Drives Debian's Chromium over its debugging pipe; nothing else to install.

The protocol is described at https://chromedevtools.github.io/devtools-protocol/.
"""

import base64
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import RawIOBase
from typing import Any

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)

PATIENCE_SECONDS = 120.0


class Page:
    """One tab. ``events`` holds what it said of itself, ``problems`` what went wrong in it."""

    def __init__(self, incoming: RawIOBase, outgoing: RawIOBase) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._rest = b""
        self._number = 0
        self._session = ""
        self.problems: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; its result. Raises RuntimeError."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._outgoing.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                break
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def look(self, width: int, height: int, scheme: str = "light") -> None:
        """Take on a size in pixels and a colour scheme."""
        phone = width < 500
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.send("Emulation.setEmulatedMedia", features=[scheme_feature, still])

    def go(self, url: str) -> None:
        """Open a page and wait until it has loaded."""
        self.run("window.left = true")
        self.send("Page.navigate", url=url)
        self.arrive()

    def arrive(self) -> None:
        """Wait for the page that follows the present one."""
        self.wait(lambda: self.run("!window.left && document.readyState") == "complete", "a page")

    def run(self, script: str) -> Any:
        """What a script comes to."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']['exception']}")
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """The text of the first element that matches; empty without one."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Poll until something holds. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if condition():
                    return
            except RuntimeError:  # the page is just being replaced
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited in vain for {what}")
            time.sleep(0.05)

    def sign_in(self, server: str, token: str) -> None:
        """Sign in as a person does."""
        self.go(f"{server}/sign-in")
        self.run(
            f"window.left = true; document.getElementById('token').value = {json.dumps(token)}"
        )
        self.run("document.getElementById('token').form.requestSubmit()")
        self.arrive()

    def picture(self, whole: bool = False) -> bytes:
        """The page as PNG; ``whole`` goes beyond the window."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = self._incoming.read(1 << 16)
            if not data:
                raise RuntimeError("chromium has gone")
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded

    def _note(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.problems.append(str(event["params"]["exceptionDetails"]))
            case "Log.entryAdded" if event["params"]["entry"]["level"] == "error":
                self.problems.append(event["params"]["entry"]["text"])


@contextmanager
def chromium() -> Iterator[Page]:
    """A browser with one tab and a profile of its own. Raises FileNotFoundError."""
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("chromium is not installed")
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs_in, 3),
            (os.POSIX_SPAWN_DUP2, theirs_out, 4),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        arguments = [program, *SWITCHES, f"--user-data-dir={profile}"]
        process = os.posix_spawn(program, arguments, os.environ, file_actions=actions, setpgroup=0)
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            with (
                os.fdopen(ours_in, "rb", buffering=0) as incoming,
                os.fdopen(ours_out, "wb", buffering=0) as outgoing,
            ):
                yield Page(incoming, outgoing)
        finally:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
