"""Where somebody was going who had to sign in first: a page of the cockpit, and nowhere else."""

import re
from urllib.parse import quote

MAX_CHARACTERS = 1000

_PAGE = re.compile(r"/(?:[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*)?(?:\?[A-Za-z0-9._~=&%+:,-]*)?")
_NO_PAGES = ("v1", "schema", "assets", "sign-in", "sign-out")


def ours(path: str) -> str:
    """``path`` if it can be a page of the cockpit, else its start."""
    if len(path) > MAX_CHARACTERS or not _PAGE.fullmatch(path):
        return "/"
    parts = path.partition("?")[0].split("/")[1:]
    if parts[0] in _NO_PAGES or any(set(part) == {"."} for part in parts if part):
        return "/"
    return path


def door(path: str, query: str = "") -> str:
    """The address of the door for somebody who was going to ``path``."""
    beyond = ours(f"{path}?{query}" if query else path)
    return "/sign-in" if beyond == "/" else f"/sign-in?next={quote(beyond, safe='/')}"
