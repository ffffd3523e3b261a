"""The application: it runs inside the virtual environment of its build."""

import argparse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import environment

environment.enter()

import greeting  # noqa: E402 - only the environment of the build has it


class Handler(BaseHTTPRequestHandler):
    """``/healthz`` answers with the tree, everything else with a greeting."""

    def do_GET(self) -> None:
        """Answer one request."""
        text = str(environment.TREE) if self.path == "/healthz" else greeting.greet("world")
        body = f"{text}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the load balancer logs requests."""


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    with ThreadingHTTPServer((arguments.host, arguments.port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
