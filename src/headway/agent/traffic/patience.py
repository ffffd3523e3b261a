"""Waiting for something to become true, up to a deadline."""

import time
from collections.abc import Callable

_LOOK_EVERY = 0.05


def wait(until: Callable[[], bool], seconds: float) -> bool:
    """Look until ``until`` says yes, for so many seconds; returns whether it did."""
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_EVERY)
    return True
