"""Keeping the agent small beside the application that it serves.

Bringing a whole tree onto a fresh node takes memory for a while; without these settings glibc's
malloc would keep most of it for good: measured with 100,000 files, 76 MB in place of 39.
"""

import contextlib
import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 64 * 1024

_libc = ctypes.CDLL(None)


def be_frugal() -> None:
    """One heap for all threads, and large blocks of their own, which go back when they are freed.

    Does nothing with another C library than glibc.
    """
    with contextlib.suppress(AttributeError):
        for setting, value in (
            (_M_ARENA_MAX, 1),
            (_M_MMAP_THRESHOLD, _LARGE),
            (_M_TRIM_THRESHOLD, _LARGE),
        ):
            _libc.mallopt(setting, value)


def give_back() -> None:
    """Return to the system what is free, of all that has been used."""
    with contextlib.suppress(AttributeError):
        _libc.malloc_trim(0)
