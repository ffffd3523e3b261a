"""The one name that an application is started from: ``current``, a link to its hot slot."""

import contextlib
import errno
import os
import re
from pathlib import Path

from headway.agent import durable
from headway.errors import Refused

_NAME = "current"
_FRESH = ".current.new"
_TARGET = re.compile(r"slots/([1-9][0-9]{0,3})")


def hot(app: Path) -> str | None:
    """The name of the slot that ``current`` leads to; None before the first switch."""
    with durable.storing(f"reading {app / _NAME}"):
        try:
            target = os.fspath((app / _NAME).readlink())
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise Refused(f"{app / _NAME} is not a link; move it away") from None
    found = _TARGET.fullmatch(target)
    if not found:
        raise Refused(f"{app / _NAME} leads out of {app / 'slots'}; remove it, nothing was changed")
    return found[1]


def switch(app: Path, slot: str) -> None:
    """Make ``current`` lead to ``slot``, in one step that survives a power cut."""
    with durable.storing(f"switching {app / _NAME}"), durable.opened(app) as handle:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_FRESH, dir_fd=handle)
        os.symlink(f"slots/{slot}", _FRESH, dir_fd=handle)
        os.rename(_FRESH, _NAME, src_dir_fd=handle, dst_dir_fd=handle)
        os.fsync(handle)
