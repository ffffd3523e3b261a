"""A static HTTP server with ranges that counts what it sends: ``python -m benchmarks.serving DIR``.

Prints its port. ``GET /.sent`` answers with the bytes sent since the last time that was asked.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    sent = 0

    def do_GET(self) -> None:
        if self.path == "/.sent":
            answer = str(_Handler.sent).encode()
            _Handler.sent = 0
            self._head(200, len(answer))
            self.wfile.write(answer)
            return
        path = ROOT / self.path.partition("?")[0].lstrip("/")
        if not path.is_file():
            self._head(404, 0)
            return
        size = path.stat().st_size
        first, last = self._range(size)
        partial = (first, last) != (0, size - 1) or "Range" in self.headers
        if partial and first >= size:
            self._head(416, 0)
            return
        length = last - first + 1
        more = {"Content-Range": f"bytes {first}-{last}/{size}"} if partial else {}
        self._head(206 if partial else 200, length, more)
        with path.open("rb") as file:
            while length:
                moved = os.sendfile(self.connection.fileno(), file.fileno(), first, length)
                first, length = first + moved, length - moved
                _Handler.sent += moved

    def _range(self, size: int) -> tuple[int, int]:
        wanted = self.headers.get("Range", "")
        if not wanted.startswith("bytes="):
            return 0, size - 1
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        return int(first), min(int(last) if last else size - 1, size - 1)

    def _head(self, status: int, length: int, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
