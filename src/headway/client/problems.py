"""From what a server answers to the error that says it: one class per code, one sentence each."""

from http import HTTPStatus

import msgspec

from headway.errors import HeadwayError, Unreachable, family
from headway.model.views import Problem


def error_for(status: int, body: bytes, url: str) -> HeadwayError:
    """The error that an answer stands for; a foreign body is told from a Headway server's."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _foreign(status, url)
    for kind in family():
        if kind.code == problem.code:
            return kind(problem.sentence)
    return _by_status(problem.status)(problem.sentence)


def _by_status(status: int) -> type[HeadwayError]:
    """The class to use for a code of a newer server's."""
    return next((kind for kind in family() if kind.status == status), HeadwayError)


def _foreign(status: int, url: str) -> HeadwayError:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "an unknown status"
    if status >= 500:
        return Unreachable(
            f"{url} answered {status} ({phrase}) without saying why; "
            "is the control plane running behind that address?"
        )
    return _by_status(status)(
        f"{url} answered {status} ({phrase}) in a way that no Headway server does; "
        "is the address right?"
    )
