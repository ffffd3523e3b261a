"""A TCP proxy before a server, which can swallow the answer to what it has passed on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FaultProxy:
    """``port`` leads to the server. While ``deaf``, requests pass and the answer cuts the line."""

    def __init__(self, to: int) -> None:
        self.port = 0
        self.deaf = False
        self.cuts = 0
        self._stops = 0
        self._to = to
        self._lines: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)

        async def forward() -> None:
            while data := await reader.read(65536):
                far_writer.write(data)

        async def back() -> None:
            while data := await far_reader.read(65536):
                if self.deaf:
                    self.cuts += 1
                    return
                writer.write(data)

        stops = self._stops
        ways = [asyncio.create_task(forward()), asyncio.create_task(back())]
        self._lines.update(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for end in (writer, far_writer):
            if stops != self._stops:
                end.transport.abort()
            end.close()
            with contextlib.suppress(OSError):
                await end.wait_closed()

    def stop(self) -> None:
        """Cut every line that there is, with what is still on its way."""
        self._stops += 1
        for line in self._lines:
            line.cancel()


@asynccontextmanager
async def fault_proxy(to: int) -> AsyncIterator[FaultProxy]:
    """A proxy to the local port ``to``, for as long as the block lasts."""
    proxy = FaultProxy(to)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.stop()
        await server.wait_closed()
