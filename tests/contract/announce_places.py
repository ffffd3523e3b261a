"""Places that are told, on a real port: a receiver of webhooks, Grafana, graphite-web and GitHub.

Each behaves as the program's documentation says of what the announcers use, and keeps what it was
told. A script of troubles can be put before any answer. There is a real graphite-web beside this
(``metric_servers.py``); Grafana and GitHub cannot be had here.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Trouble:
    """An answer in place of the right one, after ``wait`` seconds; ``after``: once it was done."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait: float = 0.0
    done: bool = False
    on: str = ""


@dataclass
class Places:
    """All of them at one address, with what they know."""

    url: str = ""
    troubles: list[Trouble] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        """What the programs would answer."""
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        for pattern, methods in ROUTES.items():
            found = re.fullmatch(pattern, parts.path)
            if found and method in methods:
                given = json.loads(body) if body else None
                return methods[method](self, query, given, *found.groups())
        return 404, {"message": "Not Found"}

    # A receiver of webhooks.

    def hook(self, query: Any, given: Any) -> tuple[int, Any]:
        self.hooks.append(given)
        return 204, None

    # Grafana's annotations: times in milliseconds, tags must all be there.

    def find_annotations(self, query: Any, given: Any) -> tuple[int, Any]:
        wanted = set(query.get("tags", ()))
        found = [one for one in self.annotations if wanted <= set(one["tags"])]
        found.sort(key=lambda one: -one["timeEnd"])
        return 200, found[: int(query.get("limit", ["100"])[0])]

    def add_annotation(self, query: Any, given: Any) -> tuple[int, Any]:
        if not given.get("text"):
            return 400, {"message": "Failed to save annotation"}
        for tag in given["tags"]:
            key, _, value = tag.partition(":")
            if len(key) > 100 or len(value) > 100:
                return 500, {"message": "Failed to save annotation"}
        made = {"id": len(self.annotations) + 1, "timeEnd": given["time"], **given}
        self.annotations.append(made)
        return 200, {"message": "Annotation added", "id": made["id"]}

    def change_annotation(self, query: Any, given: Any, number: str) -> tuple[int, Any]:
        for one in self.annotations:
            if one["id"] == int(number):
                one.update(given)
                return 200, {"message": "Annotation patched"}
        return 404, {"message": "Annotation not found"}

    # Graphite's events: tags are words, times are whole seconds; no id comes back.

    def find_events(self, query: Any, given: Any) -> tuple[int, Any]:
        wanted = set(query.get("tags", [""])[0].split(" "))
        begin, end = int(query["from"][0]), int(query["until"][0])
        return 200, [
            one for one in self.events if wanted <= set(one["tags"]) and begin <= one["when"] <= end
        ]

    def add_event(self, query: Any, given: Any) -> tuple[int, Any]:
        tags = " ".join(given["tags"])
        if len(given["what"]) > 255 or len(tags) > 255 or max(map(len, tags.split())) > 50:
            return 500, None
        made = {**given, "tags": tags.split(), "id": len(self.events) + 1}
        self.events.append(made)
        return 200, None

    # GitHub's deployments.

    def find_deployments(self, query: Any, given: Any) -> tuple[int, Any]:
        wanted = {name: query[name][0] for name in ("environment", "ref") if name in query}
        found = [
            one
            for one in self.deployments
            if all(one[name] == value for name, value in wanted.items())
        ]
        return 200, found[::-1][: int(query.get("per_page", ["30"])[0])]

    def add_deployment(self, query: Any, given: Any) -> tuple[int, Any]:
        if given["ref"] == "unknown":
            return 422, {"message": "No ref found for: unknown"}
        if len(given["description"]) > 140:
            return 422, {"message": "Validation Failed"}
        if given.get("auto_merge", True) or given.get("required_contexts") != []:
            return 409, {"message": "Conflict: Commit status checks failed for master."}
        made = {"id": 40 + len(self.deployments), **given}
        self.deployments.append(made)
        self.statuses[made["id"]] = []
        return 201, made

    def find_statuses(self, query: Any, given: Any, number: str) -> tuple[int, Any]:
        return 200, self.statuses[int(number)][::-1]

    def add_status(self, query: Any, given: Any, number: str) -> tuple[int, Any]:
        words = {"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
        if given["state"] not in words or len(given["description"]) > 140:
            return 422, {"message": "Validation Failed"}
        ours = next(one for one in self.deployments if one["id"] == int(number))
        if given["state"] == "success" and given.get("auto_inactive", True):
            for other in self.deployments:
                theirs = self.statuses[other["id"]]
                same = other["environment"] == ours["environment"] and other is not ours
                if same and theirs and theirs[-1]["state"] == "success":
                    theirs.append({"state": "inactive", "description": ""})
        self.statuses[int(number)].append(given)
        return 201, given

    def state(self, environment: str) -> list[tuple[str, str]]:
        """(ref, last state) of the environment's deployments, oldest first."""
        return [
            (one["ref"], self.statuses[one["id"]][-1]["state"])
            for one in self.deployments
            if one["environment"] == environment
        ]


ROUTES: dict[str, dict[str, Any]] = {
    "/hook": {"POST": Places.hook},
    "/api/annotations": {"GET": Places.find_annotations, "POST": Places.add_annotation},
    r"/api/annotations/(\d+)": {"PATCH": Places.change_annotation},
    "/events/get_data": {"GET": Places.find_events},
    "/events/": {"POST": Places.add_event},
    "/repos/acme/web/deployments": {
        "GET": Places.find_deployments,
        "POST": Places.add_deployment,
    },
    r"/repos/acme/web/deployments/(\d+)/statuses": {
        "GET": Places.find_statuses,
        "POST": Places.add_status,
    },
}


@contextmanager
def serving() -> Iterator[Places]:
    places = Places()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                # Who asked has died before it had said all.
                self.close_connection = True
                return
            heads = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                places.asked.append((self.command, self.path, heads, body))
                trouble = None
                if places.troubles and places.troubles[0].on in ("", self.command):
                    trouble = places.troubles.pop(0)
                if trouble is None or trouble.done:
                    status, told = places.answer(self.command, self.path, body)
            if trouble is not None:
                time.sleep(trouble.wait)
                self.say(trouble.status, trouble.body, trouble.headers)
                return
            self.say(status, b"" if told is None else json.dumps(told).encode(), {})

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_PATCH(self) -> None:
            self.answer()

        def say(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    places.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield places
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
