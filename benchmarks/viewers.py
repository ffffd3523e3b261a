"""Many people with the same page open, in a process of their own."""

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import uvloop

PATIENCE = 60.0


class Viewers:
    """``count`` streams of one page at ``path``; use it with ``with``."""

    def __init__(self, url: str, path: str, cookie: str, count: int) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._pipe = ours
        context = multiprocessing.get_context("spawn")
        arguments = (theirs, url, path, cookie, count)
        self._process = context.Process(target=_run, args=arguments, daemon=True)

    def __enter__(self) -> "Viewers":
        self._process.start()
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def expect(self, words: str) -> None:
        """Look out for words that no viewer has seen yet."""
        self._pipe.send(words)
        self._pipe.recv()

    def seen(self) -> list[float]:
        """When each viewer has seen them, in seconds since the epoch."""
        if not self._pipe.poll(PATIENCE):
            raise TimeoutError("not every viewer has seen it")
        times: list[float] = self._pipe.recv()
        return times


class _Crowd:
    def __init__(self, pipe: Connection, count: int) -> None:
        self._pipe = pipe
        self._count = count
        self.words = b""
        self.times: dict[int, float] = {}

    def note(self, viewer: int, at: float) -> None:
        """A viewer has seen the words."""
        self.times.setdefault(viewer, at)
        if len(self.times) == self._count:
            self._pipe.send(list(self.times.values()))
            self.words = b""

    def hear(self) -> None:
        """Take new words from the pipe."""
        self.times = {}
        self.words = str(self._pipe.recv()).encode()
        self._pipe.send("ready")

    async def view(self, number: int, url: str, path: str, cookie: str) -> None:
        """One viewer's stream."""
        server = urlsplit(url)
        reader, writer = await asyncio.open_connection(server.hostname, server.port)
        head = f"GET {path} HTTP/1.1\r\nHost: {server.netloc}\r\nCookie: {cookie}\r\n\r\n"
        writer.write(head.encode())
        rest = b""
        while chunk := await reader.read(1 << 18):
            at = time.time()
            rest = rest[-200:] + chunk
            if self.words and self.words in rest:
                self.note(number, at)


def _run(pipe: Connection, url: str, path: str, cookie: str, count: int) -> None:
    async def main() -> None:
        crowd = _Crowd(pipe, count)
        asyncio.get_running_loop().add_reader(pipe.fileno(), crowd.hear)
        streams = [asyncio.create_task(crowd.view(n, url, path, cookie)) for n in range(count)]
        await asyncio.sleep(3.0)
        pipe.send("looking")
        await asyncio.gather(*streams)

    uvloop.run(main())
