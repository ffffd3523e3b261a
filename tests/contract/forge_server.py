"""A forge of recorded answers on a real port: what GitHub and GitLab say, in the shapes they use.

The bodies hold what the adapters read and a choice of what they do not; names and numbers are
made up. Answers come page by page, and a script of troubles can be put before any of them.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit


@dataclass
class Trouble:
    """An answer in place of the right one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    cut: bool = False


@dataclass
class ForgeServer:
    """Answers by path; lists are split into pages of ``page`` entries."""

    answers: dict[str, Any] = field(default_factory=dict)
    posts: dict[str, Any] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    page: int = 2
    url: str = ""


@contextmanager
def serving() -> Iterator[ForgeServer]:
    forge = ForgeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer("GET")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            forge.sent.append(json.loads(self.rfile.read(length)))
            self.answer("POST")

        def answer(self, method: str) -> None:
            url = urlsplit(self.path)
            forge.asked.append((method, self.path, dict(self.headers)))
            if forge.troubles:
                trouble = forge.troubles.pop(0)
                if trouble.cut:
                    self.close_connection = True
                    return
                self.say(trouble.status, trouble.body, trouble.headers)
                return
            found = (forge.posts if method == "POST" else forge.answers).get(url.path)
            if found is None:
                self.say(404, {"message": "Not Found"}, {})
                return
            if method == "POST":
                self.say(201, found, {})
                return
            query = dict(parse_qsl(url.query))
            if not isinstance(found, list):
                self.say(200, found, {})
                return
            number = int(query.get("page", "1"))
            part = found[(number - 1) * forge.page : number * forge.page]
            headers = {}
            if number * forge.page < len(found):
                following = urlencode(query | {"page": str(number + 1)})
                headers["Link"] = f'<{forge.url}{url.path}?{following}>; rel="next"'
            self.say(200, part, headers)

        def say(self, status: int, body: Any, headers: dict[str, str]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    forge.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# GitHub.

OPEN = {"state": "open", "merged_at": None, "merge_commit_sha": None}


def github_pull(number: int, commit: str, **more: Any) -> dict[str, Any]:
    return {
        "url": f"https://api.github.com/repos/acme/web/pulls/{number}",
        "id": 1_000_000 + number,
        "node_id": "PR_kwDO",
        "html_url": f"https://github.com/acme/web/pull/{number}",
        "number": number,
        "state": "closed",
        "locked": False,
        "title": f"Change {number}",
        "user": {"login": "ann", "id": 1, "type": "User", "site_admin": False},
        "body": None,
        "created_at": "2026-11-20T08:00:00Z",
        "merged_at": "2026-11-24T09:30:00Z",
        "merge_commit_sha": commit,
        "labels": [],
        "draft": False,
        "head": {"label": "acme:topic", "ref": "topic", "sha": f"{number:040x}"},
        "base": {"label": "acme:main", "ref": "main", "sha": "0" * 40},
        "author_association": "MEMBER",
        **more,
    }


def github_review(login: str | None, state: str) -> dict[str, Any]:
    return {
        "id": 80,
        "node_id": "PRR_kw",
        "user": {"login": login, "id": 2, "type": "User"} if login else None,
        "body": "",
        "state": state,
        "submitted_at": "2026-11-23T10:00:00Z",
        "commit_id": "e" * 40,
        "author_association": "MEMBER",
    }


def github_runs(*runs: tuple[str, str | None]) -> dict[str, Any]:
    return {
        "total_count": len(runs),
        "check_runs": [
            {
                "id": 4,
                "name": f"check {index}",
                "head_sha": "e" * 40,
                "status": status,
                "conclusion": conclusion,
                "started_at": "2026-11-23T10:00:00Z",
                "app": {"slug": "github-actions"},
            }
            for index, (status, conclusion) in enumerate(runs)
        ],
    }


def github_status(state: str = "pending", count: int = 0) -> dict[str, Any]:
    return {"state": state, "statuses": [], "sha": "e" * 40, "total_count": count}


# GitLab.


def gitlab_request(number: int, commit: str, **more: Any) -> dict[str, Any]:
    return {
        "id": 100 + number,
        "iid": number,
        "project_id": 3,
        "title": f"Change {number}",
        "description": "",
        "state": "merged",
        "created_at": "2026-11-20T08:00:00.000Z",
        "merged_at": "2026-11-24T09:30:00.000Z",
        "target_branch": "main",
        "source_branch": "topic",
        "author": {"id": 1, "username": "ann", "name": "Ann", "state": "active"},
        "merge_commit_sha": commit,
        "squash_commit_sha": None,
        "web_url": f"https://gitlab.example.org/acme/web/-/merge_requests/{number}",
        "sha": f"{number:040x}",
        **more,
    }


def gitlab_approvals(*users: str, approved: bool = True) -> dict[str, Any]:
    return {
        "id": 5,
        "iid": 5,
        "approvals_required": 1,
        "approvals_left": 0 if approved else 1,
        "approved": approved,
        "approved_by": [
            {"user": {"id": 9, "username": user, "name": user}, "approved_at": "2026-11-23"}
            for user in users
        ],
    }


def gitlab_reviewer(user: str, state: str) -> dict[str, Any]:
    return {"user": {"id": 9, "username": user}, "state": state, "created_at": "2026-11-23"}
